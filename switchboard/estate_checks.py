"""What keys of an estate mean together: nothing of production left open, no way that leads back into it.

Each check yields findings at places of the file; `estate_file` turns them into problems with lines.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations

from pydantic import TypeAdapter, ValidationError

from switchboard.authority import Network, Unclear
from switchboard.estate import Estate, Host, HostPattern, Net, connect_key, parse_listener
from switchboard.overlap import collide, find_network, is_within, listener_places, overlap, production_place
from switchboard.switch import parse_address
from switchboard.target_checks import target_findings
from switchboard.yaml_lines import Finding, Loc, shorten

Resolve = Callable[[str], Sequence[str]]

_NETWORK: TypeAdapter[Network] = TypeAdapter(Net)
_HOST: TypeAdapter[HostPattern] = TypeAdapter(Host)


def estate_findings(estate: Estate) -> tuple[Finding, ...]:
    """Return everything that is wrong with an estate whose keys are sound one by one."""
    found: list[Finding] = []
    for check in (_production, _connect, _cohorts, _deny, _listeners, _upstream_dns):
        found += check(estate)
    for name in estate.targets:
        found += target_findings(estate, name)
    return tuple(found)


def estate_warnings(estate: Estate) -> tuple[str, ...]:
    """Return what is allowed but probably not meant: one sentence each."""
    taken = [(f"production network {net}", net) for net in estate.production.networks]
    for name, target in estate.targets.items():
        taken += [(f"network {net} of target {name!r}", net) for net in target.networks]
    for place, listener in listener_places(estate):
        if not ipaddress.ip_address(listener.host).is_unspecified:
            taken.append((f"listener {place[1]} {listener}", ipaddress.ip_network(listener.host)))
    served = estate.served_clients
    warnings = []
    for name, cohort in estate.cohorts.items():
        for net in cohort.clients:
            warnings += [f"cohort {name!r}: {net} overlaps {what}" for what, other in taken if overlap(net, other)]
            if not any(is_within(net, other) for other in served):
                warnings.append(f"cohort {name!r}: {net} is not within 'clients' and will be refused")
    return tuple(warnings)


def resolve_problems(estate: Estate, resolve: Resolve) -> tuple[str, ...]:
    """Return the routes whose `to` is a name that resolves to production, one sentence each.

    `resolve` gives a name's addresses as text, none where it does not resolve.
    """
    problems = []
    for name, target in estate.targets.items():
        for index, route in enumerate(target.routes):
            if parse_address(route.to.host) is not None:
                continue  # a literal: estate_findings has judged it
            for text in resolve(route.to.host):
                if reason := production_place(estate, parse_address(text), route.to.ports[0][1]):
                    place = f"targets.{name}.routes[{index}].to"
                    problems.append(f"{place}: {str(route.to)!r} resolves to {text}, which is {reason}")
    return tuple(problems)


def _production(estate: Estate) -> Iterator[Finding]:
    for index, net in enumerate(estate.production.networks):
        for name, target in estate.targets.items():
            for other in target.networks:
                if overlap(net, other):
                    expected = f"apart from the network {other} of target {name!r}"
                    yield Finding(("production", "networks", index), repr(str(net)), expected)


def _connect(estate: Estate) -> Iterator[Finding]:
    production = estate.production
    for key, place in production.connect.items():
        loc: Loc = ("production", "connect", key)
        for own, listener in listener_places(estate):
            if collide(place, listener):
                expected = f"apart from our own listener {own[1]} {listener}"
                yield Finding(loc, repr(str(place)), expected)
        try:
            host, port = connect_key(key)
        except Unclear as error:
            yield Finding(loc, shorten(key), f"a production host, or host:port ({error})")
            continue
        if not any(pattern.matches(host) for pattern in production.hosts):
            yield Finding(loc, shorten(key), "a host that production.hosts lists, or host:port")
        elif key != (written := host if port is None else f"{host}:{port}"):
            yield Finding(loc, shorten(key), f"in its plain spelling {written!r}")


def _cohorts(estate: Estate) -> Iterator[Finding]:
    if "none" in estate.cohorts:
        yield Finding(("cohorts", "none"), "'none'", "free as a name: '--cohort none' means traffic only")
    for (name, one), (later, other) in combinations(estate.cohorts.items(), 2):
        for index, net in enumerate(other.clients):
            if any(overlap(net, earlier) for earlier in one.clients):
                expected = f"apart from cohort {name!r}: a client belongs to one cohort"
                yield Finding(("cohorts", later, "clients", index), repr(str(net)), expected)
        for user in other.users:
            if user in one.users:
                expected = f"apart from cohort {name!r}: a login belongs to one cohort"
                yield Finding(("cohorts", later, "users", user), shorten(user), expected)


def _deny(estate: Estate) -> Iterator[Finding]:
    for index, entry in enumerate(estate.deny):
        if not (_is_valid(_NETWORK, entry) or _is_valid(_HOST, entry)):
            expected = "a host, a host with a leading wildcard, an address or a network with no host bits set"
            yield Finding(("deny", index), shorten(entry), expected)


def _is_valid(kind: TypeAdapter[Network] | TypeAdapter[HostPattern], text: str) -> bool:
    try:
        kind.validate_python(text)
    except ValidationError:
        return False
    return True


def _listeners(estate: Estate) -> Iterator[Finding]:
    networks = estate.production.networks
    address = estate.listeners.address
    if address is not None:
        parsed = parse_address(address)
        if parsed is None:
            yield Finding(("listeners", "address"), shorten(address), "an IP address like '10.77.0.1'")
        elif (net := find_network(networks, parsed)) is not None:
            yield Finding(("listeners", "address"), shorten(address), f"outside the production network {net}")
    places = tuple(listener_places(estate))
    for loc, listener in places:
        if (net := find_network(networks, ipaddress.ip_address(listener.host))) is not None:
            yield Finding(loc, repr(str(listener)), f"outside the production network {net}")
    for (earlier, one), (loc, other) in combinations(places, 2):
        if collide(one, other):
            yield Finding(loc, repr(str(other)), f"free: the listener {earlier[1]} {one} has it")


def _upstream_dns(estate: Estate) -> Iterator[Finding]:
    for index, entry in enumerate(estate.upstream_dns):
        try:
            if entry != "system" and parse_address(entry) is None:
                parse_listener(entry)
        except ValueError:
            yield Finding(("upstream_dns", index), shorten(entry), "'system', an address or an address with a port")
