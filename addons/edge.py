"""Both ends of a drill, for the clients that change sides: freeze, close, and let them in again.

Theory: cutting a client's connection while it waits for an answer is dangerous, since a browser silently
sends the request again on a new connection, which then leads to the other world (LEAKS TG-01). So streams end
at once, other requests in flight get time to finish where they began, and at the limit their upstream
connection is cut first: the client then gets an answer with headers, which no browser sends again. Only then
are the connections closed. Requests that arrive meanwhile wait in `reroute` and are not in flight.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Mapping

from mitmproxy import http

from addons.handler import Handler
from addons.login import Logins
from switchboard.drill import HOLDING
from switchboard.switch import Switch

_ANSWER_S = 0.25  # for the 502 of a cut upstream connection to be written
_GONE_S = 1.0


class Edge:
    """What is in flight on each client connection; `handlers` is the live registry of the doors."""

    def __init__(self, handlers: Mapping[str, Handler], logins: Logins) -> None:
        self._handlers = handlers
        self._logins = logins
        self._flights: dict[str, dict[str, http.HTTPFlow]] = {}
        self._waiting: dict[str, int] = {}
        self._retiring: set[str] = set()
        self._landed = asyncio.Event()
        self._woken: dict[str, asyncio.Event] = {}

    def depart(self, flow: http.HTTPFlow) -> None:
        """A request was decided and goes on its way."""
        self._flights.setdefault(flow.client_conn.id, {})[flow.id] = flow

    def land(self, flow: http.HTTPFlow) -> None:
        """A request is done: answered, failed, or its WebSocket has ended."""
        flights = self._flights.get(flow.client_conn.id)
        if flights is not None and flights.pop(flow.id, None) is not None:
            if not flights:
                del self._flights[flow.client_conn.id]
            self._woken.pop(flow.id, None)
            self._landed.set()

    async def rest(self, flow: http.HTTPFlow, seconds: float) -> None:
        """Wait with a request in flight, at most until an edge has no more time for it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.setdefault(flow.id, asyncio.Event()).wait()

    def wait(self, client_id: str, by: int) -> None:
        """Count requests that are held for the next epoch (`by` 1) or no longer are (-1)."""
        waiting = self._waiting.get(client_id, 0) + by
        if waiting > 0:  # less than none: the client left, and was forgotten, while its request waited
            self._waiting[client_id] = waiting
        else:
            self._waiting.pop(client_id, None)

    def forget(self, client_id: str) -> None:
        self._flights.pop(client_id, None)
        self._waiting.pop(client_id, None)
        self._retiring.discard(client_id)
        self._landed.set()

    def is_retiring(self, client_id: str) -> bool:
        """Return whether a connection outlived an edge with a held request, and should end after its answer."""
        return client_id in self._retiring

    async def cross(self, old: Switch, new: Switch, *, drain_s: float) -> int:
        """Freeze and close every client that leaves its side with `new`; return how many connections."""
        crossing = [h for h in self._handlers.values() if self._changes(h, old, new)]
        if not crossing:
            return 0
        for handler in crossing:
            if all(map(is_stream, self._flying(handler))):
                self._close(handler)
        await self._landing(crossing, drain_s)
        late = [handler for handler in crossing if self._flying(handler)]
        for handler in late:
            for flow in itertools.filterfalse(is_stream, self._flying(handler)):
                self._woken.setdefault(flow.id, asyncio.Event()).set()
                await handler.cut(flow)
        if late:
            await self._landing(late, _ANSWER_S)
        for handler in crossing:
            self._close(handler)
        await self._gone(crossing)
        return len(crossing)

    def _changes(self, handler: Handler, old: Switch, new: Switch) -> bool:
        address, user = handler.client.peername[0], self._logins.user_behind(handler.client.id)
        before, after = old.member(address, user), new.member(address, user)
        was, now = before.drill if before else None, after.drill if after else None
        if was is None or now is None or was.id != now.id:
            # Into or out of a drill, also where this node missed its arming or draining. Out of those phases
            # nothing is left to close: it was closed when they began.
            return was is not now and (was is None or was.phase not in HOLDING)
        return now.phase in HOLDING and was.phase is not now.phase

    def _flying(self, handler: Handler) -> list[http.HTTPFlow]:
        return list(self._flights.get(handler.client.id, {}).values())

    def _close(self, handler: Handler) -> None:
        if self._waiting.get(handler.client.id):
            # A held request has been seen by no side: it keeps its connection and is decided after the edge.
            handler.cut_upstream()
            self._retiring.add(handler.client.id)
        else:
            self._retiring.discard(handler.client.id)
            handler.close()

    async def _landing(self, handlers: list[Handler], limit_s: float) -> None:
        """Wait until nothing but streams is in flight on these connections, at most `limit_s` seconds."""
        try:
            async with asyncio.timeout(limit_s):
                while any(not all(map(is_stream, self._flying(handler))) for handler in handlers):
                    self._landed.clear()
                    await self._landed.wait()
        except TimeoutError:
            return

    async def _gone(self, handlers: list[Handler]) -> None:
        """Wait until closed connections are out of the registry; what hangs is severed at the limit."""
        closing = [h for h in handlers if h.client.id not in self._retiring]
        loop = asyncio.get_running_loop()
        end = loop.time() + _GONE_S
        while any(h.client.id in self._handlers for h in closing):
            if loop.time() > end:
                for handler in closing:
                    handler.sever()
                return
            await asyncio.sleep(0.002)


def is_stream(flow: http.HTTPFlow) -> bool:
    """Return whether a flow goes on until someone ends it: a WebSocket or server-sent events."""
    if flow.websocket is not None:
        return True
    response = flow.response
    return response is not None and response.headers.get("content-type", "").startswith("text/event-stream")
