"""A request on its way to a sandbox: its head crosses at once, a body with credentials when it has come whole."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from mitmproxy import http
from mitmproxy.net.http.http1 import connection_close

from addons.passage import Passage
from addons.replies import lead, refusal
from addons.witness import Witness
from switchboard.codings import Bomb, Broken, unpack
from switchboard.credential_body import content_type
from switchboard.credentials import Unreadable, needs_body, swap_body
from switchboard.crossing import cross, needs_pocket
from switchboard.jar import jar_key
from switchboard.pockets import Pockets
from switchboard.world import World

# Looked up in one pass: a multidict joins and decodes every field at each of its lookups.
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Forward:
    def __init__(self, witness: Witness, pockets: Pockets) -> None:
        self._witness = witness
        self._pockets = pockets

    def begin(self, flow: http.HTTPFlow, found: Passage, *, world: World) -> Awaitable[None] | None:
        """Send the head on, with what its client's pocket holds; wait for that only where it is not at hand."""
        found.world = world
        if not needs_pocket(found.verdict, world):
            self._cross(flow, found, world)
            return None
        agent = _joined(flow.request, b"user-agent").decode("utf-8", "surrogateescape")
        found.pocket_key = jar_key(client=found.ask.client, user_agent=agent, user=found.ask.user)
        pocket = self._pockets.at_hand(found.purse, found.pocket_key)
        if pocket is not None:
            found.pocket = pocket
            self._cross(flow, found, world)
            return None
        flow.response = refusal(503, "not yet decided", found.verdict.drill)
        return self._with_pocket(flow, found, world)

    async def _with_pocket(self, flow: http.HTTPFlow, found: Passage, world: World) -> None:
        found.pocket = await self._pockets.open(found.purse, found.pocket_key)
        self._cross(flow, found, world)
        flow.response = None

    def _cross(self, flow: http.HTTPFlow, found: Passage, world: World) -> None:
        request, verdict = flow.request, found.verdict
        upstream = verdict.upstream
        assert upstream is not None
        fields = request.headers.fields
        framing = {lower for name, _ in fields if (lower := name.lower()) in _FRAMING}
        found.closes = _closes(request)
        found.crossing = crossing = cross(fields, found.ask, verdict, world=world, pocket=found.pocket, now=time.time())
        self._witness.removed(verdict.drill, crossing.removed)
        self._witness.swapped(verdict.drill, crossing.swapped)
        request.headers.fields = crossing.fields
        request.data.path = crossing.target.encode("utf-8", "surrogateescape")
        request.data.authority = upstream.authority.encode() if upstream.h2 else b""
        lead(request, upstream.scheme, host=upstream.host, port=upstream.port)
        has_body = request.is_http2 or b"content-length" in framing or b"transfer-encoding" in framing
        found.swaps = verdict.listed and has_body and needs_body(fields, world.rules)
        request.stream = not found.swaps and (upstream.h2 or not request.is_http2 or b"content-length" in framing)

    def swap_body(self, flow: http.HTTPFlow, found: Passage) -> None:
        """Put twins into a body that was read whole; one that cannot be read goes nowhere."""
        request, world = flow.request, found.world
        assert world is not None
        body = request.raw_content or b""
        if not body:
            return
        fields = request.headers.fields
        coded = [value for name, value in fields if name.lower() == b"content-encoding"]
        try:
            plain = unpack(body, coded, limits=world.target.limits)
            swapped = swap_body(plain, content_type(fields), rules=world.rules, learned=found.pocket.learned)
        except (Unreadable, Broken, Bomb) as error:
            self._witness.blocked(found.verdict.drill, f"body: {error}")
            flow.response = refusal(400, f"body: {error}", found.verdict.drill)
            if found.closes:
                flow.response.headers["connection"] = "close"
            found.local = True
            return
        self._witness.removed(found.verdict.drill, swapped.removed)
        self._witness.swapped(found.verdict.drill, swapped.swapped)
        request.headers.pop("content-encoding", None)
        request.raw_content = swapped.body


def _joined(request: http.Request, wanted: bytes) -> bytes:
    return b", ".join([value for name, value in request.headers.fields if name.lower() == wanted])


def _closes(request: http.Request) -> bool:
    if request.http_version == "HTTP/1.1" and _joined(request, b"connection").lower() in (b"", b"keep-alive"):
        return False  # nearly every request
    return bool(connection_close(request.http_version, request.headers))
