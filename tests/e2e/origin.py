"""A server that keeps every byte it gets and answers exactly what a test says, broken answers included."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import wsproto
import wsproto.events
from wsproto.extensions import PerMessageDeflate

_MOST = 64 * 1024


class Hangup(Exception):
    """Raised by an answer: close the connection here, in the middle of it."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came: `head` to its blank line, `body` without chunk marks."""

    head: bytes
    body: bytes = b""

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("latin-1")

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        return tuple((name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines))

    def header(self, name: str) -> str:
        return next((value for key, value in self.fields if key.lower() == name.lower()), "")


Reply = bytes | AsyncIterator[bytes]


def reply(body: bytes = b"", *, status: int = 200, fields: str = "", length: bool = True) -> bytes:
    """Return an answer as bytes; `fields` are lines that each end with CR LF."""
    framed = f"Content-Length: {len(body)}\r\n" if length else ""
    return f"HTTP/1.1 {status} OK\r\n{fields}{framed}\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def echo(request: Received) -> Reply:
    """Answer with nothing that a client could tell from another answer."""
    return reply(b'{"ok": true}', fields="Content-Type: application/json\r\n")


def web_socket(side: wsproto.ConnectionType, *, packs: bool) -> wsproto.connection.Connection:
    """Return one end of a WebSocket that has been accepted, with what was agreed on (RFC 7692)."""
    deflate = PerMessageDeflate()
    deflate.finalize("permessage-deflate")
    return wsproto.connection.Connection(side, extensions=[deflate] if packs else [])


@dataclass(slots=True)
class Origin:
    """`wire` is all that came, with WebSocket messages unmasked; `answer` says what a request gets.

    `said` are the messages of WebSocket clients (text or binary, content). A WebSocket message is answered with what
    `speak` makes of it.
    """

    answer: Callable[[Received], Reply] = echo
    speak: Callable[[str | bytes], str | bytes] = lambda message: message
    wire: bytearray = field(default_factory=bytearray)
    requests: list[Received] = field(default_factory=list)
    said: list[str | bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    def clear(self) -> None:
        self.wire.clear()
        self.requests.clear()
        self.said.clear()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        wire = _Wire(reader, self)
        try:
            while (request := await wire.request(writer)) is not None:
                self.requests.append(request)
                answer = self.answer(request)
                await _send(writer, answer)
                if request.header("upgrade").lower() == "websocket":
                    await self._talk(wire, writer, packs=isinstance(answer, bytes) and b"permessage-deflate" in answer)
                    return
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError, Hangup):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def _talk(self, wire: _Wire, writer: asyncio.StreamWriter, *, packs: bool) -> None:
        """Speak WebSocket after an answer that accepted it."""
        server, parts = web_socket(wsproto.ConnectionType.SERVER, packs=packs), list[str | bytes]()
        while data := await wire.some():
            server.receive_data(data)
            for event in server.events():
                if isinstance(event, wsproto.events.Message):
                    parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
                    if event.message_finished:
                        writer.write(server.send(wsproto.events.Message(self._hear(parts))))
                        parts.clear()
                elif isinstance(event, wsproto.events.Ping):
                    writer.write(server.send(event.response()))
                elif isinstance(event, wsproto.events.CloseConnection):
                    writer.write(server.send(event.response()))
                    await writer.drain()
                    return
            await writer.drain()

    def _hear(self, parts: list[str | bytes]) -> str | bytes:
        """Keep a whole message and return the answer to it."""
        message = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
        self.wire += message
        self.said.append(message.decode() if isinstance(parts[0], str) else message)
        return self.speak(self.said[-1])


async def _send(writer: asyncio.StreamWriter, answer: Reply) -> None:
    if isinstance(answer, bytes):
        writer.write(answer)
    else:
        async for part in answer:
            writer.write(part)
            await writer.drain()
    await writer.drain()


class _Wire:
    """Reads requests and keeps their bytes."""

    def __init__(self, reader: asyncio.StreamReader, origin: Origin) -> None:
        self._reader = reader
        self._origin = origin
        self._held = bytearray()

    async def some(self) -> bytes:
        """Return what is there, at least a byte; b"" at the end."""
        if self._held:
            return self._cut(len(self._held))
        return await self._reader.read(_MOST)

    async def _more(self) -> bool:
        data = await self._reader.read(_MOST)
        self._origin.wire += data
        self._held += data
        return bool(data)

    async def _take(self, size: int) -> bytes:
        while len(self._held) < size:
            if not await self._more():
                raise asyncio.IncompleteReadError(b"", size)
        return self._cut(size)

    def _cut(self, size: int) -> bytes:
        data = bytes(self._held[:size])
        del self._held[:size]
        return data

    async def _until(self, end: bytes) -> bytes:
        while end not in self._held:
            if not await self._more():
                raise asyncio.IncompleteReadError(b"", None)
        return await self._take(self._held.index(end) + len(end))

    async def request(self, writer: asyncio.StreamWriter) -> Received | None:
        if not self._held and not await self._more():
            return None
        head = Received(await self._until(b"\r\n\r\n"))
        if head.header("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if length := head.header("content-length"):
            return Received(head.head, await self._take(int(length)))
        body = b""
        if head.header("transfer-encoding"):
            while size := int(await self._until(b"\r\n"), 16):
                body += await self._take(size)
                await self._take(2)
            await self._take(2)
        return Received(head.head, body)


@asynccontextmanager
async def origin(host: str, port: int, *, context: ssl.SSLContext | None = None) -> AsyncIterator[Origin]:
    """Listen on a port that may be held by somebody with `reuse_port`."""
    made = Origin()
    server = await asyncio.start_server(made.handle, host, port, reuse_port=True, ssl=context, limit=2**20)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
