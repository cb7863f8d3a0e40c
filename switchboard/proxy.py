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
from addons.dial import Dial, Resolver
from addons.doors import Doors
from addons.edge import Edge
from addons.entrance import Entrance
from addons.login import Logins
from addons.lookup import Lookup
from addons.reroute import HOLD_S, Reroute
from addons.trust import Trust
from addons.witness import Witness
from switchboard.drill import SwitchDocument
from switchboard.ending import end
from switchboard.errors import Conflict, EsrError, Unavailable
from switchboard.estate import Estate
from switchboard.keepsake import keep, kept
from switchboard.node import NodeState
from switchboard.store import Store
from switchboard.switch import Switch, compile_switch

logger = logging.getLogger(__name__)

BEAT_S = 1.0
ATTEST_S = 60.0
_WAIT_S = 0.05

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
    resolver: Resolver | None = None,
    protected: frozenset[tuple[str, int]] = frozenset(),
) -> AsyncIterator[Worker]:
    """Run one worker with open doors; on exit the doors are shut first, then every connection is closed.

    `protected` are places (address, port) of the switchboard's own that no client may dial through it.
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


async def first_document(store: Store, keepsake: Path) -> SwitchDocument:
    """Return the document to start with: the higher epoch of the store's and the one kept on disk.

    A store that lost its data must not end a drill, so a node that was in one stays in it (LEAKS CP-03). With
    neither there is nothing to know: the node waits for admin, which always writes one. Raises Unavailable while
    Redis cannot be asked.
    """
    saved = kept(keepsake)
    while True:
        stored = await store.read_switch()
        documents = [document for document in (stored, saved) if document is not None]
        if documents:
            return max(documents, key=lambda document: document.epoch)
        await asyncio.sleep(_WAIT_S)


@dataclass(slots=True)
class _Node:
    """The loops of one worker as a node of the store.

    `applied` is the last document that is fully in force: its clients carried over their edge, and kept on disk.
    """

    node_id: str
    store: Store
    estate: Estate
    keepsake: Path
    incarnation: str
    applied: SwitchDocument = field(default_factory=SwitchDocument)
    note: str = "not ready yet"

    async def tell(self) -> None:
        state = NodeState(
            id=self.node_id,
            role="proxy",
            epoch=self.applied.epoch,
            lineage=self.applied.lineage,
            incarnation=self.incarnation,
            ready=not self.note,
            seen=time.time(),
            note=self.note,
        )
        await self.store.acknowledge(state)

    async def settle(self, document: SwitchDocument) -> None:
        """Keep what is in force on disk, and only then call it applied; raises nothing."""
        try:
            await asyncio.to_thread(keep, self.keepsake, document)
        except OSError as error:
            self.note = f"switch cannot be kept on disk: {error.strerror}"
        else:
            self.applied, self.note = document, ""

    async def follow(self, running: Worker) -> None:
        async for document in self.store.watch_switch(after=running.current.switch.epoch):
            try:
                switch = compile_switch(self.estate, document)
            except ValueError as error:
                # Not applied, so not acknowledged: a drill that this node cannot carry out does not start.
                self.note = str(error)
                continue
            await running.apply(switch)
            await self.settle(document)
            try:
                await self.tell()
            except EsrError:
                logger.warning("store is away; epoch %d is applied and will be acknowledged", document.epoch)

    async def flush(self, witness: Witness) -> None:
        """Take all figures to the store; raises EsrError, and what was not taken stays."""
        while deltas := witness.deltas():  # one that was pending hides what came after it
            for drill, delta in deltas:
                await self.store.add_score(drill, delta)
                witness.confirm(drill, delta.sequence)

    async def beat(self, running: Worker) -> None:
        while True:
            try:
                await self.tell()
                await self.flush(running.witness)
            except Conflict:
                raise  # another process has this id: one of the two must go, and this one hears of it
            except EsrError:
                logger.warning("store is away; figures are kept and sent later")
            await asyncio.sleep(BEAT_S)

    async def attest(self, running: Worker) -> None:
        while True:
            await asyncio.sleep(ATTEST_S)
            if wrong := running.attest():
                raise Unavailable(f"mitmproxy options were changed: {', '.join(wrong)}", code="attest")


async def serve(
    estate: Estate,
    *,
    store: Store,
    node_id: str,
    incarnation: str,
    state: Path,
    passwords: Mapping[str, str],
    protected: frozenset[tuple[str, int]] = frozenset(),
    stop: asyncio.Event,
    on_bound: Callable[[list[tuple[str, int]]], None] | None = None,
) -> None:
    """Run one worker as a node until `stop` is set.

    `incarnation` is of this process only. It registers before it reads the switch: a drill that starts meanwhile
    waits for it. Raises Unavailable where the switch or a port cannot be had, Conflict where another process has
    this id or a running drill was begun with another estate.
    """
    node = _Node(node_id, store, estate, state / "nodes" / f"{node_id}.switch.json", incarnation)
    await node.tell()
    document = await first_document(store, node.keepsake)
    try:
        switch = compile_switch(estate, document)
    except ValueError as error:
        raise Conflict(f"{node_id} does not start: {error}", code="other_estate") from error
    async with worker(switch, state=state, passwords=passwords, protected=protected) as running:
        await node.settle(document)
        await node.tell()
        if on_bound is not None:
            on_bound(running.addresses)
        async with asyncio.TaskGroup() as tasks:
            loops = [tasks.create_task(loop(running)) for loop in (node.follow, node.beat, node.attest)]
            await stop.wait()
            await end(loops)
    try:
        await node.flush(running.witness)
        await store.goodbye(node_id, incarnation)
    except EsrError:
        logger.warning("store is away; the node could not say goodbye")
