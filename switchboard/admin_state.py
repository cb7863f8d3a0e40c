"""What the admin knows of switch and nodes, and the loops that keep it true.

Reads answer from memory, also while Redis is away. Writes go through `change`: read what is stored,
decide, compare-and-set, decide again when another admin was faster. A document that is missing or lower
than what this admin has seen means that Redis lost data: it is put back, never followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from switchboard import steward
from switchboard.drill import HOLDING, Event, SwitchDocument
from switchboard.errors import Conflict, Unavailable
from switchboard.estate import Estate
from switchboard.node import NodeState, behind
from switchboard.store import Store

PING_S = 0.5
SILENT_S = 5.0  # five heartbeats
_ATTEMPTS = 20
_REGISTER_AGAIN_S = 3.0  # nodes register once a second; after a loss nobody is missed within three

Decide = Callable[[SwitchDocument], SwitchDocument | None]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Desk:
    """The state of the switchboard as this admin sees it, and the one way to change it."""

    def __init__(self, estate: Estate, store: Store, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.estate = estate
        self.store = store
        self.clock = clock
        self.document = SwitchDocument()
        self.nodes: tuple[NodeState, ...] = ()
        self.redis_up = False
        self.blamed: dict[str, tuple[str, ...]] = {}  # nodes that made the start of a drill fail
        self.lost_epoch = -1  # the highest epoch that a node applied and Redis lost
        self.known = False  # whether switch and nodes were read at least once
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting: dict[tuple[str, int], float] = {}
        self._trust_after = 0.0
        self._closed = False

    # -- changing

    async def change(self, decide: Decide, *, overrule: bool = False) -> SwitchDocument:
        """Store what `decide` makes of the stored document (None: nothing); return the document after that.

        `decide` is asked again when another admin changed the switch meanwhile. `overrule` lets it decide
        although nodes apply an epoch that Redis does not know any more. Raises Unavailable, Conflict and
        what `decide` raises.
        """
        async with self._turn:
            for attempt in range(1, _ATTEMPTS + 1):
                document = await self._stored(overrule=overrule)
                wanted = decide(document)
                if wanted is None:
                    return document
                try:
                    await self.store.write_switch(wanted)
                except Conflict:
                    if attempt == _ATTEMPTS:
                        raise
                    continue
                self._take_document(wanted)
                return wanted
        raise AssertionError("unreachable")

    async def _stored(self, *, overrule: bool) -> SwitchDocument:
        nodes = self.nodes  # before the read: what they apply then is what the read must know
        document = await self.store.read_switch()
        if document is None or document.epoch < self.document.epoch:
            await self.store.restore_switch(self.document)
            self._trust_after = _monotonic() + _REGISTER_AGAIN_S
            document = self.document
        self._take_document(document)
        ahead = max((one for one in nodes if one.epoch > document.epoch), default=None, key=_epoch_of)
        if ahead is None:
            return document
        if not overrule:
            raise Conflict(
                f"node '{ahead.id}' applies epoch {ahead.epoch}, but Redis holds {document.epoch}: it lost the "
                "switch; end every drill first (mode live), then start again",
                code="switch_lost",
            )
        self.lost_epoch = ahead.epoch
        lost = SwitchDocument(epoch=ahead.epoch, drills=document.drills)
        await self.store.restore_switch(lost)
        return lost

    # -- waiting

    async def until(self, question: Callable[[], bool], *, timeout_s: float) -> bool:
        """Wait until `question` is true of what is known; False when `timeout_s` passed or the admin stops."""
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    changed = self._changed
                    if question():
                        return True
                    if self._closed:
                        return False
                    await changed.wait()
        except TimeoutError:
            return question()

    def close(self) -> None:
        """Let everybody who waits go: the drills go on, with the next admin."""
        self._closed = True
        self._tell()

    def silent(self, epoch: int) -> tuple[str, ...]:
        """Return the ids of registered nodes that have not applied `epoch`."""
        return behind(self.nodes, epoch)

    # -- keeping true

    async def load(self) -> None:
        """Read switch and nodes once; raises Unavailable. An empty Redis gets a document that says `live`."""
        document = await self.store.read_switch()
        if document is None:
            await self.store.restore_switch(self.document)
        else:
            self._take_document(document)
        self._take_nodes(await self.store.nodes())
        self.redis_up = True

    async def follow_switch(self) -> None:
        """Take every newer document as soon as it is hinted at."""
        async for document in self.store.watch_switch():
            self._take_document(document)

    async def follow_nodes(self) -> None:
        """Take every change of the registered nodes as soon as it is hinted at."""
        async for nodes in self.store.watch_nodes():
            self._take_nodes(nodes)

    async def follow_redis(self) -> None:
        """Notice within half a second when Redis goes and comes, and put the switch back if it lost it."""
        while True:
            try:
                async with self._turn:
                    await self._stored(overrule=False)
                up = True
            except Conflict:
                up = True
            except Unavailable:
                up = False
            if up != self.redis_up:
                self.redis_up = up
                self._tell()
            await asyncio.sleep(PING_S)

    async def steer(self) -> None:
        """Make the moves that follow from acknowledgements and time, whoever started the drills."""
        while True:
            changed = self._changed
            if self._next_move(self.document) is not None:
                try:
                    await self.change(self._made)
                    continue
                except (Conflict, Unavailable):
                    await asyncio.sleep(PING_S)
                    continue
            wait_s = steward.next_look_s(
                self.document,
                now=self.clock(),
                waited_s=self._waited_s(),
                arm_timeout_s=self.estate.arm_timeout,
            )
            if not self._trusted():
                wait_s = _REGISTER_AGAIN_S
            # At most a minute: a deadline is wall time, and that can jump.
            wait_s = 60.0 if wait_s is None else min(max(wait_s, 0.001), 60.0)
            try:
                async with asyncio.timeout(wait_s):
                    await changed.wait()
            except TimeoutError:
                continue

    def _made(self, document: SwitchDocument) -> SwitchDocument | None:
        move = self._next_move(document)
        if move is None:
            return None
        if move.event is Event.FAIL:
            self.blamed = {**self.blamed, move.drill_id: move.silent}
        return steward.make(document, move, now=self.clock())

    def _next_move(self, document: SwitchDocument) -> steward.Move | None:
        if not self._trusted():
            return None
        return steward.next_move(
            document,
            self.nodes,
            now=self.clock(),
            waited_s=self._waited_s(),
            arm_timeout_s=self.estate.arm_timeout,
        )

    def _trusted(self) -> bool:
        """Whether the register can be believed: read at least once, and not just lost."""
        return self.known and _monotonic() >= self._trust_after

    def _waited_s(self) -> dict[str, float]:
        now = _monotonic()
        return {drill_id: now - since for (drill_id, _), since in self._waiting.items()}

    def _take_document(self, document: SwitchDocument) -> None:
        if document.epoch < self.document.epoch or document == self.document:
            return
        self.document = document
        now = _monotonic()
        waiting = [(drill.id, drill.edge) for drill in document.drills if drill.phase in HOLDING]
        self.blamed = {key: names for key, names in self.blamed.items() if document.find(key)}
        self._waiting = {key: self._waiting.get(key, now) for key in waiting}
        self._tell()

    def _take_nodes(self, nodes: tuple[NodeState, ...]) -> None:
        self.nodes = nodes
        self.known = True
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _epoch_of(node: NodeState) -> int:
    return node.epoch


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
