"""What the admin knows of switch and nodes, and the loops that keep it true.

Reads answer from memory, also while Redis is away. Writes go through `change`: read what is stored,
decide, compare-and-set, decide again when another admin was faster. A document that is missing or lower
than what this admin has seen means that Redis lost data: it is put back, never followed.

An admin that finds nothing in Redis cannot know whether there never was anything. It listens for `trust_after_s`
to the nodes, which register again each second: if none of them obeys a switch that it does not know, it writes the
first document of a new lineage; else only the end of every drill, above what they obey, leads on. Until then
nothing is written, so that a fresh node finds nothing to let its clients through by.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from switchboard import steward
from switchboard.drill import HOLDING, Event, SwitchDocument
from switchboard.errors import Conflict, Unavailable
from switchboard.estate import Estate
from switchboard.node import NodeState, astray, why_astray
from switchboard.store import Store

PING_S = 0.5
SILENT_S = 5.0  # five heartbeats
TRUST_AFTER_S = 2.5  # nodes register once a second: within two beats and a poll nobody is missed
_ATTEMPTS = 20

Decide = Callable[[SwitchDocument], SwitchDocument | None]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Desk:
    """The state of the switchboard as this admin sees it, and the one way to change it."""

    def __init__(
        self,
        estate: Estate,
        store: Store,
        *,
        clock: Callable[[], datetime] = utc_now,
        trust_after_s: float = TRUST_AFTER_S,
    ) -> None:
        self.estate = estate
        self.store = store
        self.clock = clock
        self.document = SwitchDocument(lineage=secrets.token_hex(8))
        self.nodes: tuple[NodeState, ...] = ()
        self.redis_up = False
        self.blamed: dict[str, tuple[str, ...]] = {}  # nodes that made the start of a drill fail
        self.known = False  # whether switch and nodes were read at least once
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()
        self._waiting: dict[tuple[str, int], float] = {}
        self._founded = False  # whether the document is one that the store holds, or held
        self._trust_after = math.inf
        self._trust_after_s = trust_after_s
        self._closed = False

    # -- changing

    async def change(self, decide: Decide, *, overrule: bool = False) -> SwitchDocument:
        """Store what `decide` makes of the stored document (None: nothing); return the document after that.

        `decide` is asked again when another admin changed the switch meanwhile. `overrule` lets it decide
        although nodes obey what Redis does not know. Raises Unavailable, Conflict and what `decide` raises.
        """
        async with self._turn:
            for attempt in range(1, _ATTEMPTS + 1):
                nodes = self.nodes  # before the read: what they apply then is what the read must know
                document = await self._stored(nodes)
                if not overrule:
                    _check_obeyed(nodes, document)
                wanted = decide(document)
                if wanted is None:
                    return document
                try:
                    await self.store.write_switch(wanted, after=document.epoch)
                except Conflict:
                    if attempt == _ATTEMPTS:
                        raise
                    continue
                self._take_document(wanted)
                return wanted
        raise AssertionError("unreachable")

    async def _stored(self, nodes: tuple[NodeState, ...]) -> SwitchDocument:
        document = await self.store.read_switch()
        if document is None and not self._founded:
            document = await self._found(nodes)
            if document is None:
                return self.document
        if document is None or document.epoch < self.document.epoch:
            await self.store.restore_switch(self.document)
            self._trust_after = _monotonic() + self._trust_after_s
            document = self.document
        self._take_document(document)
        return document

    async def _found(self, nodes: tuple[NodeState, ...]) -> SwitchDocument | None:
        """Write the first document once the nodes were listened to; None while that may not be."""
        if self._trust_after == math.inf:
            self._trust_after = _monotonic() + self._trust_after_s
        if not self.trusted() or astray(nodes, self.document.epoch, lineage=self.document.lineage):
            return None
        # Nodes that took the epoch 0 of a switch that is gone take no other one: they need the next.
        epoch = 1 if any(node.lineage for node in nodes) else 0
        await self.store.restore_switch(self.document.model_copy(update={"epoch": epoch}))
        return await self.store.read_switch()  # that of another admin where it was faster

    def astray_epoch(self, document: SwitchDocument) -> int:
        """Return the highest epoch that some node obeys without `document` knowing it, -1 where there is none."""
        lost = astray(self.nodes, document.epoch, lineage=document.lineage)
        return max((node.epoch for node in lost), default=-1)

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
        """Return the ids of registered nodes that do not apply the document from `epoch` on."""
        return steward.unsettled(self.document, self.nodes, epoch)

    # -- trusting

    def trusted(self) -> bool:
        """Tell whether the register can be believed: read at least once, and not just lost."""
        return self.known and _monotonic() >= self._trust_after

    def lacks(self) -> str | None:
        """Return what this admin waits for before it knows the switch, None for nothing."""
        if not self.known:
            return "has not reached Redis yet, so the switch is not known"
        if not self.trusted():
            return "listens for nodes that obey an older switch, because Redis held nothing"
        return None if self._founded else "has not written a switch yet"

    def check_trusted(self) -> None:
        """Return when a drill may begin as far as the register goes; raises Unavailable (`not_trusted_yet`)."""
        if not self.trusted():
            raise Unavailable(
                "Redis held nothing, so nodes that obey an older switch are listened for: "
                f"try again in {self._trust_after_s:g} s",
                code="not_trusted_yet",
            )

    async def listen(self) -> None:
        """Return once the nodes were listened to, where Redis held nothing; raises Unavailable."""
        if self._founded:
            return
        if self._trust_after == math.inf:
            await self.load()
        await self.until(self.trusted, timeout_s=max(self._trust_after - _monotonic(), 0.0))
        self.check_trusted()

    # -- keeping true

    async def load(self) -> None:
        """Read switch and nodes once; raises Unavailable."""
        self._take_nodes(await self.store.nodes())
        async with self._turn:
            await self._stored(self.nodes)
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
                    await self._stored(self.nodes)
                up = True
            except Unavailable:
                up = False
                if not self._founded:
                    self._trust_after = math.inf  # what was heard before an outage does not count
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
                    # A node that is astray must not keep a failed start from being called so.
                    await self.change(self._made, overrule=True)
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
            if not self.trusted():
                wait_s = PING_S
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
        if not self.trusted():
            return None
        return steward.next_move(
            document,
            self.nodes,
            now=self.clock(),
            waited_s=self._waited_s(),
            arm_timeout_s=self.estate.arm_timeout,
        )

    def _waited_s(self) -> dict[str, float]:
        now = _monotonic()
        return {drill_id: now - since for (drill_id, _), since in self._waiting.items()}

    def _take_document(self, document: SwitchDocument) -> None:
        """Take what the store holds, unless it is older than what is known."""
        if document.epoch < self.document.epoch or (document == self.document and self._founded):
            return
        self._founded = True
        if self._trust_after == math.inf:
            self._trust_after = _monotonic()
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


def _check_obeyed(nodes: tuple[NodeState, ...], document: SwitchDocument) -> None:
    lost = astray(nodes, document.epoch, lineage=document.lineage)
    if lost:
        highest = max(lost, key=lambda node: node.epoch)
        raise Conflict(f"node '{highest.id}' {why_astray(highest)}", code="switch_lost")


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
