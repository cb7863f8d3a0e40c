from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from mitmproxy import options
from mitmproxy.addons import core, proxyserver
from mitmproxy.connection import Client
from mitmproxy.master import Master
from mitmproxy.proxy import layer, mode_specs

from addons.chain import Chain
from addons.doors import Doors, bind
from addons.entrance import Refuse
from addons.steered import SteeredMode
from switchboard.errors import Unavailable
from switchboard.estate import Listener

LOOPBACK = Listener(mode="steered", host="127.0.0.1", port=0)


class Waits:
    """Lets everyone in and waits for more before it chooses how to read."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.refuse = False

    def client_connected(self, client: Client) -> None:
        self.clients.append(client)

    def next_layer(self, pending: layer.NextLayer) -> None:
        if self.refuse:
            pending.layer = Refuse(pending.context)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(1):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0)


@asynccontextmanager
async def doors(addon: Waits) -> AsyncIterator[Doors]:
    master = Master(options.Options())
    master.addons.add(core.Core(), proxyserver.Proxyserver())
    chain = Chain(on_fault=lambda name: None)
    chain.add(addon)
    found = Doors(chain=chain, opts=master.options)
    try:
        yield found
    finally:
        found.shut()
        await found.close_all(limit_s=1)


@asynccontextmanager
async def connected(found: Doors) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a door and come in, registered."""
    host, port = await found.open(LOOPBACK)
    reader, writer = await asyncio.open_connection(host, port)
    await until(lambda: bool(found.handlers))
    yield reader, writer
    writer.transport.abort()


def test_steered_is_a_mode_of_its_own_that_takes_no_argument() -> None:
    assert isinstance(mode_specs.ProxyMode.parse("steered"), SteeredMode)
    with pytest.raises(ValueError, match="no argument"):
        mode_specs.ProxyMode.parse("steered:x")


async def test_a_port_is_shared_by_workers_and_not_with_strangers() -> None:
    async with doors(Waits()) as one, doors(Waits()) as two:
        host, port = await one.open(LOOPBACK)
        assert await two.open(Listener(mode="regular", host=host, port=port)) == (host, port)
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", 0))
        stranger.listen()
        taken = Listener(mode="regular", host="127.0.0.1", port=stranger.getsockname()[1])
        with pytest.raises(Unavailable, match=r"cannot be bound .*; stop what uses it or choose another port"):
            bind(taken)


async def test_a_door_that_is_bound_but_not_open_refuses() -> None:
    sock = bind(LOOPBACK)
    with sock, pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*sock.getsockname())


async def test_a_shut_door_refuses_and_keeps_who_is_in() -> None:
    async with doors(Waits()) as found, connected(found) as (reader, _):
        (listening,) = found._servers
        place = listening.sockets[0].getsockname()
        found.shut()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*place)
        assert len(found.handlers) == 1
        assert not reader.at_eof()


@pytest.mark.parametrize("how", ["close", "sever"])
async def test_a_connection_that_is_ended_leaves_the_registry(how: str) -> None:
    async with doors(Waits()) as found, connected(found) as (reader, _):
        (handler,) = found.handlers.values()
        getattr(handler, how)()
        await until(lambda: not found.handlers)
        assert await reader.read() == b""


async def test_close_all_ends_every_connection_within_its_limit() -> None:
    async with doors(Waits()) as found, connected(found) as (reader, _):
        async with asyncio.timeout(2):
            await found.close_all(limit_s=1)
            assert await reader.read() == b""
        assert found.handlers == {}


async def test_a_crash_of_mitmproxys_layers_ends_the_connection() -> None:
    """mitmproxy logs it and leaves the client hanging (LEAKS PX-13)."""
    async with doors(Waits()) as found, connected(found) as (reader, writer):
        (handler,) = found.handlers.values()

        def crash(event: object) -> object:
            raise NotImplementedError("HTTP trailers are not implemented yet.")

        handler.layer.handle_event = crash  # type: ignore[method-assign, assignment]
        writer.write(b"x")
        async with asyncio.timeout(1):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)


async def test_a_refused_connection_is_closed_without_a_byte() -> None:
    addon = Waits()
    addon.refuse = True
    async with doors(addon) as found:
        host, port = await found.open(LOOPBACK)
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(1):
            writer.write(b"x")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
        writer.transport.abort()
