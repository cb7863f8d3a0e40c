"""Counts what a connection brings before anybody interprets it.

One `Tap` sits on the socket: it counts the connection and every byte, TLS records and failed handshakes
included. Above TLS (or directly, without it) a `Sieve` looks for the needles of the books in plain bytes:
socket -> Tap -> [SSLProtocol] -> Sieve -> HTTP. The server socket itself is opened without `ssl`, because
asyncio tells a protocol above TLS nothing of a connection whose handshake failed.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any, cast

from sandbox.books import Books


class _Through(asyncio.Protocol):
    """Hands every event on to the protocol above."""

    def __init__(self, above: asyncio.BaseProtocol) -> None:
        self._above = above
        self._deliver = _delivery(above)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._above.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._above.connection_lost(error)

    def pause_writing(self) -> None:
        self._above.pause_writing()

    def resume_writing(self) -> None:
        self._above.resume_writing()

    def data_received(self, data: bytes) -> None:
        self._deliver(data)

    def eof_received(self) -> bool | None:
        assert isinstance(self._above, asyncio.Protocol | asyncio.BufferedProtocol)
        return self._above.eof_received()


class Tap(_Through):
    """Counts the connection and its bytes as the network delivered them."""

    def __init__(self, above: asyncio.BaseProtocol, books: Books, still_open: set[Tap]) -> None:
        super().__init__(above)
        self._books = books
        self._open = still_open
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods but not the base class.
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self)
        peer: Any = transport.get_extra_info("peername") or ("",)
        self._books.connected(str(peer[0]))
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._open.discard(self)
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._books.bytes += len(data)
        super().data_received(data)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class Sieve(_Through):
    """Looks for the needles of the books in plain bytes, over the borders of what arrived together."""

    def __init__(self, above: asyncio.BaseProtocol, books: Books) -> None:
        super().__init__(above)
        self._books = books
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        if needles := self._books.needles:
            self._look(data, needles)
        super().data_received(data)

    def _look(self, data: bytes, needles: tuple[bytes, ...]) -> None:
        text = self._tail + data
        for needle in needles:
            # What lies wholly in the tail was counted when it arrived.
            start = max(0, len(self._tail) - len(needle) + 1)
            self._books.found[needle] += text.count(needle, start)
        self._tail = text[-max(map(len, needles)) + 1 :] if max(map(len, needles)) > 1 else b""


class Taps:
    """The taps of one agency that are open."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._open: set[Tap] = set()

    def under(self, http: Callable[[], asyncio.Protocol], context: ssl.SSLContext | None = None) -> Callable[[], Tap]:
        """Return a protocol factory for `loop.create_server` (without `ssl`) that keeps the books."""

        def connection() -> Tap:
            above: asyncio.BaseProtocol = Sieve(http(), self._books)
            if context is not None:
                loop = asyncio.get_running_loop()
                above = SSLProtocol(loop, above, context, None, server_side=True)  # type: ignore[arg-type]
            return Tap(above, self._books, self._open)

        return connection

    def abort(self) -> None:
        """Drop what is left: connections that never got past their handshake belong to no HTTP server."""
        for tap in tuple(self._open):
            tap.abort()


def _delivery(above: asyncio.BaseProtocol) -> Callable[[bytes], None]:
    if isinstance(above, asyncio.Protocol):
        return above.data_received
    assert isinstance(above, asyncio.BufferedProtocol)
    buffered = above

    def deliver(data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            buffer = memoryview(buffered.get_buffer(len(rest)))
            size = min(len(buffer), len(rest))
            buffer[:size] = rest[:size]
            rest = rest[size:]
            buffered.buffer_updated(size)

    return deliver
