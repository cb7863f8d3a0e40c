"""What a connection holds: bytes read from one side that its layers could not yet use or hand on.

Theory: mitmproxy's layers queue every event that comes while they wait for a hook or a dial, keep bytes behind a
request that has no answer yet, and keep what an HTTP/2 peer gives no window for. None of it has a limit, and no
single place knows the sum. The handler therefore weighs its layers after every few dozen KiB that it has read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mitmproxy.connection import Connection
from mitmproxy.proxy import events, layer, layers
from mitmproxy.proxy.layers.http import HttpStream
from mitmproxy.proxy.layers.http._http1 import Http1Client, Http1Server
from mitmproxy.proxy.layers.http._http2 import Http2Client, Http2Connection, Http2Server

from addons.reading import HttpReader

EVENT = 256  # bytes that a queued event takes besides its data
MOST_UNSENT = 1024 * 1024  # for one HTTP/2 stream that its client does not take
MOST_ANSWER_HEAD = 1024 * 1024


@dataclass(slots=True)
class Load:
    """`waiting`: bytes of the client's that go on as soon as what they wait for is there. `kept`: all others.

    `stuck`: servers whose answers the client does not take. `endless`: servers whose answer's head does not end.
    """

    waiting: int = 0
    kept: int = 0
    stuck: set[Connection] = field(default_factory=set)
    endless: set[Connection] = field(default_factory=set)

    @property
    def total(self) -> int:
        return self.waiting + self.kept


def weigh(found: Iterable[layer.Layer]) -> Load:
    """Weigh layers and all that is below them."""
    load = Load()
    _add(found, load)
    return load


def _add(found: Iterable[layer.Layer], load: Load) -> None:
    for one in found:
        if one._paused_event_queue:
            load.waiting += _queued(one._paused_event_queue)
        if isinstance(one, HttpReader):
            _add_http(one, load)
        elif isinstance(one, layers.WebsocketLayer):
            parts = (*one.client_ws.frame_buf, *one.server_ws.frame_buf)
            load.kept += sum(map(len, parts)) + EVENT * len(parts)


def _queued(waiting: Iterable[events.Event]) -> int:
    return sum(EVENT + len(getattr(event, "data", b"")) for event in waiting)


def _add_http(reader: HttpReader, load: Load) -> None:
    front = reader.connections.get(reader.context.client)
    unsent = _unsent(front) if isinstance(front, Http2Server) else {}
    load.kept += sum(unsent.values())
    if isinstance(front, Http1Server):
        load.waiting += len(front.buf)
    for stream in reader.streams.values():
        load.kept += len(stream.request_body_buf) + len(stream.response_body_buf)
        load.waiting += _queued(stream.ahead)
        if unsent.get(stream.stream_id, 0) > MOST_UNSENT:
            load.stuck.add(stream.context.server)
        _add(below(stream), load)
    for server, stack in reader.connections.items():
        if stack is not front:
            _add_back(server, stack.context.layers[-1], load)


def _add_back(server: Connection, back: layer.Layer, load: Load) -> None:
    if isinstance(back, Http1Client):
        load.kept += len(back.buf)
        if len(back.buf) > MOST_ANSWER_HEAD:
            load.endless.add(server)
    elif isinstance(back, Http2Client):
        load.waiting += sum(_unsent(back).values())


def _unsent(connection: Http2Connection) -> dict[int, int]:
    buffers = connection.h2_conn.stream_buffers
    return {number: sum(EVENT + len(part.data) for part in parts) for number, parts in buffers.items()}


def below(stream: HttpStream) -> list[layer.Layer]:
    """Return the layers of a stream: itself, then what a tunnel or an upgrade has put on top."""
    found = stream.context.layers
    return found[found.index(stream) :]


def has_arrived(found: Iterable[layer.Layer]) -> bool:
    """Return whether a connection has said what it is for: a whole request head, or a tunnel that nobody looks into.

    Of a tunnel that is read, the same is asked of what is inside.
    """
    for one in found:
        if isinstance(one, layers.TCPLayer):
            return True
        if isinstance(one, HttpReader):
            tunnels = [s for s in one.streams.values() if s.child_layer is not None and s.flow.websocket is None]
            return one.heads > 0 and all(has_arrived(below(tunnel)[1:]) for tunnel in tunnels)
    return False


def heads(found: Iterable[layer.Layer]) -> int:
    """Return how many request heads have come, also inside of tunnels."""
    readers = [one for one in found if isinstance(one, HttpReader)]
    inside = (heads(below(stream)[1:]) for one in readers for stream in one.streams.values())
    return sum(one.heads for one in readers) + sum(inside)
