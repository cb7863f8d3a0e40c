"""The live figures: each second the scorecard of every drill somebody may look at, kept for those who reconnect."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from switchboard import steward
from switchboard.admin_state import Desk
from switchboard.drill import Drill, Phase
from switchboard.errors import InvalidFile, NotFound, Unavailable
from switchboard.scenario import Scenario
from switchboard.scorecard import ScoreTotals, scorecard

TICK_S = 1.0
KEPT_EVENTS = 300
RATE_OVER = 5  # samples: a rate is the mean over the last five seconds
_UNWATCHED_S = 120.0

Scenarios = Callable[[], Mapping[str, Scenario | InvalidFile]]


@dataclass(frozen=True, slots=True)
class ScoreEvent:
    """One scorecard as sent; `id` grows, also over a restart of the admin."""

    id: int
    text: str


@dataclass(slots=True)
class _Stream:
    """The last events of one subject: a drill, or (None) whichever drill is the newest."""

    events: deque[ScoreEvent] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    watchers: int = 0
    left_at: float = 0.0


class Board:
    """Samples scores and hands out scorecards. Without Redis it repeats the last figures it read."""

    def __init__(self, desk: Desk, scenarios: Scenarios) -> None:
        self._desk = desk
        self._scenarios = scenarios
        self._totals: dict[str, ScoreTotals] = {}
        self._samples: dict[str, deque[tuple[float, int]]] = {}
        self._streams: dict[str | None, _Stream] = {None: _Stream()}
        self._next_id = int(time.time() * 1000)
        self._ticked = asyncio.Event()
        self._closed = False

    async def run(self) -> None:
        """Sample once a second on an absolute beat."""
        due = _monotonic()
        while True:
            await self._tick()
            due = max(due + TICK_S, _monotonic())
            await asyncio.sleep(due - _monotonic())

    async def totals(self, drill: Drill) -> ScoreTotals:
        """Return the totals of a drill, the last known ones when Redis is away."""
        with suppress(Unavailable):
            self._totals[drill.id] = await self._desk.store.read_score(drill.id)
        return self._totals.get(drill.id, ScoreTotals())

    def last_totals(self) -> Mapping[str, ScoreTotals]:
        """Return the last read totals of the drills that are sampled."""
        return self._totals

    def subject(self, drill_id: str | None, *, over_too: bool = False) -> Drill | None:
        """Return the drill that is meant: by id (raises NotFound), else the newest that is not over."""
        if drill_id is None:
            return steward.newest(self._desk.document, over_too=over_too)
        drill = self._desk.document.find(drill_id)
        if drill is None:
            known = ", ".join(one.id for one in self._desk.document.drills) or "none"
            raise NotFound(f"drill '{drill_id}' is not known; known are {known}", code="unknown_drill")
        return drill

    async def card(self, drill: Drill | None) -> dict[str, Any]:
        """Return the scorecard of a drill now."""
        if drill is None:
            return scorecard(None, ScoreTotals(), elapsed_s=0.0, rps=0.0, speed=1.0)
        totals = await self.totals(drill)
        ended = datetime.fromisoformat(drill.ended) if drill.ended else self._desk.clock()
        elapsed_s = max((ended - datetime.fromisoformat(drill.started)).total_seconds(), 0.0)
        return scorecard(drill, totals, elapsed_s=elapsed_s, rps=self._rate(drill, totals), speed=self._speed(drill))

    async def follow(self, drill_id: str | None, *, after: int | None) -> AsyncGenerator[ScoreEvent, None]:
        """Yield the newest event at once and then every one; with `after` first all kept ones since."""
        self.subject(drill_id)
        stream = self._streams.setdefault(drill_id, _Stream())
        stream.watchers += 1
        try:
            if not stream.events:
                await self._sample(self.subject(drill_id), stream)
            newest = stream.events[-1].id
            # An id from the future is one of an admin whose clock was ahead: nothing to resume from.
            last = newest - 1 if after is None or after > newest else after
            while not self._closed and self._streams.get(drill_id) is stream:
                ticked = self._ticked
                for event in [event for event in stream.events if event.id > last]:
                    last = event.id
                    yield event
                await ticked.wait()
        finally:
            stream.watchers -= 1
            stream.left_at = _monotonic()

    async def _tick(self) -> None:
        drills = self._desk.document.drills
        for drill in drills:
            if not drill.is_over or drill.id not in self._totals:
                await self._take_sample(drill)
        known = {drill.id for drill in drills}
        self._totals = {key: value for key, value in self._totals.items() if key in known}
        self._samples = {key: value for key, value in self._samples.items() if key in known}
        for key, stream in list(self._streams.items()):
            idle = not stream.watchers and _monotonic() - stream.left_at > _UNWATCHED_S
            shown = steward.newest(self._desk.document) if key is None else self._desk.document.find(key)
            if key is not None and (idle or shown is None):
                del self._streams[key]
            else:
                await self._sample(shown, stream)
        self._tell()

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        self._tell()

    def _tell(self) -> None:
        self._ticked.set()
        self._ticked = asyncio.Event()

    async def _take_sample(self, drill: Drill) -> None:
        totals = await self.totals(drill)
        samples = self._samples.setdefault(drill.id, deque(maxlen=RATE_OVER + 1))
        samples.append((_monotonic(), totals.counters.get("requests", 0)))

    async def _sample(self, drill: Drill | None, stream: _Stream) -> None:
        card = await self.card(drill)
        self._next_id += 1
        stream.events.append(ScoreEvent(self._next_id, orjson.dumps(card).decode()))

    def _rate(self, drill: Drill, totals: ScoreTotals) -> float:
        samples = self._samples.get(drill.id)
        if not samples or drill.phase not in (Phase.RUNNING, Phase.DRAINING):
            return 0.0
        since, before = samples[0]
        passed_s = _monotonic() - since
        # Less than half a beat would turn the first handful of requests into a wild rate.
        return (totals.counters.get("requests", 0) - before) / passed_s if passed_s > TICK_S / 2 else 0.0

    def _speed(self, drill: Drill) -> float:
        if drill.speed is not None:
            return drill.speed
        scenario = self._scenarios().get(drill.scenario or "")
        return scenario.speed if isinstance(scenario, Scenario) else 1.0


def _monotonic() -> float:
    return asyncio.get_running_loop().time()
