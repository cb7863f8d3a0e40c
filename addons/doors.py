"""Listening sockets and the connection handler.

mitmproxy's server instances cannot share a port between processes and dispatch hooks through a manager that
fails open, so doors make their own: `regular@` (explicit proxy) and `steered@` (names resolve to us).
"""

from __future__ import annotations

import asyncio
import collections
import socket
from typing import ClassVar

from mitmproxy import http, options
from mitmproxy.connection import Server
from mitmproxy.proxy import commands, layer, mode_specs, server
from mitmproxy.proxy.layers import modes

from addons.chain import Chain
from addons.light import LightContext, settled, without_type_checks
from addons.prompt import Prompt, Rest
from addons.reading import Cut
from switchboard.errors import Unavailable
from switchboard.estate import Listener

_BACKLOG = 1024
_MOST_UPSTREAM = 100

without_type_checks()


class SteeredMode(mode_specs.ProxyMode):
    """Names resolve to us; SNI and Host decide. There is nothing to configure in the mode itself."""

    description: ClassVar[str] = "steered proxy"
    transport_protocol = mode_specs.TCP

    def __post_init__(self) -> None:
        if self.data:
            raise ValueError("steered mode takes no argument")


class Steered(layer.Layer):
    """Top layer of a `steered@` connection: the destination is read from what the client says first."""

    def _handle_event(self, event: object) -> layer.CommandGenerator[None]:
        child = layer.NextLayer(self.context)
        self._handle_event = child.handle_event  # type: ignore[method-assign, assignment]
        yield from child.handle_event(event)  # type: ignore[arg-type]


class Handler(server.LiveConnectionHandler):
    """One client connection with all its upstream connections; hooks go through the chain."""

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        chain: Chain,
        opts: options.Options,
        mode: mode_specs.ProxyMode,
    ) -> None:
        self._chain = chain
        super().__init__(*streams, opts, mode)
        # One upstream connection per HTTP/2 stream towards HTTP/1 servers: five would starve a page with streams.
        self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(_MOST_UPSTREAM))
        context = LightContext(self.client, opts)
        top = Steered(context) if isinstance(mode, SteeredMode) else modes.HttpProxy(context)
        self.layer = self._prompt = Prompt(top, self._start)  # type: ignore[assignment]

    def _start(self, hook: commands.StartHook) -> Rest | None:
        try:
            return self._chain.start(hook, self)
        except BaseException:  # raised out of the middle of an event: nothing of this connection can go on
            self.sever()
            raise

    async def handle_hook(self, hook: commands.StartHook) -> None:
        begun = self._prompt.begun.pop(hook, None)
        with self.timeout_watchdog.disarm():
            await (begun if begun is not None else self._chain.run(hook, self))

    def sever(self) -> None:
        """End the connection and its upstream connections at once; what is unsent is thrown away.

        Aborting comes first: mitmproxy writes nothing to a transport that is closing, also from a task that
        is just about to.
        """
        for io in list(self.transports.values()):
            if io.writer is not None:
                io.writer.transport.abort()  # type: ignore[union-attr]
            if io.handler is not None:
                io.handler.cancel("severed")
        self.client.error = self.client.error or "severed"

    def close(self) -> None:
        """Close the connection and its upstream connections; what was written is still delivered."""
        io = self.transports.get(self.client)
        if io is not None and io.handler is not None:
            io.handler.cancel("closed at an edge")  # cascades to every upstream connection
        else:
            self.client.error = "closed at an edge"  # still inside client_connected

    async def cut(self, flow: http.HTTPFlow) -> None:
        """Answer a request with 503 now, however much of it has come; one whose dial is awaited gets a 502."""
        await self.server_event(Cut(flow))
        self.cut_upstream()

    def cut_upstream(self) -> None:
        """Close every upstream connection; whoever waits for an answer gets a 502 with headers."""
        for conn, io in list(self.transports.items()):
            if isinstance(conn, Server) and io.handler is not None:
                io.handler.cancel("cut at an edge")

    def log(self, message: str, level: int = 0, exc_info: object = None) -> None:
        """Say nothing: mitmproxy's lines quote URLs and raw requests (LEAKS DT-02).

        A line with an exception is how mitmproxy gives up on a connection, which then hangs (LEAKS PX-13): end it.
        """
        if exc_info:
            self.sever()


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
            handler = Handler((reader, writer), chain=self._chain, opts=self.options, mode=mode)
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
