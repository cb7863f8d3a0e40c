"""What nearly matched a request, and why it did not: for people who wonder about a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from switchboard import pathname
from switchboard.authority import DEFAULT_PORTS, Authority
from switchboard.estate import HostPattern, Route
from switchboard.switch import Switch
from switchboard.verdict import Ask, Verdict
from switchboard.world import MockRule, World

MOST = 20


@dataclass(frozen=True, slots=True)
class NearMiss:
    """`kind`: route, mock, host or pattern; `rule` as in the estate file; `why`: all that keeps it from matching."""

    kind: str
    rule: str
    why: tuple[str, ...]


def near_misses(ask: Ask, at: Authority, verdict: Verdict, *, switch: Switch, world: World) -> tuple[NearMiss, ...]:
    """Return what a request for `at` nearly matched in a world, at most 20."""
    found = [*_routes(ask, at, verdict, world=world), *_mocks(ask, at, verdict, world=world)]
    if at.host not in _hosts(world):
        found += [*_close_hosts(at.host, switch, world), *_patterns(at.host, switch, world)]
    return tuple(found[:MOST])


def route_text(route: Route) -> str:
    """Return a route in one line: its name, where from and where to, its methods."""
    name = f"{route.name}: " if route.name else ""
    methods = f" [{', '.join(route.methods)}]" if route.methods is not None else ""
    return f"{name}{route.origin} -> {route.to}{methods}"


def _routes(ask: Ask, at: Authority, verdict: Verdict, *, world: World) -> Iterator[NearMiss]:
    path, _ = pathname.split_target(ask.target)
    parts = pathname.segments(path)
    for route in world.target.routes:
        if route.origin.host != at.host or (route.name or str(route.origin)) == verdict.route:
            continue
        why = tuple(_why_not(route, ask, at=at, parts=parts))
        if not why and verdict.route is not None:
            why = (f"{verdict.route} has the longer prefix",)
        if why:
            yield NearMiss("route", route_text(route), why)


def _why_not(route: Route, ask: Ask, *, at: Authority, parts: pathname.Segments) -> Iterator[str]:
    schemes = dict(route.origin.ports)
    if ask.scheme not in schemes:
        yield f"scheme: it is for {route.origin.scheme}, asked was {ask.scheme}"
    expected = schemes.get(ask.scheme) or route.origin.port or DEFAULT_PORTS[ask.scheme]
    if at.port != expected:
        yield f"port: it is for {schemes.get(ask.scheme) or next(iter(schemes.values()))}, asked was {at.port}"
    if not pathname.under(pathname.prefix_segments(route.origin.prefix), parts):
        yield f"prefix: the path is not under {route.origin.prefix}"
    if route.methods is not None and ask.method not in route.methods:
        yield f"method: it accepts {', '.join(route.methods)}, asked was {ask.method}"


def _mocks(ask: Ask, at: Authority, verdict: Verdict, *, world: World) -> Iterator[NearMiss]:
    for (scheme, host, port), rules in world.mocks.items():
        for rule in rules if host == at.host else ():
            if rule.mock is verdict.mock:
                continue
            why = [] if scheme == ask.scheme else [f"scheme: it is for {scheme}, asked was {ask.scheme}"]
            if scheme == ask.scheme and port != at.port:
                why.append(f"port: it is for {port}, asked was {at.port}")
            why += _why_not_mock(rule, ask)
            if not why and verdict.mock is not None:
                why = ["an earlier mock matches"]
            if why:
                yield NearMiss("mock", rule.mock.match, tuple(why))


def _why_not_mock(rule: MockRule, ask: Ask) -> Iterator[str]:
    if rule.method not in ("*", ask.method):
        yield f"method: it is for {rule.method}, asked was {ask.method}"
    if not rule.matches(ask.method if rule.method == "*" else rule.method, ask.target):
        yield "path: the path and query do not match" if rule.whole_target else "path: the path does not match"


def _hosts(world: World) -> frozenset[str]:
    """Return the exact names that a world has something to say about."""
    routed = {host for _, host, _ in (*world.tables, *world.mocks)}
    return frozenset(routed) | world.allow.exact | world.block.exact


def _close_hosts(host: str, switch: Switch, world: World) -> Iterator[NearMiss]:
    known = _hosts(world) | switch.production.exact | switch.denied_hosts.exact
    found = [(close, name) for name in known - {host} if (close := how_close(host, name))]
    for close, name in sorted(found, key=lambda pair: (not pair[0].endswith("character"), pair[1])):
        yield NearMiss("host", name, (close,))


def _patterns(host: str, switch: Switch, world: World) -> Iterator[NearMiss]:
    groups = {
        "production.hosts": switch.estate.production.hosts,
        "block": world.target.block,
        "allow": world.target.allow,
        "deny": denied_hosts(switch),
    }
    for key, patterns in groups.items():
        for pattern in patterns:
            if pattern.wildcard and (close := _pattern_miss(host, pattern.name)):
                yield NearMiss("pattern", f"{key}: {pattern}", (close,))


def denied_hosts(switch: Switch) -> tuple[HostPattern, ...]:
    """Return the host names and patterns of the deny list."""
    exact = [HostPattern(name=name) for name in sorted(switch.denied_hosts.exact)]
    below = [HostPattern(name=suffix[1:], wildcard=True) for suffix in switch.denied_hosts.suffixes]
    return (*exact, *below)


def _pattern_miss(host: str, name: str) -> str | None:
    if host == name:
        return "a wildcard covers what is below the name, not the name itself"
    if host.endswith(name) and not host.endswith(f".{name}"):
        return "the wildcard needs a dot before the name"
    labels, wanted = host.split("."), name.count(".") + 1
    tail = ".".join(labels[-wanted:])
    if len(labels) > wanted and tail != name and _is_edit(tail, name):
        return f"{tail} differs by one character"
    return None


def how_close(host: str, name: str) -> str | None:
    """Return how two different names are alike: by one character, or by one label; None where they are not."""
    if _is_edit(host, name):
        return "differs by one character"
    ours, theirs = host.split("."), name.split(".")
    if len(ours) == len(theirs) and len(ours) > 2:
        differing = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
        if len(differing) == 1:
            return f"differs by one label: {differing[0][1]}, asked was {differing[0][0]}"
    longer, shorter = (ours, theirs) if len(ours) > len(theirs) else (theirs, ours)
    if len(longer) == len(shorter) + 1 and len(shorter) > 1:
        for at, label in enumerate(longer):
            if longer[:at] + longer[at + 1 :] == shorter:
                return f"differs by one label: {label} is {'too many' if longer is ours else 'missing'}"
    return None


def _is_edit(one: str, other: str) -> bool:
    """Return whether one character more, less, changed, or swapped with its neighbour makes one of the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    a, b = one[start:], other[start:]
    swapped = len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]
