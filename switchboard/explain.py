"""Why a request is passed, blocked, mocked or forwarded, and what would be sent for it: as a value to be shown.

Everything is asked of what the proxy itself asks (`policy`, `headers`, `crossing`, `credentials`), so that an
explanation cannot disagree with it. Pure: nothing is resolved, dialled or stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from switchboard import headers
from switchboard.authority import Authority, Unclear, parse_authority
from switchboard.crossing import screened
from switchboard.dialing import check_address, live_place
from switchboard.drill import Drill
from switchboard.estate import HostPattern, Route
from switchboard.headers import Field
from switchboard.near_misses import NearMiss, denied_hosts, near_misses, route_text
from switchboard.policy import decide
from switchboard.sending import Sending, send
from switchboard.shown import Disguise, Shown
from switchboard.specimen import Specimen
from switchboard.stand_ins import learned_stand_ins
from switchboard.switch import Switch, parse_address
from switchboard.verdict import Ask, Kind, Upstream, Verdict
from switchboard.world import World

_HTTPS_ONLY = 5  # the rung whose redirect is a mock of our own
_NO_PATH = "no route for this path"


class Standing(StrEnum):
    """What an address is to an estate."""

    MEMBER = "member"  # of a cohort
    SANDBOX = "sandbox"  # in a target's own networks: always treated as in the drill
    SERVED = "served"  # may use the proxy, and is in no cohort
    OUTSIDE = "outside"  # is refused at the door


@dataclass(frozen=True, slots=True)
class Client:
    address: str
    standing: Standing
    cohort: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`client` None: any in the drill. `after` and `dial` None: nothing is sent.

    `status` is 0 where the sandbox answers, `location` where a redirect of our own leads. `swapped` and `removed`
    are labels of places that held a credential, `dropped` names of other fields that do not cross.
    """

    client: Client | None
    drill: Drill
    verdict: Verdict
    status: int
    rule: str
    near: tuple[NearMiss, ...]
    before: Shown
    after: Shown | None = None
    dial: Upstream | None = None
    swapped: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    location: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Basis:
    """What requests are explained against: a switch with one running drill.

    `key` makes the fingerprints. `known`: values that stand in for twins which cannot be read here, with the text
    to show for each. `now` is in Unix seconds.
    """

    switch: Switch
    drill: Drill
    key: bytes = field(repr=False)
    now: float
    known: Mapping[str, str] = field(default_factory=dict)


def standing_of(address: str, switch: Switch) -> Client:
    """Return what an address is to the switch's estate."""
    cohort = switch.cohort_of(address)
    if not switch.serves(address):
        return Client(address, Standing.OUTSIDE, cohort)
    if cohort is not None:
        return Client(address, Standing.MEMBER, cohort)
    parsed = parse_address(address)
    inside = parsed is not None and switch.sandboxes.find(parsed) is not None
    return Client(address, Standing.SANDBOX if inside else Standing.SERVED, None)


def explain(specimen: Specimen, *, basis: Basis, client: str | None = None) -> Explanation:
    """Explain one request of a client (default: of any that is in the drill)."""
    switch, fields = basis.switch, specimen.sent
    ask = _ask(specimen, fields, drill=basis.drill, client=client)
    verdict = screened(decide(ask, switch), headers.screen(fields))
    world = switch.worlds[verdict.sandbox or basis.drill.target]
    learned, learned_known = learned_stand_ins(world.rules)
    known = {**basis.known, **learned_known}
    disguise = Disguise(world.rules, key=basis.key, known=known)
    at = _at(ask)
    found = Explanation(
        client=standing_of(client, switch) if client is not None else None,
        drill=basis.drill,
        verdict=verdict,
        status=verdict.mock.status if verdict.mock is not None else verdict.status,
        rule=_rule(verdict, at, switch=switch, world=world),
        near=near_misses(ask, at, verdict, switch=switch, world=world) if at and verdict.rung > 1 else (),
        before=disguise.request((specimen.method, specimen.target, "HTTP/1.1"), fields, specimen.body),
        location=_location(verdict, disguise),
        notes=specimen.notes,
    )
    if verdict.kind is Kind.PASS:
        return _passed(found, at, scheme=specimen.scheme, switch=switch)
    if verdict.kind is not Kind.FORWARD:
        return found
    sending = send(fields, specimen.body, ask, verdict=verdict, world=world, learned=learned, now=basis.now)
    if sending.refused is not None:
        blocked = replace(verdict, kind=Kind.BLOCK, reason=sending.refused, status=400, upstream=None)
        return replace(found, verdict=blocked, status=400)
    line = (specimen.method, sending.target, "HTTP/2" if verdict.upstream and verdict.upstream.h2 else "HTTP/1.1")
    after = disguise.request(line, _honest(sending, known), sending.body)
    return _forwarded(found, sending, after, switch=switch)


