"""A request on its way to a sandbox: its head crosses at once, a body with credentials when it has come whole."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from mitmproxy import http

from addons.passage import Passage
from addons.replies import lead, refusal
from addons.witness import Witness
from switchboard.codings import Bomb, Broken, unpack
from switchboard.credentials import Unreadable, needs_body, swap_body
from switchboard.crossing import cross, needs_pocket
from switchboard.jar import jar_key
from switchboard.pockets import Pockets
from switchboard.world import World


class Forward:
    def __init__(self, witness: Witness, pockets: Pockets) -> None:
        self._witness = witness
        self._pockets = pockets

    def begin(self, flow: http.HTTPFlow, found: Passage, *, world: World) -> Awaitable[None] | None:
        """Send the head on, with what its client's pocket holds; reading the pocket is worth waiting for."""
        found.world = world
        if not needs_pocket(found.verdict, world):
            self._cross(flow, found, world)
            return None
        agent = flow.request.headers.get("user-agent", "")
        found.pocket_key = jar_key(client=found.ask.client, user_agent=agent, user=found.ask.user)
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
        found.crossing = crossing = cross(fields, found.ask, verdict, world=world, pocket=found.pocket, now=time.time())
        self._witness.removed(verdict.drill, crossing.removed)
        self._witness.swapped(verdict.drill, crossing.swapped)
        request.headers.fields = crossing.fields
        request.data.path = crossing.target.encode("utf-8", "surrogateescape")
        request.data.authority = upstream.authority.encode() if upstream.h2 else b""
        lead(request, upstream.scheme, host=upstream.host, port=upstream.port)
        has_body = request.is_http2 or "content-length" in request.headers or "transfer-encoding" in request.headers
        found.swaps = verdict.listed and has_body and needs_body(fields, world.rules)
        request.stream = not found.swaps and (not request.is_http2 or "content-length" in request.headers)

    def swap_body(self, flow: http.HTTPFlow, found: Passage) -> None:
        """Put twins into a body that was read whole; one that cannot be read goes nowhere."""
        request, world = flow.request, found.world
        assert world is not None
        body = request.raw_content or b""
        if not body:
            return
        fields = request.headers.fields
        kind = next((value for name, value in fields if name.lower() == b"content-type"), b"")
        coded = [value for name, value in fields if name.lower() == b"content-encoding"]
        try:
            plain = unpack(body, coded, limits=world.target.limits)
            swapped = swap_body(plain, kind, rules=world.rules, learned=found.pocket.learned)
        except (Unreadable, Broken, Bomb) as error:
            self._witness.blocked(found.verdict.drill, f"body: {error}")
            flow.response = refusal(400, f"body: {error}", found.verdict.drill)
            found.local = True
            return
        self._witness.removed(found.verdict.drill, swapped.removed)
        self._witness.swapped(found.verdict.drill, swapped.swapped)
        request.headers.pop("content-encoding", None)
        request.raw_content = swapped.body
