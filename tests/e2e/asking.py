"""Clients for tests of the proxy that send exactly what they are told: HTTP/1 bytes, HTTP/2 frames, WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import h2.config  # type: ignore[import-untyped]
import h2.connection  # type: ignore[import-untyped]
import h2.events  # type: ignore[import-untyped]

from tests.e2e.stage import MEMBER, Stage

Fields = Sequence[tuple[str | bytes, str | bytes]]

_REASON = re.compile(r'reason="([^"]*)"')
_SIDE = re.compile(rb'"side":\s*"(\w+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `status` is 0 where the connection ended without one."""

    status: int
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")

    @property
    def side(self) -> str:
        """Return which agency answered, "" where it was the switchboard or nobody."""
        found = _SIDE.search(self.body)
        return self.header("x-agency-side") or (found.group(1).decode() if found else "")

    @property
    def reason(self) -> str:
        found = _REASON.search(self.header("x-hms-drill"))
        return found.group(1) if found else ""


NOTHING = Answer(0)


@dataclass(slots=True)
class Line:
    """An HTTP/1 connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, data: bytes) -> Answer:
        """Send a request as it stands and read one answer."""
        try:
            await self.send(data)
            return await self.answer()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            return NOTHING

    async def head(self) -> Answer:
        """Read the next head, also of an interim answer."""
        try:
            block = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return NOTHING
        first, *lines = block.decode("latin-1").split("\r\n")[:-2]
        pairs = tuple((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))
        return Answer(int(first.split(" ")[1]), pairs)

    async def answer(self) -> Answer:
        """Read a final answer with its body."""
        head = await self.head()
        while head.status == 100:
            head = await self.head()
        if head.status < 200 or head.status in (204, 304):
            return head
        return Answer(head.status, head.fields, await self._body(head))

    async def _body(self, head: Answer) -> bytes:
        if length := head.header("content-length"):
            return await self.reader.readexactly(int(length))
        if head.header("transfer-encoding").lower() != "chunked":
            return await self.reader.read()
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return body

    async def is_closed(self, *, within_s: float = 1.0) -> bool:
        """Return whether the other end closes without another byte."""
        try:
            async with asyncio.timeout(within_s):
                return await self.reader.read(1) == b""
        except TimeoutError:
            return False
        except (ConnectionError, ssl.SSLError):
            return True


@asynccontextmanager
async def line(port: int, *, client: str = MEMBER) -> AsyncIterator[Line]:
    """Open a plain connection to a door from a client address."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0))
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


def trusting(stage: Stage, *, alpn: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """Return a client context that trusts the switchboard's CA and production's."""
    context = ssl.create_default_context(cafile=str(stage.ca))
    context.load_verify_locations(str(stage.folder / "prod-ca.pem"))
    context.set_alpn_protocols(list(alpn))
    return context


@asynccontextmanager
async def tls(
    stage: Stage,
    host: str = "www.cms.example",
    *,
    client: str = MEMBER,
    alpn: Sequence[str] = ("http/1.1",),
    steered: bool = False,
    connect: str | None = None,
    login: str = "",
) -> AsyncIterator[Line]:
    """Open TLS with SNI `host`, through CONNECT `connect` (default host:443) or straight to the steered door."""
    async with line(stage.steered if steered else stage.proxy, client=client) as plain:
        if not steered:
            place = connect or f"{host}:443"
            await plain.send(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n".encode())
            answer = await plain.head()
            if answer.status != 200:
                raise ConnectionRefusedError(answer.status, answer.reason)
        await plain.writer.start_tls(trusting(stage, alpn=alpn), server_hostname=host)
        yield plain


@dataclass(slots=True)
class Two:
    """An HTTP/2 connection that checks nothing it sends."""

    line: Line
    state: h2.connection.H2Connection
    _heads: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    _bodies: dict[int, bytes] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)
    closed: bool = False
    settings: dict[int, int] = field(default_factory=dict)
    trailing: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    def body(self, stream: int) -> bytes:
        return self._bodies.get(stream, b"")

    async def start(self, fields: Fields, *, end: bool = True) -> int:
        """Send a head; return the stream's number."""
        stream: int = self.state.get_next_available_stream_id()
        self.state.send_headers(stream, list(fields), end_stream=end)
        await self.line.send(self.state.data_to_send())
        return stream

    async def data(self, stream: int, data: bytes, *, end: bool = True) -> None:
        self.state.send_data(stream, data, end_stream=end)
        await self.line.send(self.state.data_to_send())

    async def trailers(self, stream: int, fields: Fields) -> None:
        self.state.send_headers(stream, list(fields), end_stream=True)
        await self.line.send(self.state.data_to_send())

    async def answer(self, stream: int) -> Answer:
        """Read until a stream has ended; status 0 where it was reset or the connection closed."""
        while stream not in self._ended and not self.closed:
            await self.read()
        head = self._heads.get(stream)
        if head is None:
            return NOTHING
        return Answer(int(dict(head)[":status"]), tuple(head), self._bodies.get(stream, b""))

    async def ask(self, fields: Fields, body: bytes | None = None) -> Answer:
        """Send a whole request and read its answer."""
        try:
            stream = await self.start(fields, end=body is None)
            if body is not None:
                await self.data(stream, body)
            return await self.answer(stream)
        except (ConnectionError, ssl.SSLError):
            return NOTHING

    async def read(self) -> None:
        try:
            data = await self.line.reader.read(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.closed = True
            return
        for event in self.state.receive_data(data):
            self._note(event)
        if out := self.state.data_to_send():
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # what has been read counts all the same
                await self.line.send(out)

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self._heads[event.stream_id] = [(n.decode(), v.decode()) for n, v in event.headers]
        elif isinstance(event, h2.events.DataReceived):
            self._bodies[event.stream_id] = self._bodies.get(event.stream_id, b"") + event.data
            self.state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailing[event.stream_id] = [(n.decode(), v.decode()) for n, v in event.headers]
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            self._ended.add(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.closed = True
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self.settings.update({int(code): change.new_value for code, change in event.changed_settings.items()})


def head(
    method: str, authority: str, path: str, *more: tuple[str | bytes, str | bytes], scheme: str = "https"
) -> Fields:
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path), *more]


@asynccontextmanager
async def two(
    stage: Stage, host: str = "www.cms.example", *, client: str = MEMBER, steered: bool = False
) -> AsyncIterator[Two]:
    """Open HTTP/2 over TLS."""
    config = h2.config.H2Configuration(
        client_side=True,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
    )
    async with tls(stage, host, client=client, alpn=("h2", "http/1.1"), steered=steered) as opened:
        found = opened.writer.get_extra_info("ssl_object").selected_alpn_protocol()
        assert found == "h2", f"the door speaks {found}"
        state = h2.connection.H2Connection(config)
        state.initiate_connection()
        await opened.send(state.data_to_send())
        yield Two(opened, state)


UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def frame(text: bytes, *, opcode: int = 1) -> bytes:
    """Return one masked client frame of at most 125 bytes (RFC 6455 5.2)."""
    mask = os.urandom(4)
    return bytes([0x80 | opcode, 0x80 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text))


async def message(opened: Line) -> tuple[int, bytes]:
    """Read one unmasked server frame: opcode and payload; (0, b"") at the end of the connection."""
    try:
        first, second = await opened.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await opened.reader.readexactly(2))
        return first & 0x0F, await opened.reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
        return 0, b""
