"""The HTTP layer, bounded, that an edge can make answer at once.

Theory: a request is answered by mitmproxy only when it has been read whole. One that is half here at an edge (an
upload that is refused, a body that is buffered) has no upstream connection whose end would produce an answer, and
its client's connection must not be closed without one: a browser would send it again (LEAKS TG-01).

mitmproxy also never forgets an upstream connection that has ended, nor a stream that it has refused by itself, while
the client stays; over HTTP/2 that is one of each for every request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mitmproxy import http
from mitmproxy.connection import Client, Connection, ConnectionState
from mitmproxy.proxy import events, layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._events import ResponseProtocolError
from mitmproxy.proxy.layers.http._http2 import Http2Server

from addons.bounds import BoundedServer, BoundedStream

_SWEEP_EVERY = 256


@dataclass
class Cut(events.Event):
    """Answer this flow with 503 now. Every layer hands it on to the one that reads HTTP."""

    flow: http.HTTPFlow


class HttpReader(layers.HttpLayer):
    """`heads` counts the request heads that came complete. `is_unread` says whose CONNECT nobody looks into."""

    streams: dict[int, BoundedStream]  # type: ignore[assignment]

    def __init__(
        self, context: Context, mode: HTTPMode, *, is_unread: Callable[[Client], bool] = lambda client: False
    ) -> None:
        super().__init__(context, mode)
        self._is_unread = is_unread
        self.heads = 0
        if context.client.alpn != b"h2":
            self.connections[context.client] = BoundedServer(context.fork())

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        return self._cut(event) if isinstance(event, Cut) else super()._handle_event(event)

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        self.heads += 1
        if not self.heads % _SWEEP_EVERY:
            self._sweep()
        stream = BoundedStream(self.context.fork(), stream_id, is_unread=self._is_unread)
        self.streams[stream_id] = stream
        yield from self.event_to_child(stream, events.Start())

    def _sweep(self) -> None:
        """Forget what has ended."""
        ended = [
            number
            for number, stream in self.streams.items()
            if stream._paused is None and stream.client_state == stream.server_state == stream.state_errored
        ]
        for number in ended:
            del self.streams[number]
        needed = {self.context.client, *self.waiting_for_establishment}
        needed.update(stream.context.server for stream in self.streams.values())
        for server in [c for c in self.connections if _is_over(c) and c not in needed]:
            del self.connections[server]
        front = self.connections[self.context.client]
        if isinstance(front, Http2Server):
            for number in [number for number in front.streams if front.is_closed(number)]:
                del front.streams[number]

    def _cut(self, cut: Cut) -> layer.CommandGenerator[None]:
        for stream in list(self.streams.values()):
            if stream.child_layer is not None and stream.flow.websocket is None:  # a tunnel, and what is read in it
                yield from self.event_to_child(stream, cut)
            elif stream.flow is cut.flow and stream._paused is None:  # one that waits gets its answer by what it awaits
                yield from self.event_to_child(stream, ResponseProtocolError(stream.stream_id, "cut at an edge", 503))


def _is_over(server: Connection) -> bool:
    """Return whether a connection is out of the handler's hands: no event of it can come any more."""
    return server.state is ConnectionState.CLOSED and bool(server.timestamp_end or server.error)
