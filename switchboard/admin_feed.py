"""The calls about figures: the score as server-sent events, outcomes from outside, the leak report."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from typing import Any

from aiohttp import web
from aiohttp_sse import sse_response

from switchboard.admin_bodies import Outcome, TooLarge, parse_outcomes
from switchboard.admin_score import Board
from switchboard.drill import Drill
from switchboard.errors import BadInput, Conflict, Unavailable
from switchboard.scorecard import Recorder
from switchboard.store import Store

MOST_BYTES = 8 * 1024 * 1024


class FeedCalls:
    """`/api/esr/score`, `/api/esr/score/events` and `/api/esr/leaks`."""

    def __init__(self, board: Board, store: Store) -> None:
        self._board = board
        self._store = store
        self._recorders: dict[str, Recorder] = {}
        self._turn = asyncio.Lock()

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/api/esr/score", self.score),
            web.post("/api/esr/score/events", self.events),
            web.get("/api/esr/leaks", self.leaks),
        )

    async def score(self, request: web.Request) -> web.StreamResponse:
        """Send a scorecard a second until the client or the admin goes."""
        drill_id = request.query.get("drill")
        self._board.subject(drill_id)
        after = _last_event_id(request)
        # Closed explicitly: the count of watchers must not wait for the garbage collector.
        async with (
            aclosing(self._board.follow(drill_id, after=after)) as events,
            sse_response(request) as response,
        ):
            try:
                async for event in events:
                    await response.send(event.text, id=str(event.id))
            except (ConnectionError, TimeoutError):
                pass  # the client went; it resumes with Last-Event-ID
        return response

    async def events(self, request: web.Request) -> web.Response:
        """Count outcomes that somebody else measured: all lines or none."""
        drill = self._board.subject(request.query.get("drill"))
        if drill is None:
            raise Conflict(
                "no drill is on that outcomes could belong to; start one, or name one with ?drill=",
                code="no_drill",
            )
        outcomes = await asyncio.to_thread(parse_outcomes, await _bounded_body(request))
        async with self._turn:
            # A writer's histograms are cumulative, so one recorder goes on for as long as its deltas arrive.
            recorder = self._recorders.pop(drill.id, None) or Recorder(f"ingest-{uuid.uuid4().hex}")
            await _record(recorder, outcomes)
            await self._add(drill, recorder)
            self._recorders[drill.id] = recorder
            self._forget_recorders()
        return web.json_response({"drill": drill.id, "counted": len(outcomes)})

    async def _add(self, drill: Drill, recorder: Recorder) -> None:
        delta = recorder.take()
        if delta is None:
            return
        try:
            await self._store.add_score(drill.id, delta)
        except Unavailable as error:
            # The recorder is dropped with what it holds: the client was told to send these lines again.
            raise Unavailable(f"{error}; the lines were not counted, send them again", code=error.code) from error
        recorder.confirm(delta.sequence)

    def _forget_recorders(self) -> None:
        while len(self._recorders) > 100:
            self._recorders.pop(next(iter(self._recorders)))

    async def leaks(self, request: web.Request) -> web.Response:
        """Answer what was blocked and why, what was dialled, and what should be zero."""
        drill = self._board.subject(request.query.get("drill"), over_too=True)
        counters: Mapping[str, int] = (await self._board.totals(drill)).counters if drill else {}
        return web.json_response({"drill": drill.id if drill else None, **leak_report(counters)})


def leak_report(counters: Mapping[str, int]) -> dict[str, Any]:
    """Return the leak report of a drill's counters: attempts by reason, dials by address, leaks proper."""
    return {
        "production_dials": counters.get("production_dials", 0),
        "kernel_drops": counters.get("kernel_drops", 0),
        "blocked": {"total": counters.get("blocked", 0), "reasons": _below("blocked:", counters)},
        "dials": _below("dial:", counters),
    }


def _below(prefix: str, counters: Mapping[str, int]) -> dict[str, int]:
    found = {name.removeprefix(prefix): n for name, n in counters.items() if name.startswith(prefix)}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


async def _record(recorder: Recorder, outcomes: Iterable[Outcome]) -> None:
    for number, outcome in enumerate(outcomes):
        recorder.outcome(outcome.user, wait_s=outcome.wait_s, error=outcome.is_error, status=outcome.status)
        if number % 1_000 == 999:
            await asyncio.sleep(0)  # a toggle must not wait for somebody's long list


def _last_event_id(request: web.Request) -> int | None:
    text = request.headers.get("Last-Event-ID")
    if text is None:
        return None
    if not (text.isdecimal() and text.isascii() and len(text) < 20):
        raise BadInput(f"Last-Event-ID: {text[:80]!r} is not the id of an event of this stream")
    return int(text)


async def _bounded_body(request: web.Request) -> bytes:
    parts = bytearray()
    async for part in request.content.iter_any():
        parts += part
        if len(parts) > MOST_BYTES:
            raise TooLarge(f"the body is larger than {MOST_BYTES} bytes; send the lines in parts")
    return bytes(parts)
