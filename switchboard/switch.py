"""The switch: the snapshot of all drills and the estate, compiled once per epoch for fast decisions."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from switchboard.authority import Address, Network, Unclear, to_ascii
from switchboard.drill import Drill, SwitchDocument
from switchboard.estate import Estate, HostPattern
from switchboard.world import Hosts, World, compile_world

_MOST_REMEMBERED = 65_536


@dataclass(frozen=True, slots=True)
class Member:
    """A client that is in a drill (or, with `drill` None, one that comes from a sandbox's own network)."""

    cohort: str | None
    drill: Drill | None
    world: World


class Networks:
    """Longest-prefix lookup: networks of each length in a dictionary, asked from the longest down."""

    __slots__ = ("_by_length",)

    def __init__(self, pairs: list[tuple[Network, str]]) -> None:
        self._by_length: dict[tuple[int, int], dict[int, str]] = {}
        for net, name in sorted(pairs, key=lambda pair: -pair[0].prefixlen):
            table = self._by_length.setdefault((net.version, net.prefixlen), {})
            table.setdefault(int(net.network_address) >> (net.max_prefixlen - net.prefixlen), name)

    def find(self, address: Address) -> str | None:
        value, bits = int(address), address.max_prefixlen
        for (version, length), table in self._by_length.items():
            if version == address.version and (name := table.get(value >> (bits - length))) is not None:
                return name
        return None


def parse_address(text: str) -> Address | None:
    """Return an address (IPv4-mapped IPv6 as IPv4, scope id dropped), or None."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@dataclass(frozen=True, slots=True)
class Switch:
    """All that a decision needs. Immutable but for a memory of clients already looked up."""

    estate: Estate
    document: SwitchDocument
    production: Hosts
    denied_hosts: Hosts
    denied_networks: Networks
    drills: dict[str, Drill]
    worlds: dict[str, World]
    cohorts: Networks
    sandboxes: Networks
    served: Networks
    users: dict[str, str]
    _drill_of: dict[str, Drill]
    _remembered: dict[tuple[str, str | None], Member | None] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        return self.document.epoch

    def cohort_of(self, client: str, user: str | None = None) -> str | None:
        """Return the cohort that counts, by proxy login or by address: of two the one that is in a drill."""
        by_login = self.users.get(user) if user is not None else None
        address = parse_address(client)
        by_address = self.cohorts.find(address) if address is not None else None
        if by_login is None or (by_login not in self._drill_of and by_address in self._drill_of):
            return by_address
        return by_login

    def serves(self, client: str) -> bool:
        """Return whether a client may use proxy and shim at all."""
        address = parse_address(client)
        return address is not None and self.served.find(address) is not None

    def is_watched(self, client: str, user: str | None = None) -> bool:
        """Return whether a client's traffic is read: members of cohorts always are, so are sandboxes."""
        return self.cohort_of(client, user) is not None or self._world_around(client) is not None

    def member(self, client: str, user: str | None = None) -> Member | None:
        """Return what drill and sandbox a client is in; None outside."""
        key = (client, user)
        try:
            return self._remembered[key]
        except KeyError:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            return self._remembered.setdefault(key, self._look_up(client, user))

    def _look_up(self, client: str, user: str | None) -> Member | None:
        cohort = self.cohort_of(client, user)
        drill = self._drill_of.get(cohort) if cohort is not None else None
        if drill is not None:
            return Member(cohort, drill, self.worlds[drill.target])
        world = self._world_around(client)
        return Member(cohort, None, world) if world is not None else None

    def _world_around(self, client: str) -> World | None:
        address = parse_address(client)
        name = self.sandboxes.find(address) if address is not None else None
        return self.worlds[name] if name is not None else None


def _denied(estate: Estate) -> tuple[Hosts, Networks]:
    hosts: list[HostPattern] = []
    networks: list[tuple[Network, str]] = []
    for entry in estate.deny:
        try:
            networks.append((ipaddress.ip_network(entry), entry))
        except ValueError:
            wildcard = entry.startswith("*.")
            try:
                hosts.append(HostPattern(name=to_ascii(entry[2:] if wildcard else entry), wildcard=wildcard))
            except Unclear as error:  # estate_checks refuses such a file; never drop a deny rule silently
                raise ValueError(f"deny: {entry!r}: {error}") from error
    return Hosts.of(tuple(hosts)), Networks(networks)


# What a node enforces; paths and secrets may differ from host to host.
_ENFORCED: Any = {
    "clients": True,
    "production": {"hosts", "networks", "connect"},
    "cohorts": {"__all__": {"clients"}},
    "targets": {"__all__": {"routes", "block", "networks", "unlisted", "allow"}},
    "deny": True,
}


def rules_digest(estate: Estate) -> str:
    """Return a digest of what an estate enforces: production, who is drilled, where to, and what is denied."""
    enforced = estate.model_dump_json(include=_ENFORCED, by_alias=True)
    users = sorted((user, name) for name, cohort in estate.cohorts.items() for user in cohort.users)
    return hashlib.sha256(f"{enforced}{users}".encode()).hexdigest()[:16]


def _check_drill(drill: Drill, estate: Estate, digest: str) -> None:
    if drill.target not in estate.targets:
        raise ValueError(f"drill {drill.id}: target {drill.target!r} is not in the estate")
    if drill.cohort is not None and drill.cohort not in estate.cohorts:
        raise ValueError(f"drill {drill.id}: cohort {drill.cohort!r} is not in the estate")
    if drill.rules not in ("", digest):
        # A node with another file would let out whom the drill holds: it must neither apply nor acknowledge.
        raise ValueError(f"drill {drill.id} was begun with another estate: end it, or put that estate file back")


def compile_worlds(estate: Estate, secrets: Mapping[str, Mapping[int, str]] | None = None) -> dict[str, World]:
    """Compile all targets, once for all epochs; `secrets` are fixed twins by target and index. Raises BadInput.

    Without secrets the targets have no credential rules: for nodes that decide only, and send nothing of a client's.
    """
    return {
        name: compile_world(
            name,
            target,
            names=estate.credential_names,
            secrets=None if secrets is None else secrets.get(name, {}),
        )
        for name, target in estate.targets.items()
    }


def compile_switch(estate: Estate, document: SwitchDocument, *, worlds: dict[str, World] | None = None) -> Switch:
    """Compile all drills of `document` that are not over. Raises ValueError where one does not fit the estate."""
    active = [drill for drill in document.drills if not drill.is_over]
    digest = rules_digest(estate) if active else ""
    for drill in active:
        _check_drill(drill, estate, digest)
    denied_hosts, denied_networks = _denied(estate)
    return Switch(
        estate=estate,
        document=document,
        production=Hosts.of(estate.production.hosts),
        denied_hosts=denied_hosts,
        denied_networks=denied_networks,
        drills={drill.id: drill for drill in active},
        worlds=compile_worlds(estate) if worlds is None else worlds,
        cohorts=Networks([(net, name) for name, c in estate.cohorts.items() for net in c.clients]),
        sandboxes=Networks([(net, name) for name, t in estate.targets.items() for net in t.networks]),
        served=Networks([(net, "") for net in estate.served_clients]),
        users={user: name for name, cohort in estate.cohorts.items() for user in cohort.users},
        _drill_of={drill.cohort: drill for drill in active if drill.cohort is not None},
    )
