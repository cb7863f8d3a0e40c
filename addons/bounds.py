"""Bounds on what one client can make a worker hold, where HTTP is read. Legitimate volume never meets them.

Theory: mitmproxy keeps what it cannot use yet: a head without end, a body that is read whole, the parts of a
WebSocket message, every message ever relayed. Its own `body_size_limit` would also end streams, so it stays off
(DESIGN 6). Heads, bodies that are read whole and messages have a largest size here; what only waits its turn is
bounded by not reading on (`weight`, `handler`).
"""

from __future__ import annotations

import re
import resource
from collections import deque
from collections.abc import Callable, Iterator

import wsproto.events
from mitmproxy import http
from mitmproxy.connection import Client
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpStream, SendHttp
from mitmproxy.proxy.layers.http._base import ReceiveHttp
from mitmproxy.proxy.layers.http._events import (
    HttpEvent,
    RequestData,
    RequestProtocolError,
    ResponseData,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._http1 import Http1Server
from mitmproxy.proxy.layers.websocket import WebsocketConnection, WebsocketLayer

from addons import passage
from switchboard.verdict import Kind

_KIB, _MIB = 1024, 1024 * 1024

MOST_HEAD = 64 * _KIB
MOST_REFUSED = 8 * _MIB  # of a body that is read to its end only for the answer to be heard
MOST_BODY = 16 * _MIB  # of a body that is read whole, a request's or an answer's
MOST_MESSAGE = 16 * _MIB
_PIECE = 64  # what one more piece of a message costs besides its bytes
_SLICE = 16 * _KIB  # of WebSocket bytes read at once: deflated, it grows a thousandfold (RFC 7692)

_BLANK = re.compile(rb"(?:\r?\n)+")  # lines before a request (RFC 9112 2.2); mitmproxy drops one for each read
_HEAD_END = re.compile(rb"\n\r?\n")

OURS = "HMS-ESR: "  # before the reasons of errors that are made here
HEAD_TOO_LONG = "request head is too long"
CHUNK_TOO_LONG = "chunk head or trailer is too long"

_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n"
    b'X-HMS-Drill: none; reason="request head is too long"\r\n\r\n'
)


