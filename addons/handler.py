"""The handler of one client connection: its hooks fail closed, its end is at once, and what it holds is bounded.

Theory of the bound: a side that sends faster than the other can take is not read any further, so that its own
flow control stops it; nothing is cut that would go on by itself. A client is not read while too much of it waits for a
hook, a dial or an answer. A server is not read while the client leaves too much of its answer unread (over HTTP/2,
where the socket's own buffer says nothing). Both at once could wait for each other for ever, since each side's
window updates come behind its data: then the client is read on, up to a hard limit. What is held by all
connections of one address together has a limit too, and ends the connection that goes beyond it.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Mapping

from mitmproxy import http, options
from mitmproxy.connection import Connection, Server
from mitmproxy.proxy import commands, layer, mode_specs, server
from mitmproxy.proxy.layers import modes

from addons import weight
from addons.chain import Chain
from addons.light import LightContext
from addons.prompt import Prompt, Rest
from addons.reading import Cut
from addons.steered import Steered, SteeredMode

_MOST_UPSTREAM = 100
_WEIGH_EVERY = 64 * 1024
MOST_WAITING = 1024 * 1024
MOST_STUCK = 32 * 1024 * 1024
MOST_HELD = 256 * 1024 * 1024  # by one address
DIAL_S = 10.0
HEAD_S = 30.0

HOLDS_TOO_MUCH = "client makes the proxy hold too much"
TOO_SLOW = "no request head in time"


class Handler(server.LiveConnectionHandler):
    """One client connection with all its upstream connections; hooks go through the chain.

    `peers`: the live registry of the doors, this one included.
    """

    def __init__(
        self,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        *,
        chain: Chain,
        opts: options.Options,
        mode: mode_specs.ProxyMode,
        peers: Mapping[str, Handler],
    ) -> None:
        self._chain = chain
        self._peers = peers
        self.held = 0
        self._heavy = False
        super().__init__(*streams, opts, mode)
        # One upstream connection per HTTP/2 stream towards HTTP/1 servers: five would starve a page with streams.
        self.max_conns = collections.defaultdict(lambda: asyncio.Semaphore(_MOST_UPSTREAM))
        context = LightContext(self.client, opts)
        self._layers = context.layers
        top: layer.Layer = Steered(context) if isinstance(mode, SteeredMode) else modes.HttpProxy(context)
        self.layer = self._prompt = Prompt(top, self._start)  # type: ignore[assignment]

    def _start(self, hook: commands.StartHook) -> Rest | None:
        try:
            return self._chain.start(hook, self)
        except BaseException:  # raised out of the middle of an event: nothing of this connection can go on
            self.sever()
            raise

    async def handle_client(self) -> None:
        """Run the connection to its end; one that has not said what it is for in time is closed."""
        self._awaited = asyncio.get_running_loop().call_later(HEAD_S, self._look, 0)
        try:
            await super().handle_client()
        finally:
            self._awaited.cancel()

    def _look(self, seen: int) -> None:
        """End a connection that sends its first request too slowly; a tunnel has as long for what is inside it."""
        if weight.has_arrived(self._layers):
            return
        now = weight.heads(self._layers)
        if now > seen:
            self._awaited = asyncio.get_running_loop().call_later(HEAD_S, self._look, now)
            return
        self.client.error = self.client.error or TOO_SLOW
        self.close()

    async def handle_hook(self, hook: commands.StartHook) -> None:
        begun = self._prompt.begun.pop(hook, None)
        with self.timeout_watchdog.disarm():
            await (begun if begun is not None else self._chain.run(hook, self))

    async def open_connection(self, command: commands.OpenConnection) -> None:
        """Dial within the time for name, TCP and TLS together; the client is told why it failed."""
        task = asyncio.current_task()
        late = asyncio.get_running_loop().call_later(DIAL_S, _give_up, command.connection, task)
        try:
            await super().open_connection(command)
        finally:
            late.cancel()
            io = self.transports.get(command.connection)
            if io is not None and io.handler is task:  # mitmproxy keeps what was never connected
                del self.transports[command.connection]

    async def drain_writers(self) -> None:
        """Wait until what was read can go on: between two reads of a connection, in its own task."""
        await super().drain_writers()  # type: ignore[no-untyped-call]
        if self._heavy or self._prompt.fresh > _WEIGH_EVERY:
            await self._hold_back()

    async def _hold_back(self) -> None:
        mine = self._read_here()
        while True:
            load = self.weighed()
            if load.waiting > MOST_STUCK or self._is_too_much(load):
                self.client.error = self.client.error or HOLDS_TOO_MUCH
                self.sever()
                return
            if mine in load.endless:
                raise asyncio.CancelledError("answer head is too long")
            held = load.waiting > MOST_WAITING and not load.stuck if mine is self.client else mine in load.stuck
            if not held:
                return
            self._prompt.stirred.clear()
            await self._prompt.stirred.wait()

    def _read_here(self) -> Connection | None:
        task = asyncio.current_task()
        return next((connection for connection, io in self.transports.items() if io.handler is task), None)

    def weighed(self) -> weight.Load:
        """Weigh the connection now."""
        load = weight.weigh(self._layers)
        self._prompt.fresh = 0
        self._heavy = load.waiting > MOST_WAITING or bool(load.stuck or load.endless)
        self.held = load.total
        return load

    def _is_too_much(self, load: weight.Load) -> bool:
        if load.total < 2 * _WEIGH_EVERY:
            return False
        address = self.client.peername[0]
        peers = [peer for peer in self._peers.values() if peer.client.peername[0] == address]
        if sum(peer.held for peer in peers) <= MOST_HELD:
            return False
        return sum(peer.weighed().total for peer in peers) > MOST_HELD

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


def _give_up(dialled: Server, task: asyncio.Task[None] | None) -> None:
    is_there = dialled.tls_established if dialled.tls else dialled.timestamp_tcp_setup is not None
    if not is_there and task is not None:
        task.cancel(f"server did not answer within {DIAL_S:g} seconds")