def _ask(specimen: Specimen, fields: Sequence[Field], *, drill: Drill, client: str | None) -> Ask:
    """Return what the proxy would ask: Host first, then where the URL leads, which is the name in TLS too."""
    hosts = [value.decode("utf-8", "surrogateescape") for name, value in fields if name.lower() == b"host"]
    name = specimen.authority.partition(":")[0].lower().removesuffix(".")
    return Ask(
        client=client or "",
        drill=None if client is not None else drill.id,
        method=specimen.method,
        scheme=specimen.scheme,
        authorities=tuple(dict.fromkeys((*hosts, specimen.authority))),
        target=specimen.target,
        sni=name if specimen.scheme == "https" else None,
    )


def _at(ask: Ask) -> Authority | None:
    try:
        return parse_authority(ask.authorities[0], ask.scheme)
    except Unclear:
        return None


def _location(verdict: Verdict, disguise: Disguise) -> str | None:
    if verdict.mock is None or verdict.rung != _HTTPS_ONLY:
        return None
    return disguise.scrub(disguise.text(verdict.mock.headers["Location"]))


def _rule(verdict: Verdict, at: Authority | None, *, switch: Switch, world: World) -> str:
    """Return the line of the estate file that made a verdict, or what else did."""
    host, target = verdict.host or (at.host if at else ""), world.target
    match verdict.rung:
        case 1:
            return "no drill holds this client"
        case 2:
            return _first("deny", denied_hosts(switch), host) or verdict.reason
        case 4 if verdict.mock is not None:
            return f"mock: {verdict.mock.match}"
        case 5:
            return _route(verdict, host, target.routes)
        case 6 if verdict.reason == _NO_PATH:
            return "routes of this host, none for this path"
        case 6:
            return _first("block", target.block, host) or _first("production.hosts", _production(switch), host) or ""
        case 7:
            return _first("allow", target.allow, host) or f"unlisted: {target.unlisted}"
        case 8:
            return _first("block", target.block, host) or f"unlisted: {target.unlisted}"
    return "the request itself"


def _production(switch: Switch) -> tuple[HostPattern, ...]:
    return switch.estate.production.hosts


def _route(verdict: Verdict, host: str, routes: Iterable[Route]) -> str:
    if verdict.route is None:  # the redirect from http
        found = [route for route in routes if route.origin.host == host and route.origin.scheme == "https"]
    else:
        found = [route for route in routes if verdict.route == (route.name or str(route.origin))]
    return f"route: {route_text(found[0])}" if found else verdict.reason


def _first(key: str, patterns: Iterable[HostPattern], host: str) -> str | None:
    return next((f"{key}: {pattern}" for pattern in patterns if pattern.matches(host)), None)


def _passed(found: Explanation, at: Authority | None, *, scheme: str, switch: Switch) -> Explanation:
    if found.client is not None and found.client.standing is Standing.OUTSIDE:
        return replace(found, notes=(*found.notes, "the proxy refuses this client's connections, whatever they ask"))
    is_read = found.client is not None and found.client.standing is Standing.MEMBER
    but = ", but for cookies of past drills and what is meant for a proxy" if is_read else ""
    notes = (*found.notes, f"untouched{but}")
    if at is None:
        return replace(found, after=found.before, notes=notes)
    host, port = live_place(at.host, at.port, switch=switch)
    dial = Upstream("https" if scheme == "https" else "http", host, port)
    return replace(found, after=found.before, dial=dial, notes=notes)


def _honest(sending: Sending, known: Mapping[str, str]) -> tuple[Field, ...]:
    """Return the fields, without the length of a body that holds a stand-in."""
    if not any(value.encode() in sending.body for value in known):
        return sending.fields
    told = b"(known with the twin)"
    return tuple((name, told if name.lower() == b"content-length" else value) for name, value in sending.fields)


def _forwarded(found: Explanation, sending: Sending, after: Shown, *, switch: Switch) -> Explanation:
    verdict, notes = found.verdict, found.notes
    upstream = verdict.upstream
    assert upstream is not None
    world = switch.worlds[verdict.sandbox or ""]
    if parse_address(upstream.host) is not None:
        reason = check_address(
            upstream.host, upstream.port, switch=switch, sandbox=world.name if verdict.listed else None
        )
        notes += (f"the dial would be refused: {reason}",) if reason else ()
    if verdict.listed and world.isolates:
        notes += ("cookies that the sandbox has set come from the switchboard's jar of this client, empty here",)
    return replace(
        found,
        after=after,
        dial=upstream,
        swapped=sending.swapped,
        removed=sending.removed,
        dropped=sending.dropped,
        notes=notes,
    )
