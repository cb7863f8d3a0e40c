"""Where networks and addresses meet that must not, or must: production, targets, our own listeners."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from switchboard.authority import Address, Network
from switchboard.estate import Estate, Listener
from switchboard.switch import parse_address
from switchboard.yaml_lines import Loc


def overlap(one: Network, other: Network) -> bool:
    """Return whether some address is in both networks."""
    return one.version == other.version and one.overlaps(other)


def is_within(one: Network, other: Network) -> bool:
    """Return whether all of `one` is in `other`."""
    return overlap(one, other) and one.prefixlen >= other.prefixlen


def find_network(networks: Sequence[Network], address: Address) -> Network | None:
    """Return the first network that holds an address, or None."""
    return next((net for net in networks if net.version == address.version and address in net), None)


def listener_places(estate: Estate) -> Iterator[tuple[Loc, Listener]]:
    """Yield our own listeners with their places in the file."""
    for index, door in enumerate(estate.listeners.proxy):
        yield ("listeners", "proxy", index), door
    yield ("listeners", "dns"), estate.listeners.dns
    yield ("listeners", "admin"), estate.listeners.admin


def collide(one: Listener, other: Listener) -> bool:
    """Return whether both cannot be had at once; port 0 is any free port, so never in the way."""
    if one.port != other.port or one.port == 0:
        return False
    hosts = ipaddress.ip_address(one.host), ipaddress.ip_address(other.host)
    return hosts[0] == hosts[1] or any(host.is_unspecified for host in hosts)


def production_place(estate: Estate, address: Address | None, port: int) -> str | None:
    """Return what of production an address is, or None."""
    if address is None:
        return None
    if (net := find_network(estate.production.networks, address)) is not None:
        return f"in the production network {net}"
    for key, place in estate.production.connect.items():
        if parse_address(place.host) == address and place.port == port:
            return f"where production's {key!r} listens"
    return None
