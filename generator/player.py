"""The loop over visits: an open loop on one clock.

Theory: a visit is started when it is due whatever became of those before it, so a slow sandbox is not spared by its own
slowness. Only when `Limits.in_flight` requests are on the way does the next one wait; then lateness grows and is
recorded, and since latency counts from the due instant, it shows. The policy is asked at the very moment of sending, so
that a changed switch holds for the next request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from generator.alarm import Alarm
from generator.entry import Visit
from generator.pacing import Pacer
from generator.reorder import BOUND, SPAN_S
from generator.replay import PAUSE_AFTER
from generator.request import Aim, Request, Sanitiser, ask_for, refusal
from generator.wire import Wire
from switchboard.policy import decide
from switchboard.scorecard import Recorder
from switchboard.switch import Switch


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one play: requests on the way, and the window for putting entries in order."""

    in_flight: int = 256
    span_s: float = SPAN_S
    bound: int = BOUND


class Player:
    """Send the visits of one drill, and account for every one of them."""

    def __init__(
        self,
        aim: Aim,
        sanitiser: Sanitiser,
        wire: Wire,
        *,
        switch: Callable[[], Switch],
        recorder: Recorder,
        in_flight: int,
    ) -> None:
        self._aim = aim
        self._sanitiser = sanitiser
        self._wire = wire
        self._switch = switch
        self._recorder = recorder
        self._slots = asyncio.Semaphore(in_flight)
        self._on_the_way = 0
        self._in_hand = 0  # 1 from taking a visit until it is sent or skipped

    async def perform(
        self,
        visits: Iterator[Visit | None],
        unsent: Callable[[], int],
        *,
        pacer: Pacer,
        duration: float | None,
        played_s: float,
    ) -> None:
        """Send visits as they are due until there are no more or `duration` is over; then wait for the answers.

        `unsent` tells how many visits the source holds back: they are counted as skipped at the end.
        """
        left = "stopped"
        due = self._due(visits, pacer, duration=duration, played_s=played_s)
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._start_all(due, pacer, tasks)
                left = "not_due"
        finally:
            self._count("cut", self._on_the_way)
            self._count(f"skipped:{left}", self._in_hand + unsent())

    async def _start_all(self, due: Iterator[Visit | None], pacer: Pacer, tasks: asyncio.TaskGroup) -> None:
        with Alarm() as alarm:
            for visit in due:
                if visit is None:
                    await asyncio.sleep(0)
                    continue
                await alarm.sleep(pacer.wait(time.monotonic()))
                await self._start(visit, pacer.last_due, tasks)
                self._in_hand = 0

    def _due(
        self, visits: Iterator[Visit | None], pacer: Pacer, *, duration: float | None, played_s: float
    ) -> Iterator[Visit | None]:
        """Yield the visits that fall into the play, each with `pacer` set to it; None where others may run."""
        gaps, capped_ms, passed, begun = 0, 0, 0, False
        for visit in visits:
            if visit is None:
                yield None
                continue
            self._in_hand = 1
            if not begun:  # not earlier: filling the window for the first time is not the sandbox's lateness
                pacer.begin(time.monotonic() - played_s)
                begun = True
            pacer.due(visit.stamp)
            if pacer.gaps_capped != gaps:
                self._count("gaps_capped", pacer.gaps_capped - gaps)
                self._count("gaps_capped_ms", round(pacer.capped_s * 1000) - capped_ms)
                gaps, capped_ms = pacer.gaps_capped, round(pacer.capped_s * 1000)
            if duration is not None and pacer.offset_s > duration:
                return
            if pacer.offset_s >= played_s:
                yield visit
                continue
            self._count("skipped:already_played")
            self._in_hand = 0
            passed += 1
            if passed % PAUSE_AFTER == 0:
                yield None

    async def _start(self, visit: Visit, due_at: float, tasks: asyncio.TaskGroup) -> None:
        """Send a visit if the policy lets it, else count why not."""
        await self._slots.acquire()
        request = await self._permitted(visit)
        if request is None:
            self._slots.release()
            return
        self._count("sent")
        self._on_the_way += 1
        tasks.create_task(self._send(request, visit.user, due_at))

    async def _permitted(self, visit: Visit) -> Request | None:
        verdict = decide(ask_for(visit.entry, self._aim), self._switch())
        reason, because = refusal(verdict, self._aim), verdict.reason
        if reason is None and verdict.upstream is not None:
            barred = await self._wire.refusal(verdict.upstream)
            if barred is None:
                request, removed = self._sanitiser.request(visit.entry, verdict.upstream, verdict.target)
                self._count("credentials_removed", removed)
                return request
            reason, because = "blocked", barred
        self._count(f"skipped:{reason}")
        if reason == "blocked":
            self._count("blocked")
            self._count(f"blocked:{because}")
        return None

    async def _send(self, request: Request, user: str, due_at: float) -> None:
        outcome = await self._wire.send(request, due_at)
        self._slots.release()
        self._on_the_way -= 1
        self._recorder.outcome(user, wait_s=outcome.wait_s, error=outcome.is_error, status=outcome.status)
        self._recorder.lateness(outcome.late_s)
        if outcome.error:
            self._count(f"error:{outcome.error}")

    def _count(self, name: str, by: int = 1) -> None:
        if by:
            self._recorder.count(name, by)