def raise_file_limit() -> int:
    """Let this process open as many files as it may; return how many. Each connection is one, often two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class BoundedServer(Http1Server):
    """Reads HTTP/1 heads of at most 64 KiB; mitmproxy has no limit."""

    def read_headers(self, event: events.ConnectionEvent) -> layer.CommandGenerator[None]:
        if len(self.buf) > MOST_HEAD:
            blank = _BLANK.match(self.buf._data)
            self.buf.maybe_extract_at_most(blank.end() if blank else 0)
            if len(self.buf) > MOST_HEAD and not _HEAD_END.search(self.buf._data, 0, MOST_HEAD):
                return self._refuse()
        return super().read_headers(event)

    def _refuse(self) -> layer.CommandGenerator[None]:
        self.state = self.done
        self.buf.maybe_extract_at_most(len(self.buf))
        self.conn.error = HEAD_TOO_LONG
        yield commands.SendData(self.conn, _TOO_LONG)
        yield commands.CloseConnection(self.conn)

    def read_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().read_body(event)
        # The parts of a body are taken out as they come; what stays is a chunk's head or a trailer without end.
        if len(self.buf) > MOST_HEAD and self.state == self.read_body:
            self.state = self.done
            self.buf.maybe_extract_at_most(len(self.buf))
            self.conn.error = CHUNK_TOO_LONG
            yield commands.CloseConnection(self.conn)
            yield ReceiveHttp(RequestProtocolError(self.stream_id, CHUNK_TOO_LONG, 400))


class BoundedStream(HttpStream):
    """One request and its answer. `is_unread` says whose CONNECT is a tunnel that nobody looks into.

    `ahead`: what has come on a WebSocket behind a message that a hook still looks at.
    """

    def __init__(self, context: Context, stream_id: int, *, is_unread: Callable[[Client], bool]) -> None:
        super().__init__(context, stream_id)
        self._is_unread = is_unread
        self._taken = 0
        self.ahead: deque[HttpEvent] = deque()
        # mitmproxy's own keeps every piece as an object, which costs far more than a piece of one byte.
        self.request_body_buf = bytearray()  # type: ignore[assignment]
        self.response_body_buf = bytearray()  # type: ignore[assignment]

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        if not isinstance(event, RequestData):
            yield from super().state_consume_request_body(event)
            return
        self._taken += len(event.data)
        if self._taken > most_read(self.flow):
            yield from self._too_large()
        elif not is_refused(self.flow):
            yield from super().state_consume_request_body(event)

    def _too_large(self) -> layer.CommandGenerator[None]:
        """Answer at once; over HTTP/1 the connection ends with it, over HTTP/2 the rest of the body is ignored."""
        self.request_body_buf.clear()
        status, reason = 413, f"a request body that has to be read whole is larger than {most_read(self.flow)} bytes"
        if self.flow.response is not None and is_refused(self.flow):
            status, reason = self.flow.response.status_code, "blocked, and its body is too large to be read for nothing"
        yield from self.handle_protocol_error(ResponseProtocolError(self.stream_id, OURS + reason, status))
        self.client_state = self.state_errored

    def state_consume_response_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        yield from super().state_consume_response_body(event)
        found = passage.of(self.flow)
        if found is not None and found.lesson is not None and found.world is not None:
            if len(self.response_body_buf) > found.world.target.limits.body:
                yield from self._let_go(found)
        elif len(self.response_body_buf) > MOST_BODY:
            self.response_body_buf.clear()
            reason = f"{OURS}an answer that has to be read whole is larger than {MOST_BODY} bytes"
            yield from self.handle_protocol_error(ResponseProtocolError(self.stream_id, reason, 502))
            yield SendHttp(RequestProtocolError(self.stream_id, reason, 502), self.context.server)
            self.client_state = self.state_errored

    def _let_go(self, found: passage.Passage) -> layer.CommandGenerator[None]:
        """Send on an answer that was held back for what it teaches, and is too large for that."""
        assert self.flow.response is not None
        self.flow.response.stream = found.pipe or True
        held = bytes(self.response_body_buf)
        self.response_body_buf.clear()
        yield from self.start_response_stream()
        yield from self.state_stream_response_body(ResponseData(self.stream_id, held))

    def handle_connect_regular(self) -> layer.CommandGenerator[None]:
        """Dial for an unread tunnel before it is answered: who cannot be reached is told with a 502."""
        if self.flow.response is not None or not self._is_unread(self.context.client):
            yield from super().handle_connect_regular()  # type: ignore[no-untyped-call]
            return
        error = yield commands.OpenConnection(self.context.server)
        if error:
            self.flow.response = http.Response.make(502, f"HMS-ESR: cannot connect: {error}\n", {"Connection": "close"})
        self.child_layer = layer.NextLayer(self.context, ask_on_start=True)
        yield from self.handle_connect_finish()  # type: ignore[no-untyped-call]

    def passthrough(self, event: events.Event) -> layer.CommandGenerator[None]:
        if self.flow.websocket is None:
            return super().passthrough(event)  # type: ignore[no-any-return]
        return self._messages(event)

    def _messages(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Relay WebSocket bytes slice by slice, keep nothing that was relayed, end at a message that is too large."""
        child = self.child_layer
        assert isinstance(child, WebsocketLayer)
        if isinstance(event, RequestData | ResponseData):
            self.ahead.extend(_slices(event))
        elif isinstance(event, HttpEvent):
            self.ahead.append(event)
        else:
            yield from super().passthrough(event)
        while self.ahead and not child._paused:
            piece = self.ahead.popleft()
            yield from super().passthrough(piece)
            source = child.client_ws if isinstance(piece, RequestData) else child.server_ws
            if _size(source) > MOST_MESSAGE:
                self.ahead.clear()
                source.frame_buf = [b""]
                child.client_ws._events.append(wsproto.events.CloseConnection(1009, "message is too large"))
                yield from super().passthrough(RequestData(self.stream_id, b""))
        messages = self.flow.websocket.messages  # type: ignore[union-attr]
        del messages[: -1 if child._paused else None]  # a hook still looks at the last one


def _slices(event: RequestData | ResponseData) -> Iterator[HttpEvent]:
    for start in range(0, len(event.data), _SLICE):
        yield type(event)(event.stream_id, event.data[start : start + _SLICE])


def _size(source: WebsocketConnection) -> int:
    """Return what an unfinished message weighs; later pieces are added to it without copying it each time."""
    parts = source.frame_buf
    if isinstance(parts[-1], bytes) and parts[-1]:
        parts[-1] = bytearray(parts[-1])  # type: ignore[call-overload]
    return sum(map(len, parts)) + _PIECE * len(parts)


def most_read(flow: http.HTTPFlow) -> int:
    """Return how many bytes of a request's body are read where it does not stream."""
    if is_refused(flow):
        return MOST_REFUSED
    found = passage.of(flow)
    if found is not None and found.swaps and found.world is not None:
        return found.world.target.limits.body  # the estate's own, for bodies with a credential rule
    return MOST_BODY


def is_refused(flow: http.HTTPFlow) -> bool:
    """Return whether a request has its answer from us and nobody wants its body."""
    if flow.response is None:
        return False
    found = passage.of(flow)
    return found is None or found.verdict.kind is not Kind.MOCK
