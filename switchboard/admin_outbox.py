"""The call that lists what mocks swallowed: what would have been mailed, paid, texted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import orjson
from aiohttp import web

from switchboard.drill import Drill
from switchboard.errors import BadInput

MOST_ENTRIES = 1_000
_ENTRIES = 100


class Drills(Protocol):
    """Who knows which drill is meant (the admin's board)."""

    def subject(self, drill_id: str | None, *, over_too: bool = False) -> Drill | None: ...


class Shelf(Protocol):
    """Where entries are kept, newest first, each as JSON (the store)."""

    async def read_outbox(self, drill_id: str, limit: int) -> Sequence[bytes]: ...


class OutboxCalls:
    """`/api/esr/outbox`."""

    def __init__(self, board: Drills, store: Shelf) -> None:
        self._board = board
        self._store = store

    def routes(self) -> Iterable[web.RouteDef]:
        return (web.get("/api/esr/outbox", self.outbox),)

    async def outbox(self, request: web.Request) -> web.Response:
        """Answer the newest entries of a drill, the newest first; `?limit=` of 1 to 1,000 of them."""
        limit = _limit(request.query.get("limit"))
        drill = self._board.subject(request.query.get("drill"), over_too=True)
        entries = await self._store.read_outbox(drill.id, limit) if drill is not None else ()
        # Entries are JSON already: joined as they are, they need not be read.
        name = orjson.dumps(drill.id if drill is not None else None)
        body = b'{"drill":%s,"entries":[%s]}' % (name, b",".join(entries))
        return web.Response(body=body, content_type="application/json")


def _limit(text: str | None) -> int:
    if text is None:
        return _ENTRIES
    if not (text.isdecimal() and text.isascii() and len(text) <= 4 and 1 <= int(text) <= MOST_ENTRIES):
        raise BadInput(f"limit: {text[:80]!r} is not a whole number from 1 to {MOST_ENTRIES}")
    return int(text)
