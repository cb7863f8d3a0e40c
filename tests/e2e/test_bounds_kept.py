"""What a worker keeps of WebSockets, HTTP/2 streams and answers has bounds, also for one address in all."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from mitmproxy import http

from addons import handler
from addons.reading import HttpReader
from tests.e2e import asking
from tests.e2e.asking import UPGRADE, Line, head
from tests.e2e.pushing import (
    BLOCK,
    MIB,
    WWW,
    behind,
    downloaded,
    handler_of,
    post,
    pushed,
    upload,
)
from tests.e2e.stage import OUTSIDER, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("scene")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def drill(scene: Stage) -> AsyncIterator[Stage]:
    await scene.start()
    scene.worker.witness.totals.clear()
    try:
        yield scene
    finally:
        await scene.end()


def large(opcode: int, size: int, *, final: bool = True) -> bytes:
    """Return one client frame of any size, masked with zeros (RFC 6455 5.2)."""
    return bytes([(0x80 if final else 0) | opcode, 0x80 | 127]) + struct.pack("!Q", size) + bytes(4) + b"z" * size


SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"
)


@asynccontextmanager
async def websocket(drill: Stage) -> AsyncIterator[Line]:
    async with behind(drill, SWITCHED), asking.line(drill.proxy) as line:
        await line.send(b"GET http://raw.cms.example/ HTTP/1.1\r\nHost: raw.cms.example\r\n" + UPGRADE + b"\r\n")
        assert (await line.head()).status == 101
        yield line


async def test_a_websocket_keeps_none_of_what_it_relayed(drill: Stage) -> None:
    async with websocket(drill) as line:
        for _ in range(100):
            await line.send(large(2, 65_536))
        await line.send(large(2, 8 * MIB))
        await asyncio.sleep(0.2)
        found = handler_of(drill, line)
        (flow,) = drill.worker.edge._flights[found.client.id].values()
        assert flow.websocket is not None
        assert flow.websocket.messages == []
        assert found.weighed().total < MIB


@pytest.mark.parametrize("how", ["one frame", "fragments", "empty fragments"])
async def test_a_websocket_message_that_is_too_large_ends_it_with_1009(drill: Stage, how: str) -> None:
    async with asyncio.timeout(20), websocket(drill) as line:
        if how == "one frame":
            data = large(2, 17 * MIB)
        elif how == "fragments":
            data = large(2, MIB, final=False) + large(0, MIB, final=False) * 16
        else:
            data = bytes([2, 0x80]) + bytes(4) + (bytes([0, 0x80]) + bytes(4)) * 300_000
        with contextlib.suppress(ConnectionError):
            line.writer.write(data)
        opcode, close = await asking.message(line)
        assert (opcode, close[:2]) == (8, struct.pack("!H", 1009))
        assert await line.is_closed()


async def test_an_http2_body_without_length_is_bounded(drill: Stage) -> None:
    async with asyncio.timeout(20), asking.two(drill) as two:
        for blocks, status in ((15, 201), (17, 413)):
            stream = await two.start(head("POST", "www.cms.example", "/upload"), end=False)
            await upload(two, stream, blocks * MIB)
            assert (await two.answer(stream)).status == status
        # The connection goes on for all others.
        assert (await two.ask(head("GET", "www.cms.example", "/answer"))).status == 200
        assert handler_of(drill, two.line).weighed().total < MIB


async def test_an_http2_download_that_its_client_does_not_take_waits_at_the_server(drill: Stage) -> None:
    size = 48 * MIB
    async with asyncio.timeout(20), asking.two(drill) as two:
        stream = await two.start(head("GET", "www.cms.example", f"/stream?bytes={size}"))
        unread = b""
        with contextlib.suppress(TimeoutError):  # the window of 64 KiB, and not a byte more of it is granted
            while True:
                async with asyncio.timeout(0.5):
                    unread += await two.line.reader.read(65536)
        assert len(unread) < MIB
        assert handler_of(drill, two.line).weighed().total < 2 * MIB
        other = await two.start(head("GET", "www.cms.example", "/answer"))
        for event in two.state.receive_data(unread):
            two._note(event)
        await two.line.send(two.state.data_to_send())
        assert await downloaded(two, stream) == size
        assert (await two.answer(other)).status == 200


async def test_an_http2_connection_forgets_what_has_ended(drill: Stage) -> None:
    async with asyncio.timeout(60), asking.two(drill) as two:
        for _ in range(600):
            assert (await two.ask(head("GET", "www.cms.example", "/answer"))).status == 200
            assert (await two.ask(head("GET", "nowhere.cms.example", "/answer"))).status in (403, 421)
            assert (await two.ask(head("GET", "www.cms.example", "/", ("x:y", "z")))).status == 400
        tunnel = next(one for one in handler_of(drill, two.line)._layers if isinstance(one, HttpReader))
        (stream,) = tunnel.streams.values()
        reader = next(one for one in stream.context.layers if isinstance(one, HttpReader) and one is not tunnel)
        assert reader.heads == 1800
        assert len(reader.connections) < 300
        assert len(reader.streams) < 300


async def test_an_answer_head_without_end_is_a_502(drill: Stage) -> None:
    async with asyncio.timeout(20), behind(drill, b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 3 * MIB):
        async with asking.line(drill.proxy) as line:
            answer = await line.ask(b"GET http://raw.cms.example/ HTTP/1.1\r\nHost: raw.cms.example\r\n\r\n")
        assert answer.status == 502


async def test_an_answer_that_has_to_be_read_whole_is_bounded(drill: Stage) -> None:
    def read_whole(flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = False

    hooks = drill.worker.chain.hooks["responseheaders"]
    hooks.append(read_whole)
    try:
        for blocks, status in ((15, 200), (17, 502)):
            async with asyncio.timeout(10), asking.line(drill.proxy) as line:
                path = f"/stream?bytes={blocks * MIB}"
                answer = await line.ask(f"GET {WWW}{path} HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode())
                assert answer.status == status
    finally:
        hooks.remove(read_whole)


async def test_what_one_address_makes_a_worker_hold_is_bounded_for_all_its_connections(
    drill: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MOST_HELD", 3 * MIB)
    async with contextlib.AsyncExitStack() as opened:
        other = await opened.enter_async_context(asking.line(drill.proxy, client=OUTSIDER))
        cuts = []
        for _ in range(5):
            line = await opened.enter_async_context(asking.line(drill.proxy))
            await line.send(post("http://payments.example/slow", "Content-Length: 1") + b"x")
            cuts.append((await pushed(line, BLOCK, patience_s=0.3))[1])
        assert cuts[:2] == [False, False]
        assert cuts[-1]
        assert sum(one.weighed().total for one in drill.worker.doors.handlers.values()) < 5 * MIB
        answer = await other.ask(f"GET {WWW}/echo HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode())
        assert answer.side == "prod"
    await asyncio.sleep(0.05)
    assert drill.worker.witness.totals["refused:client makes the proxy hold too much"] >= 1
