"""A proxy worker as a node: registers, loads the switch, applies every epoch, and says so.

Order at start: register, load the switch, open the doors, acknowledge. An epoch is acknowledged when its clients are
over their edge and it is kept on disk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from addons.mocking import Mocks
from addons.witness import Witness
from switchboard.drill import SwitchDocument
from switchboard.ending import end
from switchboard.errors import Conflict, EsrError, Unavailable
from switchboard.estate import Estate
from switchboard.keepsake import keep, kept
from switchboard.node import NodeState
from switchboard.proxy import Worker, worker
from switchboard.store import Store
from switchboard.switch import Switch, compile_switch, compile_worlds
from switchboard.world import World

logger = logging.getLogger(__name__)

BEAT_S = 1.0
ATTEST_S = 60.0
_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a worker is given besides the estate: secrets that programs have read, and places nobody may dial.

    `twins`: fixed twins by target and index of the rule. `files`: contents of the files that mocks name.
    """

    passwords: Mapping[str, str] = field(default_factory=dict)
    twins: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    files: Mapping[Path, bytes] = field(default_factory=dict)
    protected: frozenset[tuple[str, int]] = frozenset()


async def first_document(
    store: Store, keepsake: Path, *, tell: Callable[[], Awaitable[None]] | None = None
) -> SwitchDocument:
    """Return the document to start with: the higher epoch of the store's and the one kept on disk.

    A store that lost its data must not end a drill, so a node that was in one stays in it (LEAKS CP-03). With
    neither there is nothing to know: the node waits for admin, which always writes one, and says all the while
    (`tell`) that it is there. Raises Unavailable while Redis cannot be asked.
    """
    saved = kept(keepsake)
    told = time.monotonic()
    while True:
        if tell is not None and time.monotonic() - told >= BEAT_S:
            await tell()
            told = time.monotonic()
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
    worlds: dict[str, World]
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
                switch = compile_switch(self.estate, document, worlds=self.worlds)
            except ValueError as error:
                # Not applied, so not acknowledged: a drill that this node cannot carry out does not start.
                self.note = str(error)
                continue
            await running.apply(switch)
            running.pockets.keep_only(_purses(switch))
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

    async def take_outbox(self, mocks: Mocks) -> None:
        """Take what mocks swallowed to the store; raises EsrError, and what was not taken stays."""
        while mocks.swallowed:
            drill, entry_id, entry = mocks.swallowed[0]
            await self.store.add_outbox(drill, entry, entry_id=entry_id)
            mocks.swallowed.popleft()

    async def beat(self, running: Worker) -> None:
        while True:
            try:
                await self.tell()
                await self.flush(running.witness)
                await self.take_outbox(running.mocks)
                await running.pockets.catch_up()
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
    supplies: Supplies,
    stop: asyncio.Event,
    on_bound: Callable[[list[tuple[str, int]]], None] | None = None,
) -> None:
    """Run one worker as a node until `stop` is set.

    `incarnation` is of this process only. It registers before it reads the switch: a drill that starts meanwhile
    waits for it. Raises Unavailable where the switch or a port cannot be had, Conflict where another process has
    this id or a running drill was begun with another estate.
    """
    worlds = compile_worlds(estate, supplies.twins)
    node = _Node(node_id, store, estate, state / "nodes" / f"{node_id}.switch.json", incarnation, worlds)
    await node.tell()
    document = await first_document(store, node.keepsake, tell=node.tell)
    try:
        switch = compile_switch(estate, document, worlds=worlds)
    except ValueError as error:
        raise Conflict(f"{node_id} does not start: {error}", code="other_estate") from error
    async with worker(
        switch,
        state=state,
        passwords=supplies.passwords,
        protected=supplies.protected,
        store=store,
        files=supplies.files,
    ) as running:
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
        await node.take_outbox(running.mocks)
        await store.goodbye(node_id, incarnation)
    except EsrError:
        logger.warning("store is away; the node could not say goodbye")


def _purses(switch: Switch) -> set[str]:
    """Return whose pockets are kept: drills that are not over, and clients from sandboxes themselves."""
    return {*switch.drills, *(f"sandbox-{name}" for name in switch.worlds)}
