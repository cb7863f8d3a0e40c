"""The calls about figures: the score as server-sent events, outcomes from outside, the leak report.

Outcomes are counted once although answers get lost, on both sides. What Redis did not confirm is offered again,
unchanged, before anything new of its writer and each second. What a client sends again under the same
`Idempotency-Key` is known by a digest of key and lines, which Redis keeps in the same step as it counts.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Iterable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from aiohttp import web
from aiohttp_sse import sse_response

from switchboard.admin_bodies import Outcome, TooLarge, parse_outcomes
from switchboard.admin_score import Board
from switchboard.drill import Drill
from switchboard.errors import BadInput, Conflict, Unavailable
from switchboard.scorecard import Recorder, ScoreDelta
from switchboard.store import Store

MOST_BYTES = 8 * 1024 * 1024
OFFER_AGAIN_S = 1.0
_MOST_KEY = 200
_MOST_WRITERS = 100


@dataclass(slots=True)
class _Writer:
    """What records the outcomes of one drill, and the delta that Redis has not confirmed."""

    # Histograms are cumulative for each writer, so one goes on for as long as its deltas arrive.
    recorder: Recorder = field(default_factory=lambda: Recorder(f"ingest-{uuid.uuid4().hex}"))
    pending: ScoreDelta | None = None


class FeedCalls:
    """`/api/esr/score`, `/api/esr/score/events` and `/api/esr/leaks`."""

    def __init__(self, board: Board, store: Store) -> None:
        self._board = board
        self._store = store
        self._writers: dict[str, _Writer] = {}
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
        """Count outcomes that somebody else measured: all lines or none, and under one key only once."""
        key = _idempotency_key(request)
        drill = self._board.subject(request.query.get("drill"))
        if drill is None:
            raise Conflict(
                "no drill is on that outcomes could belong to; start one, or name one with ?drill=",
                code="no_drill",
            )
        body = await _bounded_body(request)
        outcomes = await asyncio.to_thread(parse_outcomes, body)
        name = await asyncio.to_thread(_named, key, body) if key else ""
        async with self._turn:
            if not await self._is_counted(drill, name):
                await self._count(drill, outcomes, name)
        return web.json_response({"drill": drill.id, "counted": len(outcomes)})

    async def keep_offering(self) -> None:
        """Offer again each second what Redis has not confirmed."""
        while True:
            await asyncio.sleep(OFFER_AGAIN_S)
            for drill_id in [key for key, writer in self._writers.items() if writer.pending is not None]:
                async with self._turn:
                    with suppress(Unavailable):
                        await self._offer(drill_id)

    async def _is_counted(self, drill: Drill, name: str) -> bool:
        """Tell whether lines of this name are counted, once what is pending was handed over; raises Unavailable."""
        try:
            await self._offer(drill.id)
            return bool(name) and await self._store.has_counted(drill.id, name)
        except Unavailable as error:
            raise Unavailable(f"{error}; the lines were not taken, send them again", code=error.code) from error

    async def _count(self, drill: Drill, outcomes: Iterable[Outcome], name: str) -> None:
        self._forget_writers()
        writer = self._writers.pop(drill.id) if drill.id in self._writers else _Writer()
        self._writers[drill.id] = writer  # the newest comes last
        await _record(writer.recorder, outcomes)
        delta = writer.recorder.take()
        writer.pending = replace(delta, key=name) if delta is not None else None
        try:
            await self._offer(drill.id)
        except Unavailable as error:
            raise Unavailable(
                f"{error}; the lines are kept and will be counted: send them again only under the same Idempotency-Key",
                code=error.code,
            ) from error

    async def _offer(self, drill_id: str) -> None:
        writer = self._writers.get(drill_id)
        if writer is None or writer.pending is None:
            return
        counted = await self._store.add_score(drill_id, writer.pending)
        writer.recorder.confirm(writer.pending.sequence)
        writer.pending = None
        if not counted:
            # Another admin may have counted these lines: then this writer's histograms hold them once too often.
            del self._writers[drill_id]

    def _forget_writers(self) -> None:
        idle = [key for key, writer in self._writers.items() if writer.pending is None]
        for key in idle[: max(len(self._writers) - _MOST_WRITERS, 0)]:
            del self._writers[key]

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


def _idempotency_key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > _MOST_KEY or not key.isascii() or not key.isprintable():
        raise BadInput(f"Idempotency-Key: {key[:80]!r} is not a text of 1 to {_MOST_KEY} printable ASCII characters")
    return key


def _named(key: str, body: bytes) -> str:
    """Return the name of lines sent under a key: other lines under the same key are other lines."""
    return hashlib.sha256(key.encode() + b"\0" + body).hexdigest()


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
