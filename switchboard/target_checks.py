"""What keys of one target mean together: every production host answered for, no route back into production."""

from __future__ import annotations

import re
from collections.abc import Iterator

from switchboard.authority import Unclear
from switchboard.credential_checks import credential_findings
from switchboard.estate import Estate, HostPattern, Listener, Origin, Route, Target
from switchboard.mock_checks import mock_findings
from switchboard.overlap import collide, find_network, listener_places, production_place
from switchboard.switch import parse_address
from switchboard.world import mock_key
from switchboard.yaml_lines import Finding, Loc, shorten

_COOKIE_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 6265 4.1.1


def target_findings(estate: Estate, name: str) -> Iterator[Finding]:
    """Yield everything that is wrong with one target of an estate whose keys are sound one by one."""
    target = estate.targets[name]
    place: Loc = ("targets", name)
    yield from _left_open(estate, target, place)
    yield from _routes(estate, target, place)
    yield from _exceptions(estate, target, place)
    yield from _mocks(target, place)
    yield from credential_findings(target, place)
    yield from _exposed(target, place)


def _left_open(estate: Estate, target: Target, place: Loc) -> Iterator[Finding]:
    named = {route.origin.host for route in target.routes}
    for mock in target.mocks:
        try:
            named.add(mock_key(mock)[1][1])
        except Unclear:
            continue  # reported by _mocks
    for host in estate.production.hosts:
        if not (host.name in named and not host.wildcard) and not any(_covers(block, host) for block in target.block):
            remedy = "list it in 'block'" if host.wildcard else "route it, mock it or list it in 'block'"
            yield Finding(place, repr(str(host)), f"covered by this target: {remedy}")


def _covers(wide: HostPattern, narrow: HostPattern) -> bool:
    if narrow.wildcard:
        return wide.wildcard and (wide.name == narrow.name or wide.matches(narrow.name))
    return wide.matches(narrow.name)


def _routes(estate: Estate, target: Target, place: Loc) -> Iterator[Finding]:
    seen: dict[tuple[str, int, str, str], Origin] = {}
    for index, route in enumerate(target.routes):
        loc: Loc = (*place, "routes", index)
        yield from _destination(estate, target, (*loc, "to"), route=route)
        keys = [(scheme, port, route.origin.host, route.origin.prefix) for scheme, port in route.origin.ports]
        if earlier := next((seen[key] for key in keys if key in seen), None):
            expected = f"used once: the route from {str(earlier)!r} covers it already"
            yield Finding((*loc, "from"), repr(str(route.origin)), expected)
        seen |= dict.fromkeys(keys, route.origin)


def _destination(estate: Estate, target: Target, loc: Loc, *, route: Route) -> Iterator[Finding]:
    to, shown = route.to, repr(str(route.to))
    port = to.ports[0][1]
    if pattern := next((p for p in estate.production.hosts if p.matches(to.host)), None):
        yield Finding(loc, shown, f"a sandbox: production.hosts lists {str(pattern)!r}")
    address = parse_address(to.host)
    if reason := production_place(estate, address, port):
        yield Finding(loc, shown, f"a sandbox: it is {reason}")
    elif address is not None:
        there = Listener(host=str(address), port=port)
        if any(collide(there, listener) for _, listener in listener_places(estate)):
            yield Finding(loc, shown, "a sandbox: it is our own listener")
        if target.networks and find_network(target.networks, address) is None:
            yield Finding(loc, shown, "within this target's 'networks'")
    elif not target.networks and not estate.production.networks:
        # Whatever this name resolves to would be dialled, production's address included (LEAKS DN-10).
        yield Finding(loc, shown, "a name whose address can be checked: list it in the target's 'networks'")
    if to.scheme == "https" and target.ca is None:
        yield Finding(loc, shown, "trusted: an https 'to' needs the target's 'ca', the only trust for TLS to it")


def _exceptions(estate: Estate, target: Target, place: Loc) -> Iterator[Finding]:
    for index, allowed in enumerate(target.allow):
        if any(_covers(pattern, allowed) for pattern in estate.production.hosts):
            expected = "outside production: route it, mock it or list it in 'block'"
            yield Finding((*place, "allow", index), repr(str(allowed)), expected)


def _mocks(target: Target, place: Loc) -> Iterator[Finding]:
    for index, mock in enumerate(target.mocks):
        loc: Loc = (*place, "mocks", index)
        try:
            mock_key(mock)
        except Unclear as error:
            expected = f"a method and a URL with one host, '*' only in its path ({error})"
            yield Finding((*loc, "match"), shorten(mock.match), expected)
        yield from mock_findings(mock, loc)


def _exposed(target: Target, place: Loc) -> Iterator[Finding]:
    for index, name in enumerate(target.expose):
        if not _COOKIE_NAME.fullmatch(name):
            yield Finding((*place, "expose", index), shorten(name), "the name of a cookie like 'XSRF-TOKEN'")
