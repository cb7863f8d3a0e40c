"""The head of a request on its way to a sandbox: fields and query with twins in place of credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

from switchboard.credential_cookies import swap_cookies
from switchboard.credential_rules import Learned, Plan, Rule, Rules, choose
from switchboard.headers import Field, canonical, clean_query
from switchboard.parameters import swap_query
from switchboard.twins import fold, in_subprotocol, is_prefix

_PLAIN_SUBPROTOCOL = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}")


@dataclass(frozen=True, slots=True)
class Swapped:
    """A request's head for the sandbox.

    `plain`: the client's fields that hold no credential, still to be screened by `headers.to_sandbox`. `vouched`:
    fields with twins, to be added after that, which would take them for credentials. `target`: the request target.
    `swapped` and `removed`: labels of places, for counting; never a value.
    """

    plain: tuple[Field, ...]
    vouched: tuple[Field, ...]
    target: str
    swapped: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        return self.plain + self.vouched


def swap_head(fields: Sequence[Field], target: str, *, rules: Rules, learned: Learned) -> Swapped:
    """Return fields and request target with twins in every place that has a rule.

    Where a learned twin is not known yet the place is taken out, as is what looks like a credential and has no rule.
    `learned`: what `learn` found, by rule key.
    """
    fields = tuple(fields)
    plan = rules.plan(tuple([name for name, _ in fields]))
    path, in_query, out_of_query = _target(target, rules=rules, learned=learned)
    if not (plan.ruled or plan.cookies or plan.subprotocols):
        plain = tuple(compress(fields, plan.plain)) if plan.removed else fields
        return Swapped(plain, (), path, in_query, plan.removed + out_of_query)
    vouched: list[Field] = []
    swapped: list[str] = []
    removed = list(plan.removed)
    for part in (_ruled, _cookies, _subprotocols):
        for field, put, out in part(fields, plan, rules=rules, learned=learned):
            vouched += [field] if field is not None else []
            swapped += put
            removed += out
    plain = tuple(compress(fields, plan.plain))
    return Swapped(plain, tuple(vouched), path, (*swapped, *in_query), (*removed, *out_of_query))


_Part = Iterator[tuple[Field | None, Sequence[str], Sequence[str]]]  # field to send, labels swapped, labels removed


def _ruled(fields: tuple[Field, ...], plan: Plan, *, rules: Rules, learned: Learned) -> _Part:
    """Give each ruled field once: two of one name could mean two things to two servers."""
    seen = set()
    for at, candidates in plan.ruled:
        name, value = fields[at]
        rule = choose(candidates, value.decode("latin-1"))
        twin = rule.twin(learned) if rule is not None else None
        lower = canonical(name)
        if rule is None or twin is None:
            yield None, (), (candidates[0].label if rule is None else rule.label,)
        elif lower not in seen:
            seen.add(lower)
            yield (name, rule.written(twin).encode("latin-1")), (rule.label,), ()


def _cookies(fields: tuple[Field, ...], plan: Plan, *, rules: Rules, learned: Learned) -> _Part:
    if plan.cookies:
        found = swap_cookies([fields[at][1] for at in plan.cookies], rules=rules, learned=learned)
        field = (b"Cookie", found.value) if found.value is not None else None
        yield field, found.swapped, found.removed


def _subprotocols(fields: tuple[Field, ...], plan: Plan, *, rules: Rules, learned: Learned) -> _Part:
    """Rewrite the offered subprotocols: tokens are known to travel among them (LEAKS WS-03)."""
    if not plan.subprotocols:
        return
    offered = b",".join([fields[at][1] for at in plan.subprotocols]).decode("latin-1").split(",")
    kept: list[str] = []
    swapped: list[str] = []
    removed: list[str] = []
    follows: Rule | None = None
    for entry in filter(None, map(str.strip, offered)):
        rule, follows = follows, None
        name, rule = ("", rule) if rule is not None else _prefixed(entry, rules)
        twin = rule.twin(learned) if rule is not None else None
        if rule is not None and twin is not None:
            kept.append(name + in_subprotocol(twin, rule.name))
            swapped.append(rule.label)
        elif rule is not None:
            removed.append(rule.label)
        elif (follows := _before(entry, rules)) is not None:
            kept.append(follows.name)
        elif _is_plain(entry, rules):
            kept.append(entry)
    value = ", ".join(kept).encode("latin-1")
    yield (b"Sec-WebSocket-Protocol", value) if kept else None, swapped, removed


def _prefixed(entry: str, rules: Rules) -> tuple[str, Rule | None]:
    for rule in rules.subprotocols:
        if is_prefix(rule.name) and fold(entry).startswith(fold(rule.name)):
            return rule.name, rule
    return "", None


def _before(entry: str, rules: Rules) -> Rule | None:
    return next((r for r in rules.subprotocols if not is_prefix(r.name) and fold(entry) == fold(r.name)), None)


def _is_plain(entry: str, rules: Rules) -> bool:
    name = entry.encode("latin-1")
    return (
        _PLAIN_SUBPROTOCOL.fullmatch(entry) is not None and not rules.suspects(name) and b"bearer" not in name.lower()
    )


def _target(target: str, *, rules: Rules, learned: Learned) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    if not rules.query and not rules.names:
        cleaned, removed = clean_query(target)
        return cleaned, (), removed
    path, question, query = target.partition("?")
    path, in_path = clean_query(path)  # paths have parameters too
    if not question:
        return path, (), in_path
    found = swap_query(query, rules=rules.query, names=rules.names, learned=learned)
    is_left = found.text or not found.removed
    return (f"{path}?{found.text}" if is_left else path), found.swapped, in_path + found.removed
