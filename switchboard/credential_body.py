"""Bodies of requests on their way to a sandbox: JSON by pointer, forms by field.

A body in a place with a rule that cannot be read with certainty is refused: the request is then blocked.
Bodies come without content coding.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import orjson

from switchboard.credential_rules import Learned, Rule, Rules, choose
from switchboard.headers import Field
from switchboard.json_spans import Node, NotJson, find_spans, read_json, replace_spans
from switchboard.multipart import NotMultipart, split_form
from switchboard.parameters import swap_form
from switchboard.twins import fold

_JSON = re.compile(rb"application/(?:[\w.+-]+\+)?(?:x-)?json|text/(?:x-)?json", re.IGNORECASE)
# What scripts send JSON under when they say nothing else (Fetch 5.2: text/plain), and what servers then try as JSON.
_MAYBE_JSON = frozenset({b"", b"text/plain"})
_CHARSET = re.compile(rb";[ \t]*charset[ \t]*=[ \t]*\"?([^\s;\"]*)", re.IGNORECASE)
_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii"})
_EMPTY = frozenset({b"null", b'""'})  # no credential to stand in for


class Unreadable(ValueError):
    """A body or message that a rule applies to, and that cannot be read with certainty. `str()` is the reason."""


@dataclass(frozen=True, slots=True)
class SwappedBody:
    """The body to send; labels of places swapped and removed."""

    body: bytes
    swapped: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def needs_body(fields: Iterable[Field], rules: Rules) -> bool:
    """Return whether a request's body, where it has one, must be read whole before anything is sent."""
    return bool(rules.body_kinds) and body_kind(content_type(fields)) in rules.body_kinds


def content_type(fields: Iterable[Field]) -> bytes:
    return next((value for name, value in fields if name.lower() in (b"content-type", b"content_type")), b"")


def body_kind(content_type: bytes) -> str:
    """Return `json`, `form`, `multipart`, `text` (which may be JSON all the same) or `other`."""
    media = content_type.partition(b";")[0].strip().lower()
    if _JSON.fullmatch(media):
        return "json"
    if media == b"application/x-www-form-urlencoded":
        return "form"
    if media == b"multipart/form-data":
        return "multipart"
    return "text" if media in _MAYBE_JSON else "other"


def swap_body(body: bytes, content_type: bytes, *, rules: Rules, learned: Learned) -> SwappedBody:
    """Return a body with twins in every place that has a rule; all else is left byte for byte.

    Raises Unreadable for a body of a kind with rules that is broken or can be read in two ways.
    """
    kind = body_kind(content_type)
    if not body or kind not in rules.body_kinds:
        return SwappedBody(body)
    if kind != "multipart" and (found := _CHARSET.search(content_type)) and found[1].lower() not in _CHARSETS:
        raise Unreadable("body in a charset other than UTF-8")
    if kind == "multipart":
        return _multipart(body, content_type, rules=rules, learned=learned)
    if kind == "form":
        return _form(body, rules=rules, learned=learned)
    if kind == "text" and not is_structure(body):
        return SwappedBody(body)
    return swap_json(body, rules.body, learned=learned)


def is_structure(text: bytes) -> bool:
    """Return whether a text starts as a JSON object or list does, in whatever coding."""
    return text.lstrip(b"\xef\xbb\xbf\xfe\xff\0 \t\r\n")[:1] in (b"{", b"[")


def swap_json(text: bytes, root: Node[tuple[Rule, ...]], *, learned: Learned) -> SwappedBody:
    """Return a JSON text with twins for what `root` leads to; a twin not known yet leaves null. Raises Unreadable."""
    try:
        read_json(text)
    except NotJson as error:
        raise Unreadable(f"body is {error}") from None
    replacements: list[tuple[int, int, bytes]] = []
    swapped: list[str] = []
    removed: list[str] = []
    for span in find_spans(text, root):
        old = text[span.start : span.end]
        if old in _EMPTY:
            continue
        label, new = _instead(old, span.leaf, learned=learned)
        replacements.append((span.start, span.end, new or b"null"))
        (removed if new is None else swapped).append(label)
    if not replacements:
        return SwappedBody(text)
    return SwappedBody(replace_spans(text, replacements), tuple(swapped), tuple(removed))


def _instead(old: bytes, rules: tuple[Rule, ...], *, learned: Learned) -> tuple[str, bytes | None]:
    """Return the label of a place and what to put there (None: nothing is known that may stand there)."""
    value = orjson.loads(old) if old.startswith(b'"') else ""
    rule = choose(rules, value)
    twin = rule.twin(learned) if rule is not None else None
    if rule is None or twin is None:
        known = rule or (rules[0] if rules else None)
        return known.label if known else "message key", None
    return rule.label, orjson.dumps(rule.written(twin))


def _form(body: bytes, *, rules: Rules, learned: Learned) -> SwappedBody:
    if b"\0" in body:
        raise Unreadable("form with a NUL")
    found = swap_form(body.decode("utf-8", "surrogateescape"), rules=rules.form, learned=learned)
    return SwappedBody(found.text.encode("utf-8", "surrogateescape"), found.swapped, found.removed)


def _multipart(body: bytes, content_type: bytes, *, rules: Rules, learned: Learned) -> SwappedBody:
    try:
        parts = split_form(body, content_type)
    except NotMultipart as error:
        raise Unreadable(f"multipart form with {error}") from None
    replacements: list[tuple[int, int, bytes]] = []
    swapped: list[str] = []
    removed: list[str] = []
    for part in parts:
        rule = rules.form.get(fold(part.name.strip().partition("[")[0]))
        if rule is None:
            continue
        if part.coded:
            raise Unreadable("multipart form with a coded field")
        twin = rule.twin(learned)
        replacements.append((part.start, part.end, (twin or "").encode()))
        (removed if twin is None else swapped).append(rule.label)
    if not replacements:
        return SwappedBody(body)
    return SwappedBody(replace_spans(body, replacements), tuple(swapped), tuple(removed))
