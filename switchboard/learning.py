"""What a sandbox's answer teaches: the credentials it issues, to stand in for production's from then on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from switchboard.credential_body import body_kind, content_type
from switchboard.credential_rules import Rule, Rules
from switchboard.headers import Field, canonical
from switchboard.json_spans import NotJson, parse_pointer, read_json
from switchboard.twins import fold, twin_flaw

_FORGOTTEN = ""
_steps = lru_cache(parse_pointer)  # of rules, never of what comes from outside


class _Answer:
    """An answer's fields read once for all rules: of headers the first one of a name counts."""

    def __init__(self, fields: Sequence[Field], document: object) -> None:
        self.headers = {canonical(name): value.decode("latin-1") for name, value in reversed(fields)}
        self.cookies = _cookies(fields)
        self.document = document


def needs_answer(fields: Iterable[Field], rules: Rules) -> bool:
    """Return whether an answer's body must be read, without content coding, to learn from it."""
    return rules.learns_bodies and body_kind(content_type(fields)) == "json"


def learn(fields: Sequence[Field], body: bytes | None, *, rules: Rules) -> dict[str, str]:
    """Return the credentials that an answer issues, by rule key; "" for a cookie that it deletes.

    `body` is without content coding, None where it was not read. What could not stand in its place is not learned.
    """
    if not rules.learns:
        return {}
    answer = _Answer(fields, _document(fields, body) if rules.learns_bodies and body else None)
    issued = [(rule, _issued(rule, answer)) for rule in rules.learners]
    return {rule.key: text for rule, text in issued if text is not None and _is_usable(rule, text)}


def _is_usable(rule: Rule, text: str) -> bool:
    if text == _FORGOTTEN:
        return rule.learn is not None and rule.learn.cookie is not None
    return twin_flaw(text, place=rule.place, name=rule.name) is None


def _document(fields: Sequence[Field], body: bytes) -> object:
    if body_kind(content_type(fields)) != "json":
        return None
    try:
        return read_json(body)
    except NotJson:
        return None  # a sandbox's broken answer teaches nothing, and goes on as it is


def _issued(rule: Rule, answer: _Answer) -> str | None:
    where = rule.learn
    assert where is not None
    if where.cookie is not None:
        return answer.cookies.get(fold(where.cookie)) if answer.cookies else None
    if where.header is not None:
        found = answer.headers.get(_header(where.header))
    else:
        value = _at(answer.document, _steps(where.pointer or "")) if answer.document is not None else None
        found = value if isinstance(value, str) else None
    return _bare(found, rule)


@lru_cache
def _header(name: str) -> bytes:
    return canonical(name.encode())


def _bare(text: str | None, rule: Rule) -> str | None:
    """Return what was issued without the rule's scheme, which some sandboxes put before it."""
    if text is None or rule.scheme is None or not rule.covers(text):
        return text
    return text.strip().replace("\t", " ").partition(" ")[2].strip()


def _cookies(fields: Sequence[Field]) -> dict[str, str]:
    """Return the value of each cookie that is set, by its folded name, the last of one name; "" for one deleted."""
    found = {}
    for name, line in fields:
        if name.lower() == b"set-cookie":
            pair, _, attributes = line.decode("latin-1").partition(";")
            key, _, value = pair.partition("=")
            found[fold(key.strip())] = _FORGOTTEN if _deletes(attributes) else value.strip()
    return found


def _deletes(attributes: str) -> bool:
    """Return whether a cookie's attributes end its life: a Max-Age that is over, else an Expires long past."""
    found = {key.strip().lower(): value.strip() for key, _, value in (a.partition("=") for a in attributes.split(";"))}
    age = found.get("max-age", "").strip('"')
    if age.removeprefix("-").isdecimal():
        return age.startswith("-") or not age.strip("0")
    return any(year in found.get("expires", "").replace("-", " ") for year in (" 1970", " 1969", " 1601", " 70 "))


def _at(document: object, pointer: tuple[str, ...]) -> object:
    for step in pointer:
        if isinstance(document, dict):
            document = next((value for key, value in document.items() if fold(key) == step), None)
        elif isinstance(document, list) and step.isdecimal() and int(step[:9]) < len(document):
            document = document[int(step)]
        else:
            return None
    return document
