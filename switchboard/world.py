"""A target compiled for fast decisions: routes as dictionaries and prefix tables, mocks by host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from switchboard import pathname
from switchboard.authority import parse_authority
from switchboard.credentials import Rules, compile_rules
from switchboard.estate import HostPattern, Mock, Route, Target
from switchboard.mapping import UrlMap
from switchboard.verdict import Upstream

Key = tuple[str, str, int]  # scheme, host, port


@dataclass(frozen=True, slots=True)
class Hosts:
    """Host patterns for lookup without a scan over exact names."""

    exact: frozenset[str]
    suffixes: tuple[str, ...]

    @classmethod
    def of(cls, patterns: tuple[HostPattern, ...]) -> Hosts:
        return cls(
            exact=frozenset(p.name for p in patterns if not p.wildcard),
            suffixes=tuple("." + p.name for p in patterns if p.wildcard),
        )

    def __contains__(self, host: object) -> bool:
        return host in self.exact or (bool(self.suffixes) and str(host).endswith(self.suffixes))


@dataclass(frozen=True, slots=True)
class Lane:
    """One route, compiled: decoded prefix, where it leads, which methods it takes (None: all)."""

    prefix: pathname.Segments
    upstream: Upstream
    to_prefix: str
    methods: frozenset[str] | None
    name: str


@dataclass(frozen=True, slots=True)
class Table:
    """The lanes of one production origin, longest prefix first. `strict`: some prefix matters here."""

    lanes: tuple[Lane, ...]
    strict: bool


@dataclass(frozen=True, slots=True)
class MockRule:
    method: str
    key: Key
    path: re.Pattern[str]
    whole_target: bool
    mock: Mock

    def matches(self, method: str, target: str) -> bool:
        if self.method not in ("*", method):
            return False
        text = target if self.whole_target else pathname.split_target(target)[0]
        return self.path.fullmatch(unquote(text)) is not None


@dataclass(frozen=True, slots=True)
class World:
    """A sandbox as decisions and rewriting need it. `no_rules` are for hosts that are let through by `allow`."""

    name: str
    target: Target
    tables: dict[Key, Table]
    mocks: dict[Key, tuple[MockRule, ...]]
    block: Hosts
    allow: Hosts
    places: dict[tuple[str, int], Upstream]
    url_map: UrlMap
    rules: Rules
    no_rules: Rules

    @property
    def allow_unlisted(self) -> bool:
        return self.target.unlisted == "allow"

    @property
    def isolates(self) -> bool:
        """Return whether the sandbox's cookies stay in the switchboard's jar."""
        return self.target.cookies == "isolate"

    @property
    def expose(self) -> tuple[str, ...]:
        return self.target.expose


def _lane(route: Route) -> Lane:
    to = route.to
    assert to.scheme is not None
    return Lane(
        prefix=pathname.prefix_segments(route.origin.prefix),
        upstream=Upstream(to.scheme, to.host, to.ports[0][1], h2=route.h2),
        to_prefix=to.prefix,
        methods=frozenset(route.methods) if route.methods is not None else None,
        name=route.name or str(route.origin),
    )


def _tables(routes: tuple[Route, ...]) -> dict[Key, Table]:
    lanes: dict[Key, list[Lane]] = {}
    for route in routes:
        for scheme, port in route.origin.ports:
            lanes.setdefault((scheme, route.origin.host, port), []).append(_lane(route))
    return {
        key: Table(
            lanes=tuple(sorted(found, key=lambda lane: len(lane.prefix), reverse=True)),
            strict=any(lane.prefix or lane.to_prefix for lane in found),
        )
        for key, found in lanes.items()
    }


def mock_key(mock: Mock) -> tuple[str, Key, str]:
    """Return method, (scheme, host, port) and path pattern of a mock's `match`; raises Unclear."""
    method, _, url = mock.match.partition(" ")
    scheme, _, rest = url.partition("://")
    authority_text, slash, path = rest.partition("/")
    authority = parse_authority(authority_text, scheme)
    return method, (scheme, authority.host, authority.port), slash + path


def _mocks(mocks: tuple[Mock, ...]) -> dict[Key, tuple[MockRule, ...]]:
    found: dict[Key, list[MockRule]] = {}
    for mock in mocks:
        method, key, path = mock_key(mock)
        pattern = re.compile(".*".join(map(re.escape, path.split("*"))), re.DOTALL)
        found.setdefault(key, []).append(MockRule(method, key, pattern, "?" in path, mock))
    return {key: tuple(rules) for key, rules in found.items()}


def _places(tables: dict[Key, Table]) -> dict[tuple[str, int], Upstream]:
    return {
        (lane.upstream.host, lane.upstream.port): lane.upstream for table in tables.values() for lane in table.lanes
    }


def compile_world(
    name: str, target: Target, *, names: tuple[str, ...] = (), secrets: Mapping[int, str] | None = None
) -> World:
    """Compile one target; `places` are what a drill may dial.

    `names` extend what looks like a credential, `secrets` are the values of fixed twins by their index in
    `credentials`; None is for those who only decide and send nothing of a client's. Raises BadInput for a twin that
    cannot be sent.
    """
    ruled = target if secrets is not None else target.model_copy(update={"credentials": ()})
    tables = _tables(target.routes)
    return World(
        name=name,
        target=target,
        tables=tables,
        mocks=_mocks(target.mocks),
        block=Hosts.of(target.block),
        allow=Hosts.of(target.allow),
        places=_places(tables),
        url_map=UrlMap.of(target),
        rules=compile_rules(ruled, names=names, secrets=secrets or {}),
        no_rules=compile_rules(Target(), names=names, secrets={}),
    )
