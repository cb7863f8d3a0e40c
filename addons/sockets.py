"""WebSocket messages in a drill: twins on the way to the sandbox, production's URLs on the way back.

Each message is dropped first and let through last, so that a fault forwards nothing (LEAKS WS-07).
"""

from __future__ import annotations

from mitmproxy import http

from addons import passage
from addons.passage import Passage
from addons.witness import Witness
from switchboard.credentials import swap_message


class Refused(Exception):
    """A message that cannot be read and might carry a credential: its connection ends."""


class Sockets:
    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    def websocket_message(self, flow: http.HTTPFlow) -> None:
        """Rewrite the newest message, or end the connection."""
        found = passage.of(flow)
        if found is None or not found.forwarded or flow.websocket is None:
            return
        message = flow.websocket.messages[-1]
        message.dropped = True
        if message.from_client:
            message.content = self._to_sandbox(found, message.content, is_text=message.is_text)
        elif message.is_text and found.world is not None and found.world.url_map.mentions(message.content):
            scheme = "https" if found.ask.scheme == "https" else "http"
            message.content = found.world.url_map.rewrite(message.content, scheme=scheme)  # type: ignore[arg-type]
        message.dropped = False

    def _to_sandbox(self, found: Passage, content: bytes, *, is_text: bool) -> bytes:
        world, first, found.greeted = found.world, not found.greeted, True
        assert world is not None
        rules = world.rules if found.verdict.listed else world.no_rules
        swapped = swap_message(content, is_text=is_text, first=first, rules=rules, learned=found.pocket.learned)
        self._witness.removed(found.verdict.drill, swapped.removed)
        if swapped.drop:
            self._witness.blocked(found.verdict.drill, f"WebSocket: {swapped.reason}")
            raise Refused(swapped.reason)  # the chain severs the connection
        return swapped.content
