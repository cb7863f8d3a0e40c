"""A proxy worker: mitmproxy embedded as a lean master with the chain of `addons`.

Order: load the CA, build the chain, attest the options, open the doors; at the end shut the doors first, then close
every connection.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mitmproxy import options
from mitmproxy.addons import core, proxyserver
from mitmproxy.master import Master

from addons.answers import Answers
from addons.chain import Chain
from addons.current import Current
from addons.dial import Dial, Resolver
from addons.doors import Doors
from addons.edge import Edge
from addons.entrance import Entrance
from addons.forward import Forward
from addons.login import Logins
from addons.lookup import Lookup
from addons.mocking import Mocks
from addons.reroute import HOLD_S, Reroute
from addons.sockets import Sockets
from addons.trust import Trust
from addons.witness import Witness
from switchboard.errors import Unavailable
from switchboard.pocket_memory import MemoryStore
from switchboard.pocket_stamps import open_stamps
from switchboard.pockets import Pockets, PocketStore
from switchboard.seal import Seal, load_key
from switchboard.switch import Switch

# LEAKS section 5. Every one of these is checked at start and each minute; a worker that differs stops.
OPTIONS: Mapping[str, object] = {
    "connection_strategy": "lazy",
    "upstream_cert": False,
    "rawtcp": False,
    "websocket": True,
    "http2": True,
    "ssl_insecure": False,
    "ignore_hosts": [],
    "allow_hosts": [],
    "tcp_hosts": [],
    "udp_hosts": [],
    "stream_large_bodies": None,
    "body_size_limit": None,
    "validate_inbound_headers": True,
    "client_certs": None,
    "keep_alt_svc_header": False,
    "connect_addr": None,
    "server": False,
    "mode": [],
    "certs": [],
    "add_upstream_certs_to_client_chain": False,
    "request_client_cert": False,
    "tls_version_client_min": "TLS1_2",
    "tls_version_server_min": "TLS1_2",
    "show_ignored_hosts": False,
    "proxy_debug": False,
}


@dataclass(slots=True)
class Worker:
    """The parts of one worker that tests and the node loop reach."""

    current: Current
    chain: Chain
    doors: Doors
    edge: Edge
    witness: Witness
    opts: options.Options
    pockets: Pockets
    mocks: Mocks
    addresses: list[tuple[str, int]] = field(default_factory=list)

    def attest(self) -> list[str]:
        """Return the names of mitmproxy options that are not what they must be."""
        known = self.opts.keys()
        both = (self.opts, self.doors.options)  # what addons read, and what connections read
        return [
            name
            for name, value in OPTIONS.items()
            if name in known and any(getattr(opts, name) != value for opts in both)
        ]

    async def apply(self, switch: Switch) -> int:
        """Make a switch current, carry its clients over the edge, and return how many connections ended."""
        old = self.current.switch
        if switch.epoch <= old.epoch:
            return 0
        self.current.apply(switch)
        return await self.edge.cross(old, switch, drain_s=switch.estate.drain)


def _options(master: Master, state: Path) -> None:
    known = master.options.keys()
    wanted = {name: value for name, value in OPTIONS.items() if name in known}
    master.options.update(confdir=str(state / "mitmproxy"), **wanted)


@asynccontextmanager
async def worker(
    switch: Switch,
    *,
    state: Path,
    passwords: Mapping[str, str] | None = None,
    hold_s: float = HOLD_S,
    resolver: Resolver | None = None,
    protected: frozenset[tuple[str, int]] = frozenset(),
    store: PocketStore | None = None,
    files: Mapping[Path, bytes] | None = None,
) -> AsyncIterator[Worker]:
    """Run one worker with open doors; on exit the doors are shut first, then every connection is closed.

    `protected` are places (address, port) of the switchboard's own that no client may dial through it. `store` is
    where workers share pockets (None: this one shares with nobody), `files` are the contents of mocks' files.
    Raises Unavailable where a port cannot be had or an option is not what it must be.
    """
    current, logins = Current(switch), Logins(passwords or {})
    witness = Witness(f"proxy-{uuid.uuid4().hex[:12]}")
    dial = Dial(current, logins, witness, resolver=resolver or Lookup(), protected=protected)
    trust = Trust(current, dial, state=state)
    master = Master(options.Options())
    master.addons.add(core.Core(), proxyserver.Proxyserver(), trust)
    _options(master, state)
    chain = Chain(on_fault=witness.fault)
    doors = Doors(chain=chain, opts=master.options)
    edge = Edge(doors.handlers, logins)
    entrance = Entrance(current, logins, witness)
    seal, shared = Seal(load_key(state / "keys" / "pockets")), store or MemoryStore()
    pockets = Pockets(shared, seal, stamps=open_stamps(state / "pockets.stamps"))
    mocks = Mocks(current, witness, edge, store=shared, seal=seal, files=files or {})
    forward = Forward(witness, pockets)
    reroute = Reroute(current, logins, witness, edge=edge, forward=forward, mocks=mocks, hold_s=hold_s)
    answers = Answers(current, witness, edge=edge, pockets=pockets)
    # `dial` is the only addon of ours or mitmproxy's that hears `server_connect`, hence both first and last.
    chain.add(entrance, reroute, answers, Sockets(witness), dial, trust, witness)
    running = Worker(current, chain, doors, edge, witness, master.options, pockets, mocks)
    if wrong := running.attest():
        raise Unavailable(f"mitmproxy options are not what they must be: {', '.join(wrong)}", code="attest")
    try:
        running.addresses = [await doors.open(listener) for listener in switch.estate.listeners.proxy]
        yield running
    finally:
        doors.shut()
        await doors.close_all(limit_s=2.0)
