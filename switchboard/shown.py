"""Requests as a person may see them: credentials as fingerprints, which tell equal ones apart and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

import orjson

from switchboard.credential_body import body_kind, content_type, is_structure
from switchboard.credentials import Rule, Rules, fingerprint
from switchboard.headers import Field, canonical, clean_query, looks_like_credential
from switchboard.json_spans import Node, NotJson, read_json
from switchboard.multipart import NotMultipart, split_form
from switchboard.parameters import parameter_name
from switchboard.redaction import clean_text, clean_value, is_secret_name
from switchboard.twins import fold, is_prefix

MOST_BODY = 4000
_LEAST_SCRUBBED = 8

_PARAMETER = re.compile(r"(^|[&;])([^&;]*)")
_PATH_PARAMETER = re.compile(r";([^/;=]*)=([^/;]*)")
_USERINFO = re.compile(r"(?<=://)[^/?#@\s]+(?=@)")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]+(\S.*)\Z", re.DOTALL)
_SCHEMED = frozenset({b"authorization", b"proxy-authorization"})
_PLAIN_SUBPROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9.+_-]{0,39}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A request: request line, fields and body, no credential in any of them. `body` None: there is none."""

    line: str
    fields: tuple[tuple[str, str], ...]
    body: str | None = None


class Disguise:
    """Show requests of one explanation: the same credential gets the same fingerprint everywhere in it.

    `known` are values that stand in for what is not known here, each with the text to be shown for it. Every
    credential that was seen is looked for in all texts, also where nobody would expect it.
    """

    def __init__(self, rules: Rules, *, key: bytes, known: Mapping[str, str]) -> None:
        self._rules = rules
        self._key = key
        self._known = known
        self._seen: dict[str, str] = {}
        for rule in _all_rules(rules):
            if rule.fixed:
                self.credential(rule.fixed)

    def credential(self, value: str) -> str:
        """Return what stands for a credential's value."""
        if not value:
            return ""
        shown = self._known.get(value) or f"<credential {fingerprint(value, key=self._key)}>"
        self._seen.setdefault(value, shown)
        return shown

    def request(self, line: tuple[str, str, str], fields: Sequence[Field], body: bytes) -> Shown:
        """Return a request as it may be shown; `line` is method, target and version."""
        method, target, version = line
        shown = [(_text(name), self.field(name, _text(value))) for name, value in fields]
        written = self.body(body, content_type(fields), coded=_is_coded(fields)) if body else None
        found = (f"{method} {self.target(target)} {version}", shown, written)
        scrub = self.scrub  # at last, when all credentials have been seen
        return Shown(
            scrub(found[0]),
            tuple((name, scrub(value)) for name, value in found[1]),
            scrub(found[2]) if found[2] is not None else None,
        )

    def scrub(self, text: str) -> str:
        """Return a text without credentials that were seen before."""
        for value, shown in self._seen.items():
            if len(value) >= _LEAST_SCRUBBED or value in self._known:
                text = text.replace(value, shown)
        return text

    def field(self, name: bytes, value: str) -> str:
        """Return a field's value."""
        lower = canonical(name)
        if lower in (b"cookie", b"cookie2"):
            return "; ".join(self._pair(part.strip()) for part in value.split(";"))
        if lower == b"sec-websocket-protocol":
            return ", ".join(self._subprotocols(value))
        if lower in self._rules.fields or self._rules.suspects(name):
            schemed = lower in _SCHEMED or any(rule.scheme for rule in self._rules.fields.get(lower, ()))
            found = _SCHEME.match(value) if schemed else None
            return f"{found[1]} {self.credential(found[2].strip())}" if found else self.credential(value)
        return self.text(value)

    def text(self, value: str) -> str:
        """Return any other text, which may hold a URL, or what looks like a credential."""
        value = _USERINFO.sub(lambda found: self.credential(found[0]), value)
        return clean_value(self.target(value) if "?" in value or ";" in value else value)

    def target(self, target: str) -> str:
        """Return a request target: parameters that hold a credential without it."""
        path, question, query = target.partition("?")
        path = _PATH_PARAMETER.sub(self._path_parameter, path)
        return path + question + self._parameters(query, self._is_secret_parameter)

    def _is_secret_parameter(self, part: str) -> bool:
        name = parameter_name(part)
        known = name in self._rules.query or name in self._rules.names
        return known or bool(clean_query(f"?{part}")[1]) or is_secret_name(name)

    def _parameters(self, text: str, is_secret: Callable[[str], bool]) -> str:
        shown = ""
        for separator, part in _PARAMETER.findall(text):
            name, equals, value = part.partition("=")
            secret = bool(equals) and is_secret(part)
            shown += separator + (f"{name}={self.credential(unquote_plus(value))}" if secret else clean_value(part))
        return shown

    def _path_parameter(self, found: re.Match[str]) -> str:
        name, value = found.groups()
        secret = clean_query(f"/;{name}={value}")[1] or is_secret_name(name)
        return f";{name}={self.credential(value)}" if secret else found[0]

    def _pair(self, part: str) -> str:
        name, equals, value = part.partition("=")
        return f"{name}={self.credential(value)}" if equals else self.credential(part)

    def _subprotocols(self, value: str) -> list[str]:
        shown: list[str] = []
        follows = False
        for entry in filter(None, map(str.strip, value.split(","))):
            rule = next((r for r in self._rules.subprotocols if _names(r, entry)), None)
            suspect = looks_like_credential(entry.encode("utf-8", "surrogateescape"))
            if rule is not None and is_prefix(rule.name):
                shown.append(rule.name + self.credential(entry[len(rule.name) :]))
            elif follows or (rule is None and (suspect or not _PLAIN_SUBPROTOCOL.fullmatch(entry))):
                shown.append(self.credential(entry))
            else:
                shown.append(entry)
            follows = not follows and (suspect or (rule is not None and not is_prefix(rule.name)))
        return shown

    def body(self, body: bytes, media: bytes, *, coded: bool = False) -> str:
        """Return a body: JSON written anew, forms by field, other text without what looks like a credential."""
        kind = body_kind(media)
        try:
            if coded:
                return f"({len(body)} bytes in a content coding)"
            if kind == "multipart":
                return self._multipart(body, media)
            text = body.decode("utf-8")
            if kind == "form":
                return _cut(self._parameters(text, self._is_secret_field))
            if kind == "json" or is_structure(body):
                return _cut(orjson.dumps(self._json(read_json(body), self._rules.body)).decode())
        except UnicodeDecodeError:
            return f"({len(body)} bytes that are not text)"
        except (NotJson, NotMultipart) as error:
            return f"({len(body)} bytes: {error})"
        return _cut(clean_text(text))

    def _is_secret_field(self, part: str) -> bool:
        name = parameter_name(part)
        return name in self._rules.form or is_secret_name(name)

    def _multipart(self, body: bytes, media: bytes) -> str:
        lines = []
        for part in split_form(body, media):
            content = body[part.start : part.end].decode("utf-8", "replace")
            secret = self._is_secret_field(f"{part.name}=")
            lines.append(f"{part.name}: {self.credential(content) if secret else clean_text(content)}")
        return _cut("\n".join(lines))

    def _json(self, value: object, node: Node[tuple[Rule, ...]] | None, *, secret: bool = False) -> object:
        is_leaf = node is not None and node.leaf is not None
        if isinstance(value, dict):
            return {
                key: self._json(
                    inner,
                    node.step(key) if node is not None and not is_leaf else None,
                    secret=secret or is_leaf or is_secret_name(key),
                )
                for key, inner in value.items()
            }
        if isinstance(value, list):
            steps = [node.step(str(at)) if node is not None and not is_leaf else None for at in range(len(value))]
            return [self._json(inner, step, secret=secret or is_leaf) for inner, step in zip(value, steps, strict=True)]
        if (secret or is_leaf) and value is not None and not isinstance(value, bool):
            return self.credential(str(value))
        return clean_value(value) if isinstance(value, str) else value


def _all_rules(rules: Rules) -> list[Rule]:
    by_name = (*rules.cookies.values(), *rules.query.values(), *rules.form.values(), *rules.messages.values())
    in_fields = [rule for found in rules.fields.values() for rule in found]
    return [*in_fields, *by_name, *rules.subprotocols, *_leaves(rules.body)]


def _leaves(node: Node[tuple[Rule, ...]]) -> list[Rule]:
    return [*(node.leaf or ()), *(rule for step in node.steps.values() for rule in _leaves(step))]


def _names(rule: Rule, entry: str) -> bool:
    if is_prefix(rule.name):
        return fold(entry).startswith(fold(rule.name))
    return fold(entry) == fold(rule.name)


def _is_coded(fields: Sequence[Field]) -> bool:
    return any(name.lower() == b"content-encoding" and value.strip().lower() != b"identity" for name, value in fields)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _cut(text: str) -> str:
    return text if len(text) <= MOST_BODY else f"{text[:MOST_BODY]}... ({len(text)} characters)"
