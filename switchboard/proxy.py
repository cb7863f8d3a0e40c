"""A proxy worker: mitmproxy embedded as a lean master, and the node that applies every epoch to it.

Order at start: load the switch, build the chain, attest the options, open the doors, say so to the store.
Order at the end: shut the doors, close every connection, say goodbye.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mitmproxy import options
from mitmproxy.addons import core, proxyserver
from mitmproxy.master import Master

from addons.chain import Chain
from addons.current import Current
from addons.dial import Dial, Resolver, resolve
from addons.doors import Doors
from addons.edge import Edge
from addons.entrance import Entrance
from addons.login import Logins
from addons.reroute import HOLD_S, Reroute
from addons.trust import Trust
from addons.witness import Witness
from switchboard.drill import SwitchDocument
from switchboard.ending import end
from switchboard.errors import EsrError, Unavailable
from switchboard.estate import Estate
from switchboard.keepsake import keep, kept
from switchboard.node import NodeState
from switchboard.store import Store
from switchboard.switch import Switch, compile_switch

logger = logging.getLogger(__name__)

BEAT_S = 1.0
ATTEST_S = 60.0

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
    resolver: Resolver = resolve,
) -> AsyncIterator[Worker]:
    """Run one worker with open doors; on exit the doors are shut first, then every connection is closed.

    Raises Unavailable where a port cannot be had or an option is not what it must be.
    """
    current, logins = Current(switch), Logins(passwords or {})
    witness = Witness(f"proxy-{uuid.uuid4().hex[:12]}")
    dial = Dial(current, logins, witness, resolver=resolver)
    trust = Trust(current, dial, state=state)
    master = Master(options.Options())
    master.addons.add(core.Core(), proxyserver.Proxyserver(), trust)
    _options(master, state)
    chain = Chain(on_fault=witness.fault)
    doors = Doors(chain=chain, opts=master.options)
    edge = Edge(doors.handlers, logins)
    entrance = Entrance(current, logins, witness)
    reroute = Reroute(current, logins, witness, edge, hold_s=hold_s)
    # `dial` is the only addon of ours or mitmproxy's that hears `server_connect`, hence both first and last.
    chain.add(entrance, reroute, dial, trust, witness)
    running = Worker(current, chain, doors, edge, witness, master.options)
    if wrong := running.attest():
        raise Unavailable(f"mitmproxy options are not what they must be: {', '.join(wrong)}", code="attest")
    try:
        running.addresses = [await doors.open(listener) for listener in switch.estate.listeners.proxy]
        yield running
    finally:
        doors.shut()
        await doors.close_all(limit_s=2.0)


async def first_switch(estate: Estate, *, store: Store, keepsake: Path) -> Switch:
    """Return the switch to start with: the higher epoch of the store's and the one kept on disk.

    A store that lost its data must not end a drill, so a node that was in one stays in it (LEAKS CP-03).
    Raises Unavailable while Redis cannot be asked.
    """
    stored, saved = await store.read_switch(), kept(keepsake)
    documents = [document for document in (stored, saved) if document is not None]
    newest = max(documents, key=lambda document: document.epoch, default=SwitchDocument())
    return compile_switch(estate, newest)


@dataclass(slots=True)
class _Node:
    """The loops of one worker as a node of the store."""

    node_id: str
    running: Worker
    store: Store
    estate: Estate
    keepsake: Path
    note: str = ""

    async def tell(self) -> None:
        state = NodeState(
            id=self.node_id,
            role="proxy",
            epoch=self.running.current.switch.epoch,
            ready=not self.note,
            seen=time.time(),
            note=self.note,
        )
        await self.store.acknowledge(state)

    async def follow(self) -> None:
        async for document in self.store.watch_switch(after=self.running.current.switch.epoch):
            try:
                switch = compile_switch(self.estate, document)
            except ValueError as error:
                # Not applied, so not acknowledged: a drill that this node cannot carry out does not start.
                self.note = str(error)
                continue
            await self.running.apply(switch)
            try:
                await asyncio.to_thread(keep, self.keepsake, document)
                self.note = ""
                await self.tell()
            except OSError as error:
                self.note = f"switch cannot be kept on disk: {error.strerror}"
            except EsrError:
                logger.warning("store is away; epoch %d is applied and will be acknowledged", document.epoch)

    async def beat(self) -> None:
        while True:
            try:
                await self.tell()
                for drill, delta in self.running.witness.deltas():
                    await self.store.add_score(drill, delta)
                    self.running.witness.confirm(drill, delta.sequence)
            except EsrError:
                logger.warning("store is away; figures are kept and sent later")
            await asyncio.sleep(BEAT_S)

    async def attest(self) -> None:
        while True:
            await asyncio.sleep(ATTEST_S)
            if wrong := self.running.attest():
                raise Unavailable(f"mitmproxy options were changed: {', '.join(wrong)}", code="attest")


async def serve(
    estate: Estate,
    *,
    store: Store,
    node_id: str,
    state: Path,
    passwords: Mapping[str, str],
    stop: asyncio.Event,
    on_bound: Callable[[list[tuple[str, int]]], None] | None = None,
) -> None:
    """Run one worker as a node until `stop` is set."""
    keepsake = state / "nodes" / f"{node_id}.switch.json"
    switch = await first_switch(estate, store=store, keepsake=keepsake)
    async with worker(switch, state=state, passwords=passwords) as running:
        node = _Node(node_id, running, store, estate, keepsake)
        await node.tell()
        if on_bound is not None:
            on_bound(running.addresses)
        async with asyncio.TaskGroup() as tasks:
            loops = [tasks.create_task(loop()) for loop in (node.follow, node.beat, node.attest)]
            await stop.wait()
            await end(loops)
    try:
        for drill, delta in node.running.witness.deltas():
            await store.add_score(drill, delta)
        await store.goodbye(node_id)
    except EsrError:
        logger.warning("store is away; the node could not say goodbye")
