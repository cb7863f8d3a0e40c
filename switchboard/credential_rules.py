"""A target's credential rules, compiled: by place and name, with the twins that are known already.

Values of twins are held here and nowhere shown: not in reprs, not in errors, not in labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from switchboard.errors import BadInput
from switchboard.estate import Credential, Learn, Target
from switchboard.headers import canonical, looks_like_credential
from switchboard.json_spans import Node, Pointer, parse_pointer, wanted
from switchboard.twins import fold, in_field, twin_flaw

Learned = Mapping[str, str]

# Places that answers have as well; twins for others need to be told where they are issued.
IN_ANSWERS = frozenset({"header", "metadata", "cookie", "json"})

_MOST_REMEMBERED, _LARGEST_REMEMBERED = 256, 4096
_FIELDS = frozenset({"header", "metadata", "basic"})


@dataclass(frozen=True, slots=True)
class Rule:
    """One credential. `key` names it to every worker alike, `label` counts it; neither holds a value.

    `name` is as the application spells it. `fixed` None: the twin is learned, as `learn` says.
    """

    key: str
    label: str
    place: str
    name: str
    scheme: str | None
    pointer: Pointer | None
    learn: Learn | None
    fixed: str | None = field(repr=False)

    def twin(self, learned: Learned) -> str | None:
        """Return the twin, None where none is known yet; what was learned is checked again."""
        if self.fixed is not None:
            return self.fixed
        text = learned.get(self.key)
        return text if text and twin_flaw(text, place=self.place, name=self.name) is None else None

    def covers(self, value: str) -> bool:
        """Return whether a header's value has this rule's scheme (RFC 9110 11.1), where it has one."""
        if self.scheme is None:
            return True
        scheme, _, rest = value.strip().replace("\t", " ").partition(" ")
        return bool(rest) and scheme.casefold() == self.scheme.casefold()

    def written(self, twin: str) -> str:
        """Return the twin as a header's value, or as what stands for one in a message."""
        return in_field(twin, place=self.place, scheme=self.scheme)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request's field names say by themselves: places of the fields that somebody must look at.

    `plain`: the others, which cross as they are. `removed`: those without a rule that look like credentials.
    """

    plain: tuple[bool, ...]
    ruled: tuple[tuple[int, tuple[Rule, ...]], ...]
    cookies: tuple[int, ...]
    subprotocols: tuple[int, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """All rules of one target. `body_kinds`: of request bodies that must be read whole (`credential_body`).

    `learns`: answers teach something; `learns_bodies`: also those in JSON. `passes`: `cookies: pass`.
    """

    is_empty: bool
    body_kinds: frozenset[str]
    learns: bool
    learns_bodies: bool
    passes: bool
    names: frozenset[str]
    fields: Mapping[bytes, tuple[Rule, ...]]
    cookies: Mapping[str, Rule]
    query: Mapping[str, Rule]
    form: Mapping[str, Rule]
    subprotocols: tuple[Rule, ...]
    learners: tuple[Rule, ...]
    body: Node[tuple[Rule, ...]]
    message: Node[tuple[Rule, ...]]
    messages: Mapping[Pointer, Rule]
    _plans: dict[tuple[bytes, ...], Plan] = field(default_factory=dict, repr=False)

    def suspects(self, name: bytes) -> bool:
        """Return whether a field of this name looks like a credential, here or anywhere."""
        return looks_like_credential(name) or canonical(name).decode("latin-1") in self.names

    def candidates(self, key: str) -> tuple[Rule, ...] | None:
        """Return the rules for a key that stands for a header in a message; none but a suspect: (), else None."""
        name = key.encode("utf-8", "surrogatepass")
        found = self.fields.get(canonical(name))
        return found if found is not None else (() if self.suspects(name) else None)

    def plan(self, names: tuple[bytes, ...]) -> Plan:
        """Return what field names say; clients send the same rows of names all the time."""
        found = self._plans.get(names)
        if found is None:
            found = self._planned(names)
            # They come from outside: only few and short rows are remembered, and never a value.
            if sum(map(len, names)) <= _LARGEST_REMEMBERED:
                if len(self._plans) >= _MOST_REMEMBERED:
                    self._plans.clear()
                self._plans[names] = found
        return found

    def _planned(self, names: tuple[bytes, ...]) -> Plan:
        lower = [canonical(name) for name in names]
        cookies = [at for at, name in enumerate(lower) if name == b"cookie" and (self.passes or self.cookies)]
        subprotocols = [at for at, name in enumerate(lower) if name == b"sec-websocket-protocol" and self.subprotocols]
        ruled = [(at, self.fields[name]) for at, name in enumerate(lower) if name in self.fields]
        seen = {*cookies, *subprotocols, *(at for at, _ in ruled)}
        removed = [at for at, name in enumerate(lower) if at not in seen and self.suspects(name)]
        special = seen.union(removed)
        return Plan(
            plain=tuple(at not in special for at in range(len(names))),
            ruled=tuple(ruled),
            cookies=tuple(cookies),
            subprotocols=tuple(subprotocols),
            removed=tuple(lower[at].decode("ascii", "replace") for at in removed),
        )


def compile_rules(target: Target, *, names: tuple[str, ...], secrets: Mapping[int, str]) -> Rules:
    """Compile a target's credentials.

    `names` look like credentials besides the common ones (`credential_names`); `secrets` are the values of fixed
    twins by the index of their credential. Raises BadInput for one that is missing or cannot stand in its place.
    """
    rules = [_rule(credential, at, secrets) for at, credential in enumerate(target.credentials)]
    bodies = {rule.pointer: (rule,) for rule in rules if rule.place == "json" and rule.pointer}
    messages = {rule.pointer: rule for rule in rules if rule.place == "websocket" and rule.pointer}
    form = {fold(rule.name): rule for rule in rules if rule.place == "form"}
    kinds = {"json", "text"} if bodies else set()
    learners = tuple(rule for rule in rules if rule.learn is not None)
    return Rules(
        is_empty=not rules,
        body_kinds=frozenset(kinds | ({"form", "multipart"} if form else set())),
        learns=bool(learners),
        learns_bodies=any(rule.learn and rule.learn.pointer for rule in learners),
        passes=target.cookies == "pass",
        names=frozenset(map(fold, names)),
        fields=_by_field(rules),
        cookies={fold(rule.name): rule for rule in rules if rule.place == "cookie"},
        query={fold(rule.name): rule for rule in rules if rule.place == "query"},
        form=form,
        subprotocols=tuple(rule for rule in rules if rule.place == "websocket" and rule.name),
        learners=learners,
        body=wanted(bodies),
        message=wanted({pointer: (rule,) for pointer, rule in messages.items()}),
        messages=messages,
    )


def choose(rules: tuple[Rule, ...], value: str) -> Rule | None:
    """Return the first rule that covers a value, None where there is none for it."""
    return next((rule for rule in rules if rule.covers(value)), None)


def _by_field(rules: list[Rule]) -> dict[bytes, tuple[Rule, ...]]:
    found: dict[bytes, list[Rule]] = {}
    for rule in rules:
        if rule.place in _FIELDS:
            found.setdefault(canonical(rule.name.encode()), []).append(rule)
    # A rule for one scheme comes before that for any.
    return {name: tuple(sorted(of, key=lambda rule: rule.scheme is None)) for name, of in found.items()}


def _rule(credential: Credential, at: int, secrets: Mapping[int, str]) -> Rule:
    place = credential.place
    is_basic = place == "basic"
    name = "Authorization" if is_basic else credential.name or ""
    label = _label(credential, name)
    fixed = None
    if credential.twin != "learned":
        fixed = secrets.get(at)
        flaw = "there is none" if fixed is None else twin_flaw(fixed, place=place, name=name)
        if flaw is not None:
            raise BadInput(f"credentials[{at}] ({label}): the twin cannot be used: {flaw}", code="twin")
    scheme = "Basic" if is_basic else credential.scheme
    learn = _learn(credential, at) if fixed is None else None
    where = credential.pointer or fold(name)
    return Rule(
        key=":".join(filter(None, (place, where, fold(scheme or "")))),
        label=label,
        place=place,
        name=name,
        scheme=scheme,
        pointer=parse_pointer(credential.pointer) if credential.pointer else None,
        learn=learn,
        fixed=fixed,
    )


def _label(credential: Credential, name: str) -> str:
    if credential.place in _FIELDS:
        return fold(name)
    return f"?{name}" if credential.place == "query" else f"{credential.place} {credential.pointer or name}"


def _learn(credential: Credential, at: int) -> Learn:
    if credential.learn is not None:
        return credential.learn
    if credential.place not in IN_ANSWERS:
        raise BadInput(f"credentials[{at}]: a learned twin of a credential in {credential.place} needs 'learn'")
    if credential.place == "cookie":
        return Learn(cookie=credential.name)
    return Learn(pointer=credential.pointer) if credential.place == "json" else Learn(header=credential.name)
