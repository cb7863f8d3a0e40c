"""A stand-in for a gRPC server: HTTP/2 in TLS, answers that end in trailers, streams in both directions."""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h2.config  # type: ignore[import-untyped]
import h2.connection  # type: ignore[import-untyped]
import h2.events  # type: ignore[import-untyped]

from sandbox.certificates import ServerFiles

Fields = list[tuple[str, str]]


def message(data: bytes) -> bytes:
    """Return one length-prefixed message (gRPC over HTTP/2, Requests)."""
    return struct.pack("!BI", 0, len(data)) + data


@dataclass(slots=True)
class RemoteCalls:
    """`/x/Unary` answers a whole request, `/x/Both` every piece at once, `/x/Fails` with trailers only,
    `/x/Splits` with a line break in a field.

    `heads` are the requests' fields, `data` all that came in bodies, `trailers` what came after them.
    """

    heads: list[Fields] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    trailers: list[Fields] = field(default_factory=list)
    _paths: dict[int, str] = field(default_factory=dict)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        state.initiate_connection()
        writer.write(state.data_to_send())
        try:
            while data := await reader.read(65536):
                for event in state.receive_data(data):
                    self._act(state, event)
                writer.write(state.data_to_send())
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def _act(self, state: h2.connection.H2Connection, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.heads.append([(name, value) for name, value in event.headers])
            self._paths[event.stream_id] = path = dict(event.headers)[":path"]
            if path.endswith("/Fails"):
                fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")]
                state.send_headers(event.stream_id, [*fields, ("grpc-message", "no such thing")], end_stream=True)
            else:
                initial = "metadata\r\nSet-Cookie: session=evil" if path.endswith("/Splits") else "metadata"
                head = [(":status", "200"), ("content-type", "application/grpc"), ("x-initial", initial)]
                state.send_headers(event.stream_id, head)
        elif isinstance(event, h2.events.DataReceived):
            self.data += event.data
            state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if self._paths[event.stream_id].endswith("/Both"):
                state.send_data(event.stream_id, event.data)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers.append([(name, value) for name, value in event.headers])
        elif isinstance(event, h2.events.StreamEnded) and not self._paths[event.stream_id].endswith("/Fails"):
            if self._paths[event.stream_id].endswith("/Unary"):
                state.send_data(event.stream_id, message(b"answer"))
            end = [("grpc-status", "0"), ("grpc-message", "fine"), ("x-final", "metadata")]
            state.send_headers(event.stream_id, end, end_stream=True)


@asynccontextmanager
async def remote_calls(host: str, port: int, files: ServerFiles) -> AsyncIterator[RemoteCalls]:
    context = files.context()
    context.set_alpn_protocols(["h2"])
    made = RemoteCalls()
    server = await asyncio.start_server(made.handle, host, port, reuse_port=True, ssl=context)
    try:
        yield made
    finally:
        server.close()
