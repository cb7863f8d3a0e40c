"""The one brain: `compile_switch` once per epoch, `decide` once per request. Pure; used by every door.

The ladder, first match wins (numbers are `Verdict.rung`):
  1  the client is in no drill and not from a sandbox                       Pass
  2  deny list; then a drill that is arming or draining                     Block; Hold
  3  what cannot be read with certainty, identities that disagree           Block (400, 421)
  4  a mock                                                                 Mock
  5  a route (https routes answer plain http with 308)                      Forward, Mock, Block by method
  6  a production host without a route                                      Block
  7  allowed unlisted hosts                                                 Forward, unlisted
  8  everything else                                                        Block
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from switchboard import pathname
from switchboard.authority import Authority, Unclear, parse_authority, parse_host
from switchboard.drill import HOLDING, Drill
from switchboard.estate import METHODS, Mock
from switchboard.switch import Member, Switch, compile_switch
from switchboard.verdict import Ask, Kind, Upstream, Verdict
from switchboard.world import Table, World

__all__ = ["Switch", "compile_switch", "decide", "decide_tunnel"]

_PASS = Verdict(Kind.PASS, "client is in no drill", rung=1)
_METHODS = frozenset(METHODS)
# The same few names come with every request; what is refused raises and is not remembered.
_parsed = lru_cache(4096)(parse_authority)


class _Disagree(ValueError):
    """Identities of one request that name different hosts."""


def decide(ask: Ask, switch: Switch) -> Verdict:
    """Return what to do with one request of `ask.client` (or of the drill `ask.drill`)."""
    member = _member(ask, switch)
    if isinstance(member, Verdict):
        return member
    found = _identify(ask)
    early = _denied_or_held(found, member, switch)
    if early is not None:
        return early
    if isinstance(found, Verdict):
        return _in_drill(found, member)
    return _in_drill(_reach(ask, found, member=member, switch=switch), member)


def decide_tunnel(ask: Ask, switch: Switch) -> Verdict:
    """Return whether a CONNECT to `ask.authorities[0]` may be opened; every request in it is asked again."""
    member = _member(ask, switch)
    if isinstance(member, Verdict):
        return member
    try:
        found: Authority | Verdict = parse_authority(ask.authorities[0], "https")
    except Unclear as error:
        found = Verdict(Kind.BLOCK, str(error), rung=3, status=400)
    early = _denied_or_held(found, member, switch)
    if early is not None:
        return early
    if isinstance(found, Verdict):
        return _in_drill(found, member)
    world = member.world
    for scheme in ("https", "http"):
        key = (scheme, found.host, found.port)
        if key in world.tables or key in world.mocks:
            return _in_drill(Verdict(Kind.FORWARD, "routed host", rung=5, host=found.host), member)
    return _in_drill(_without_route(found, "https", world=world, switch=switch), member)


def _member(ask: Ask, switch: Switch) -> Member | Verdict:
    if ask.drill is not None:
        drill = switch.drills.get(ask.drill)
        if drill is None:
            return Verdict(Kind.BLOCK, "no such drill", rung=2, status=403, drill=ask.drill)
        return Member(drill.cohort, drill, switch.worlds[drill.target])
    return switch.member(ask.client, ask.user) or _PASS


def _in_drill(verdict: Verdict, member: Member) -> Verdict:
    if verdict.sandbox is not None:
        return verdict  # made with it
    drill: Drill | None = member.drill
    return Verdict(
        verdict.kind,
        verdict.reason,
        verdict.rung,
        status=verdict.status,
        drill=drill.id if drill else None,
        sandbox=member.world.name,
        host=verdict.host,
        upstream=verdict.upstream,
        target=verdict.target,
        route=verdict.route,
        listed=verdict.listed,
        mock=verdict.mock,
    )


def _denied_or_held(found: Authority | Verdict, member: Member, switch: Switch) -> Verdict | None:
    if isinstance(found, Authority) and found.host in switch.denied_hosts:
        return _in_drill(Verdict(Kind.BLOCK, "denied by security", rung=2, status=403, host=found.host), member)
    if member.drill is not None and member.drill.phase in HOLDING:
        reason = f"drill is {member.drill.phase}"
        return _in_drill(Verdict(Kind.HOLD, reason, rung=2, status=503), member)
    return None


def _identify(ask: Ask) -> Authority | Verdict:
    """Return the one authority that all identities of a request agree on, or the Block of rung 3."""
    try:
        return _agreed(ask)
    except _Disagree as error:
        return Verdict(Kind.BLOCK, str(error), rung=3, status=421)
    except Unclear as error:
        return Verdict(Kind.BLOCK, str(error), rung=3, status=400)


def _agreed(ask: Ask) -> Authority:
    if ask.method not in _METHODS:
        raise Unclear("unknown method")
    if not ask.authorities:
        raise Unclear("no host")
    if reason := pathname.malformed(ask.target):
        raise Unclear(reason)
    first = _parsed(ask.authorities[0], ask.scheme)
    for text in ask.authorities[1:]:
        if text != ask.authorities[0] and _parsed(text, ask.scheme) != first:
            raise _Disagree("Host and request target disagree")
    if ask.scheme == "https" and ask.sni is not None and ask.sni != first.host:
        if not ask.sni:
            raise _Disagree("TLS without SNI")
        if parse_host(ask.sni) != first.host:
            raise _Disagree("SNI and Host disagree")
    return first


def _reach(ask: Ask, at: Authority, *, member: Member, switch: Switch) -> Verdict:
    world = member.world
    key = (ask.scheme, at.host, at.port)
    for rule in world.mocks.get(key, ()):
        if rule.matches(ask.method, ask.target):
            return Verdict(Kind.MOCK, f"mock {rule.mock.match}", rung=4, host=at.host, mock=rule.mock)
    table = world.tables.get(key)
    if table is not None:
        return _follow(ask, at, table, member=member)
    if ask.scheme == "http" and at.port == 80 and ("https", at.host, 443) in world.tables:
        location = f"https://{at.host}{quote(ask.target, safe='%/?:@!$&()*+,;=~-._')}"
        mock = Mock(match=f"* http://{at.host}/*", status=308, headers={"Location": location})
        return Verdict(Kind.MOCK, "https only", rung=5, host=at.host, mock=mock)
    return _without_route(at, ask.scheme, world=world, switch=switch, target=ask.target)


def _follow(ask: Ask, at: Authority, table: Table, *, member: Member) -> Verdict:
    path, query = pathname.split_target(ask.target)
    if table.strict and (reason := pathname.ambiguous(path)):
        return Verdict(Kind.BLOCK, reason, rung=3, status=400, host=at.host)
    parts = pathname.segments(path) if table.strict else ()
    for lane in table.lanes:
        if not pathname.under(lane.prefix, parts):
            continue
        if lane.methods is not None and ask.method not in lane.methods:
            reason = f"{lane.name} does not accept {ask.method}"
            return Verdict(Kind.BLOCK, reason, rung=5, status=403, host=at.host, route=lane.name)
        if lane.prefix or lane.to_prefix:
            path = pathname.moved(path, cut=len(lane.prefix), to=lane.to_prefix)
        return Verdict(
            Kind.FORWARD,
            "routed",
            rung=5,
            drill=member.drill.id if member.drill else None,
            sandbox=member.world.name,
            host=at.host,
            upstream=lane.upstream,
            target=path + query,
            route=lane.name,
        )
    return Verdict(Kind.BLOCK, "no route for this path", rung=6, status=403, host=at.host)


def _without_route(at: Authority, scheme: str, *, world: World, switch: Switch, target: str = "") -> Verdict:
    if at.host in switch.production:
        return Verdict(Kind.BLOCK, "production host without a route", rung=6, status=403, host=at.host)
    if at.host in world.allow or (world.allow_unlisted and at.host not in world.block):
        upstream = Upstream("https" if scheme == "https" else "http", at.host, at.port)
        return Verdict(
            Kind.FORWARD,
            "allowed",
            rung=7,
            host=at.host,
            upstream=upstream,
            target=target,
            route="allow",
            listed=False,
        )
    return Verdict(Kind.BLOCK, "host is not listed", rung=8, status=403, host=at.host)
