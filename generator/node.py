"""The generator as a node: it follows the switch, plays what runs, and hands its figures to the store.

A drill is played exactly while it is running. An epoch is acknowledged after every drill that it no longer runs has
fallen silent here, so that `draining` acknowledged means that not one more request will come. The node registers
before it reads the switch: a drill that begins meanwhile waits for it. With nothing in the store it waits for a
document, because an empty store may be one that has lost a drill.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from generator.run import play
from generator.wire import Resolve, resolve
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.ending import end
from switchboard.errors import Conflict, EsrError, NotFound, Unavailable
from switchboard.estate import Estate
from switchboard.node import NodeState
from switchboard.scenario import Scenario
from switchboard.scorecard import Recorder
from switchboard.store import Store
from switchboard.switch import Switch, compile_switch

logger = logging.getLogger(__name__)

BEAT_S = 1.0
FLUSH_S = 0.5

Scenarios = Callable[[], Mapping[str, Scenario]]


@dataclass(slots=True)
class _Play:
    """A drill being played here, and how far it had come before (seconds) when it was last taken up."""

    task: asyncio.Task[None]
    began: float
    before_s: float


@dataclass(slots=True)
class _Node:
    """The node's state; `switch` is what sending asks, `applied` what is fully in force and acknowledged."""

    node_id: str
    estate: Estate
    store: Store
    scenarios: Scenarios
    base: Path
    switch: Switch
    tasks: asyncio.TaskGroup
    resolve: Resolve
    stop: asyncio.Event
    incarnation: str = field(default_factory=lambda: uuid.uuid4().hex)
    applied: SwitchDocument | None = None
    displaced: Conflict | None = None
    plays: dict[str, _Play] = field(default_factory=dict)
    played_s: dict[str, float] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    recorders: list[tuple[str, Recorder]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    flushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def follow(self) -> None:
        async for document in self.store.watch_switch(after=self.applied.epoch if self.applied else -1):
            await self.apply(document)

    async def apply(self, document: SwitchDocument) -> None:
        """Make a document current: silence what no longer runs, acknowledge, start what runs now."""
        try:
            switch = compile_switch(self.estate, document)
        except ValueError as error:
            # Not applied, so not acknowledged: a drill that this node cannot carry out does not start.
            self.notes["switch"] = str(error)
            return
        if self.applied is None:
            self.take_over(document)
        self.switch = switch
        running = {drill.id: drill for drill in document.drills if drill.phase is Phase.RUNNING}
        await self.silence([drill_id for drill_id in self.plays if drill_id not in running])
        self._forget({drill.id for drill in document.drills if not drill.is_over})
        self.applied = document
        await self.tell()
        for drill in running.values():
            if drill.scenario is not None and drill.id not in self.plays and drill.id not in self.finished:
                self._take_up(drill)

    def take_over(self, document: SwitchDocument) -> None:
        """Go on where a generator before this one must have come to in the drills that run already."""
        for drill in document.drills:
            if drill.phase is Phase.RUNNING:
                self.played_s[drill.id] = max(time.time() - datetime.fromisoformat(drill.started).timestamp(), 0.0)

    async def silence(self, drill_ids: list[str]) -> None:
        """Stop playing these drills; returns when nothing of them is on the way any more."""
        if not drill_ids:
            return
        for drill_id in drill_ids:
            one = self.plays[drill_id]
            self.played_s[drill_id] = one.before_s + time.monotonic() - one.began
        await end([self.plays[drill_id].task for drill_id in drill_ids])
        for drill_id in drill_ids:
            del self.plays[drill_id]  # only now: until then its last figures may still come
        await self.flush()

    def _forget(self, alive: set[str]) -> None:
        self.finished &= alive
        for memory in (self.played_s, self.notes):
            for drill_id in memory.keys() - alive:  # the note on the switch goes too: it is applied
                del memory[drill_id]

    def _take_up(self, drill: Drill) -> None:
        recorder = Recorder(f"{self.node_id}.{uuid.uuid4().hex[:12]}")
        self.recorders.append((drill.id, recorder))
        before_s = self.played_s.get(drill.id, 0.0)
        task = self.tasks.create_task(self._play(drill, recorder, before_s))
        self.plays[drill.id] = _Play(task, time.monotonic(), before_s)

    async def _play(self, drill: Drill, recorder: Recorder, before_s: float) -> None:
        try:
            scenario = self.scenarios().get(drill.scenario or "")
            if scenario is None:
                raise NotFound(f"scenario {drill.scenario!r} is not there")
            await play(
                drill,
                scenario,
                switch=lambda: self.switch,
                recorder=recorder,
                base=self.base,
                played_s=before_s,
                resolve=self.resolve,
            )
        except EsrError as error:
            self._failed(drill, str(error))
        except Exception as error:  # one drill's failure must not silence the others
            logger.exception("drill %s: playing %s failed", drill.id, drill.scenario)
            self._failed(drill, f"{type(error).__name__}: {error}")
        self.finished.add(drill.id)

    def _failed(self, drill: Drill, why: str) -> None:
        logger.error("drill %s: %s", drill.id, why)
        self.notes[drill.id] = f"drill {drill.id}: {why}"

    def state(self) -> NodeState:
        """Return what the node says of itself now."""
        applied = self.applied or SwitchDocument()
        return NodeState(
            id=self.node_id,
            role="generator",
            epoch=applied.epoch,
            lineage=applied.lineage,
            incarnation=self.incarnation,
            ready=self.applied is not None and "switch" not in self.notes,
            seen=time.time(),
            note="; ".join(self.notes.values()) or ("" if self.applied else "waits for the switch"),
        )

    async def tell(self) -> None:
        """Say which epoch is applied; silent while the store is away. Stop the node when its id was taken over."""
        state = self.state()
        try:
            await self.store.acknowledge(state)
        except Unavailable:
            logger.warning("store is away; epoch %d is applied and will be acknowledged", state.epoch)
        except Conflict as error:
            # Off the register nobody waits for this node any more: it must not play on.
            self.displaced = error
            self.stop.set()

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            await self.tell()

    async def keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Hand over what was counted; what the store does not confirm is offered again, unchanged."""
        async with self.flushing:
            try:
                for drill_id, recorder in self.recorders:
                    while (delta := recorder.take()) is not None:
                        await self.store.add_score(drill_id, delta)
                        recorder.confirm(delta.sequence)
            except Unavailable:
                logger.warning("store is away; figures are kept and sent later")
                return
            self.recorders = [pair for pair in self.recorders if pair[0] in self.plays or pair[1].take() is not None]


async def serve(
    estate: Estate,
    *,
    store: Store,
    node_id: str,
    incarnation: str | None = None,
    scenarios: Scenarios,
    base: Path,
    stop: asyncio.Event,
    resolve: Resolve = resolve,
) -> None:
    """Run the generator as a node until `stop` is set.

    `scenarios` returns the scenarios known now, by id; `base` is the folder that their relative paths start from.
    Raises Unavailable where the switch cannot be loaded at the start, and Conflict (`node_taken`) when another process
    has this id, then or later.
    """
    nothing, tasks = compile_switch(estate, SwitchDocument()), asyncio.TaskGroup()
    node = _Node(node_id, estate, store, scenarios, base, nothing, tasks, resolve, stop)
    node.incarnation = incarnation or node.incarnation
    await store.acknowledge(node.state())
    document = await store.read_switch()
    async with tasks:
        if document is not None:
            await node.apply(document)
        loops = [tasks.create_task(loop()) for loop in (node.follow, node.beat, node.keep_flushing)]
        await stop.wait()
        await end(loops)
        await node.silence(list(node.plays))
    await node.flush()
    try:
        await store.goodbye(node_id, node.incarnation)
    except Unavailable:
        logger.warning("store is away; the node could not say goodbye")
    if node.displaced is not None:
        raise node.displaced
