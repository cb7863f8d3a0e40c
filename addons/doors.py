"""Listening sockets and the connections that come through them.

mitmproxy's server instances cannot share a port between processes and dispatch hooks through a manager that
fails open, so doors make their own: `regular@` (explicit proxy) and `steered@` (names resolve to us).
"""

from __future__ import annotations

import asyncio
import socket

from mitmproxy import options
from mitmproxy.proxy import mode_specs

from addons.chain import Chain
from addons.handler import Handler
from addons.light import settled, without_type_checks
from switchboard.errors import Unavailable
from switchboard.estate import Listener

_BACKLOG = 1024

without_type_checks()


class Doors:
    """All listening sockets of one worker and the connections that came through them."""

    def __init__(self, *, chain: Chain, opts: options.Options) -> None:
        self._chain = chain
        self.options = settled(opts)
        self._servers: list[asyncio.Server] = []
        self.handlers: dict[str, Handler] = {}

    async def open(self, listener: Listener) -> tuple[str, int]:
        """Listen and return the bound address; the port may be shared with other workers.

        Raises Unavailable where the port cannot be had.
        """
        mode = mode_specs.ProxyMode.parse(listener.mode)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            handler = Handler((reader, writer), chain=self._chain, opts=self.options, mode=mode, peers=self.handlers)
            self.handlers[handler.client.id] = handler
            try:
                await handler.handle_client()
            finally:
                writer.close()  # mitmproxy forgets to where a connection is ended before its task has begun
                del self.handlers[handler.client.id]

        sock = bind(listener)
        self._servers.append(await asyncio.start_server(accept, sock=sock, backlog=_BACKLOG))
        address = sock.getsockname()
        return address[0], address[1]

    def shut(self) -> None:
        """Stop listening; connections that are open stay open."""
        for listening in self._servers:
            listening.close()
        self._servers.clear()

    async def close_all(self, *, limit_s: float) -> None:
        """Close every connection and wait until all are gone, at most `limit_s` seconds."""
        for handler in list(self.handlers.values()):
            handler.close()
        for _ in range(int(limit_s / 0.01)):
            if not self.handlers:
                return
            await asyncio.sleep(0.01)
        for handler in list(self.handlers.values()):
            handler.sever()


def bind(listener: Listener) -> socket.socket:
    """Return a bound socket that other workers may bind too; raises Unavailable."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((listener.host, listener.port))
    except OSError as error:
        sock.close()
        raise Unavailable(
            f"listeners.proxy: {listener} cannot be bound ({error.strerror}); stop what uses it or choose another port",
            code="port_in_use",
        ) from error
    sock.setblocking(False)
    return sock
