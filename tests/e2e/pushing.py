"""Clients that push as much as they can, and servers that do not take it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from addons.handler import Handler
from tests.e2e.asking import Line, Two
from tests.e2e.stage import Stage

MIB = 1024 * 1024
BLOCK = b"a" * MIB
CHUNK = b"%x\r\n" % MIB + BLOCK + b"\r\n"
KERNEL = 16 * MIB  # at most what two sockets of loopback buffer by themselves, and a bound of 8 MiB
WWW = "http://www.cms.example"
CHUNKED = "Transfer-Encoding: chunked"
ECHO = f"GET {WWW}/echo HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode()


async def pushed(line: Line, block: bytes, *, most: int = 64 * MIB, patience_s: float = 0.7) -> tuple[int, bool]:
    """Send a block again and again; return how many bytes went, and whether the other end has cut them off."""
    sent = 0
    while sent < most:
        try:
            line.writer.write(block)
            async with asyncio.timeout(patience_s):
                await line.writer.drain()
        except TimeoutError:
            return sent, False
        except ConnectionError:
            return sent, True
        sent += len(block)
    return sent, False


def handler_of(scene: Stage, line: Line) -> Handler:
    port = line.writer.get_extra_info("sockname")[1]
    return next(h for h in scene.worker.doors.handlers.values() if h.client.peername[1] == port)


@contextmanager
def hanging(host: str, port: int = 0) -> Iterator[int]:
    """Give a port at which dials hang: its queue of connections is full."""
    with contextlib.ExitStack() as held:
        sock = held.enter_context(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        yield int(sock.getsockname()[1])


@asynccontextmanager
async def behind(scene: Stage, answer: bytes) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Serve `http://raw.cms.example`: answer every connection's first head with these bytes; read on without end."""
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.2.1", scene.raw, reuse_port=True)
    try:
        yield opened
    finally:
        server.close()
        for writer in opened:
            writer.transport.abort()


def post(url: str, *fields: str) -> bytes:
    host = url.split("/")[2]
    return "\r\n".join([f"POST {url} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


async def upload(two: Two, stream: int, size: int) -> None:
    """Send a body of zeros as far as the stream's window allows, to the end or until it has an answer."""
    left, block = size, 16_384
    while left and stream not in two._ended:
        while two.state.local_flow_control_window(stream) < block and stream not in two._ended:
            await two.read()
        left -= min(block, left)
        await two.data(stream, bytes(block), end=not left)
        await asyncio.sleep(0)


async def downloaded(two: Two, stream: int) -> int:
    """Read a body to its end and keep none of it; return its size."""
    size = len(two._bodies.pop(stream, b""))
    while stream not in two._ended:
        await two.read()
        size += len(two._bodies.pop(stream, b""))
    return size
