"""The last check before a connection is opened: may this client's traffic reach this resolved address?"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from switchboard.authority import Address
from switchboard.drill import Phase
from switchboard.estate import Listener
from switchboard.switch import Member, Switch, parse_address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a connection may be opened: `host` and `port` to resolve, in which world it then lives.

    `live`: production's side; else `sandbox` names the target whose networks and `ca` hold, None for hosts
    let through by `allow`. `h2`: HTTP/2 may be spoken (None: as the client does).
    """

    host: str
    port: int
    live: bool
    sandbox: str | None = None
    drill: str | None = None
    h2: bool | None = None


def plan(host: str, port: int, *, member: Member | None, tls: bool, switch: Switch) -> Plan | str:
    """Return how a client's traffic may dial `host:port` at this moment, or the reason why not.

    While a drill arms or drains, new requests are held before they get here: what dials then is in flight, and
    finishes on the side where it began.
    """
    if member is None or is_still_outside(member):
        place, place_port = live_place(host, port, switch=switch)
        return Plan(place, place_port, live=True)
    world, drill = member.world, member.drill.id if member.drill else None
    upstream = world.places.get((host, port))
    if upstream is not None:
        if (upstream.scheme == "https") != tls:
            return "scheme of the connection is not the route's"
        return Plan(host, port, live=False, sandbox=world.name, drill=drill, h2=upstream.h2)
    if host in switch.production or host in switch.denied_hosts:
        return "production or denied host"
    if host in world.allow or (world.allow_unlisted and host not in world.block):
        return Plan(host, port, live=False, drill=drill)
    return "not a place of this drill"


def is_still_outside(member: Member) -> bool:
    """Return whether a member's drill is only arming, so that what is in flight belongs to production."""
    return member.drill is not None and member.drill.phase is Phase.ARMING


def check_address(address: str, port: int, *, switch: Switch, sandbox: str | None) -> str | None:
    """Return why a drill may not dial this address, or None.

    `sandbox` is the target whose networks must hold the address; None for hosts let through by `allow`.
    """
    found = parse_address(address)
    if found is None:
        return "not an address"
    for reading in _readings(found):
        if reason := _never(reading, port, switch):
            return reason
        if _is_production(reading, port, switch):
            return "production address"
        if switch.denied_networks.find(reading) is not None:
            return "denied by security"
    networks = switch.estate.targets[sandbox].networks if sandbox is not None else ()
    if networks and not any(found.version == net.version and found in net for net in networks):
        return "address outside the target's networks"
    return None


def check_live_address(address: str, port: int, *, switch: Switch) -> str | None:
    """Return why even a client outside every drill may not dial this address through us, or None."""
    found = parse_address(address)
    if found is None:
        return "not an address"
    for reading in _readings(found):
        if reason := _never(reading, port, switch):
            return reason
        if reading.is_loopback and not _is_production(reading, port, switch):
            return "loopback address"  # services of this host that nobody else can reach
    return None


def is_production_address(address: str, port: int, *, switch: Switch) -> bool:
    """Return whether an address belongs to production, by network or by `connect`."""
    found = parse_address(address)
    return found is not None and any(_is_production(reading, port, switch) for reading in _readings(found))


def live_place(host: str, port: int, *, switch: Switch) -> tuple[str, int]:
    """Return where a client outside every drill is led for `host:port`: `connect`, else the name itself."""
    connect = switch.estate.production.connect
    place = connect.get(f"{host}:{port}") or connect.get(host)
    return (place.host, place.port) if place is not None else (host, port)


def _readings(address: Address) -> tuple[Address, ...]:
    """Return an address and the IPv4 address that a gateway takes out of it (RFC 6052 NAT64, 6to4, Teredo)."""
    if not isinstance(address, ipaddress.IPv6Address):
        return (address,)
    inner = [address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or int(address) >> 32 == 0:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return (address, *(found for found in inner if found is not None and int(found) > 1))


def _is_production(address: Address, port: int, switch: Switch) -> bool:
    production = switch.estate.production
    if any(address.version == net.version and address in net for net in production.networks):
        return True
    return any(parse_address(place.host) == address and place.port == port for place in production.connect.values())


def _never(address: Address, port: int, switch: Switch) -> str | None:
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "link-local, multicast or unspecified address"
    listeners = switch.estate.listeners
    if any(_hears(place, address, port) for place in (*listeners.proxy, listeners.admin, listeners.dns)):
        return "the switchboard's own listener"
    return None


def _hears(listener: Listener, address: Address, port: int) -> bool:
    if listener.port != port:
        return False
    own = ipaddress.ip_address(listener.host)
    # A wildcard listener hears on every address of this host; only loopback is certain to be one of them.
    return own == address or (own.is_unspecified and address.is_loopback)
