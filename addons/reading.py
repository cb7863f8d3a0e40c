"""The HTTP layer that an edge can make answer at once.

Theory: a request is answered by mitmproxy only when it has been read whole. One that is half here at an edge (an
upload that is refused, a body that is buffered) has no upstream connection whose end would produce an answer, and
its client's connection must not be closed without one: a browser would send it again (LEAKS TG-01).
"""

from __future__ import annotations

from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.proxy import events, layer, layers
from mitmproxy.proxy.layers.http._events import ResponseProtocolError


@dataclass
class Cut(events.Event):
    """Answer this flow with 503 now. Every layer hands it on to the one that reads HTTP."""

    flow: http.HTTPFlow


class HttpReader(layers.HttpLayer):
    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        return self._cut(event) if isinstance(event, Cut) else super()._handle_event(event)

    def _cut(self, cut: Cut) -> layer.CommandGenerator[None]:
        for stream in list(self.streams.values()):
            if stream.child_layer is not None and stream.flow.websocket is None:  # a tunnel, and what is read in it
                yield from self.event_to_child(stream, cut)
            elif stream.flow is cut.flow and stream._paused is None:  # one that waits gets its answer by what it awaits
                yield from self.event_to_child(stream, ResponseProtocolError(stream.stream_id, "cut at an edge", 503))
