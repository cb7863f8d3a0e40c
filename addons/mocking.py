"""Answers of mocks: rendered here, with a state of their drill, and what they swallowed kept for the outbox."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Awaitable, Mapping
from pathlib import Path
from typing import Any

import orjson
from mitmproxy import http

from addons.current import Current
from addons.edge import Edge
from addons.passage import Passage
from addons.replies import refusal
from addons.witness import Witness
from switchboard.errors import EsrError
from switchboard.estate import Mock
from switchboard.mock_request import MockRequest, secret_names
from switchboard.mocks import Rendered, needs_body, render
from switchboard.pocket import Written
from switchboard.pockets import PocketStore
from switchboard.seal import Broken, Seal

_STATE = "mock-state"
_STATE_TTL_S = 2 * 86_400
_MOST_TRIES = 1_000  # one request of each worker at a time: somebody's succeeds each time
_MOST_PENDING = 10_000
_HTTPS_ONLY = 5  # the rung whose redirect is a mock of our own


class Mocks:
    """`files` are the contents of the files that mocks name; `swallowed` waits to be taken to the store."""

    def __init__(
        self,
        current: Current,
        witness: Witness,
        edge: Edge,
        *,
        store: PocketStore | None,
        seal: Seal,
        files: Mapping[Path, bytes],
    ) -> None:
        self._current = current
        self._witness = witness
        self._edge = edge
        self._store = store
        self._seal = seal
        self._files = files
        self._changing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # by drill
        self.swallowed: deque[tuple[str, str, bytes]] = deque()  # drill, id, entry

    def begin(self, flow: http.HTTPFlow, found: Passage) -> Awaitable[None] | None:
        """Answer at once, or let the request be read whole first."""
        mock = found.verdict.mock
        assert mock is not None
        if found.verdict.rung != _HTTPS_ONLY and (needs_body(mock, flow.request.method) or mock.state):
            flow.request.stream = False
            return None
        if not mock.delay and not mock.state:
            flow.response = _response(self._rendered(flow, found, mock, state={}), found)
            return None
        return self.answer(flow, found)

    async def answer(self, flow: http.HTTPFlow, found: Passage) -> None:
        """Answer a request that was read whole; a delay holds nobody else up, and ends at an edge."""
        mock = found.verdict.mock
        assert mock is not None
        flow.response = refusal(503, "not yet decided", found.verdict.drill)
        found.local = True
        if mock.delay:
            await self._edge.rest(flow, mock.delay)
        rendered = (
            await self._with_state(flow, found, mock) if mock.state else self._rendered(flow, found, mock, state={})
        )
        if rendered.failure is not None:
            self._witness.count(found.verdict.drill, "mock_failed")
        if rendered.outbox_entry is not None and found.verdict.rung != _HTTPS_ONLY:
            self._keep(found, rendered.outbox_entry.to_json())
        flow.response = _response(rendered, found)

    def _rendered(self, flow: http.HTTPFlow, found: Passage, mock: Mock, *, state: Mapping[str, Any]) -> Rendered:
        target = self._current.switch.estate.targets[found.verdict.sandbox or ""]
        request = MockRequest.of(
            flow.request.method,
            f"{found.ask.scheme}://{found.ask.authorities[0]}{found.ask.target}",
            fields=flow.request.headers.fields,
            body=flow.request.raw_content or b"",
            drill=found.verdict.drill or "",
            at=time.time(),
            secrets=secret_names(target),
        )
        return render(mock, request, state, files=self._files)

    async def _with_state(self, flow: http.HTTPFlow, found: Passage, mock: Mock) -> Rendered:
        """Render with the drill's state, and again where another worker changed it meanwhile."""
        drill = found.purse
        place = f"{drill}/{_STATE}".encode()
        if self._store is None:
            return self._rendered(flow, found, mock, state={})
        async with self._changing[drill]:
            (stored,) = await self._store.read_jars(drill, [_STATE])
            for _ in range(_MOST_TRIES):
                rendered = self._rendered(flow, found, mock, state=self._opened(stored, place))
                if rendered.state_after is None:
                    return rendered
                sealed = self._seal.close(orjson.dumps(dict(rendered.state_after)), place=place)
                outcome, stored = await self._store.write_jar(
                    drill, _STATE, sealed, expected=stored, ttl_s=_STATE_TTL_S
                )
                if outcome is not Written.CONFLICT:
                    return rendered
        raise EsrError("a mock's state changes faster than it can be written", code="mock_state")

    def _opened(self, stored: bytes | None, place: bytes) -> Mapping[str, Any]:
        if stored is None:
            return {}
        try:
            found: Mapping[str, Any] = orjson.loads(self._seal.open(stored, place=place))
        except Broken:
            return {}
        return found

    def _keep(self, found: Passage, entry: bytes) -> None:
        if len(self.swallowed) >= _MOST_PENDING:
            self.swallowed.popleft()
            self._witness.count(found.verdict.drill, "outbox_lost")
        self.swallowed.append((found.purse, uuid.uuid4().hex, entry))


def _response(rendered: Rendered, found: Passage) -> http.Response:
    fields = (
        *rendered.fields,
        (b"Cache-Control", b"no-store"),
        (b"X-HMS-Drill", (found.verdict.drill or "sandbox").encode()),
    )
    return http.Response.make(rendered.status, rendered.body, http.Headers(fields))
