"""Connections take files: no client gets all of them, and none is kept for who says nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from addons import crowd, handler
from tests.e2e import asking
from tests.e2e.asking import head
from tests.e2e.pushing import (
    ECHO,
    WWW,
)
from tests.e2e.stage import MEMBER, OUTSIDER, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

CONNECT = b"CONNECT www.cms.example:443 HTTP/1.1\r\nHost: www.cms.example:443\r\n\r\n"
CROWDED = "127.0.0.50"


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


async def test_a_client_with_too_many_connections_leaves_room_for_all_others(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd.resource, "getrlimit", lambda what: (40, 40))
    scene.worker.witness.totals.clear()
    async with contextlib.AsyncExitStack() as opened:
        lines = [await opened.enter_async_context(asking.line(scene.proxy, client=CROWDED)) for _ in range(30)]
        await asyncio.sleep(0.2)
        closed = [await line.is_closed(within_s=0.01) for line in lines]
        assert closed.count(False) == 10
        assert scene.worker.witness.totals["refused:client has too many connections"] == 20
        async with asking.line(scene.proxy, client=OUTSIDER) as other:
            answer = await other.ask(f"GET {WWW}/echo HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode())
            assert answer.side == "prod"
    await asyncio.sleep(0.2)
    async with asking.line(scene.proxy, client=CROWDED) as again:
        assert not await again.is_closed(within_s=0.1)


@pytest.mark.parametrize(
    ("client", "door", "start", "drip"),
    [
        (MEMBER, "proxy", b"", b""),
        (OUTSIDER, "proxy", ECHO[:-2], b"X: y\r\n"),
        (MEMBER, "steered", ECHO[:-2], b"X: y\r\n"),
        (OUTSIDER, "steered", b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        (MEMBER, "steered", b"\x16\x03\x01\x02\x00\x01", b"a"),
        (MEMBER, "proxy", CONNECT, b""),
        (MEMBER, "proxy", CONNECT + b"\x16\x03\x01\x02\x00\x01", b"a"),
        (MEMBER, "proxy", CONNECT + b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
    ],
    ids=[
        "nothing",
        "head",
        "steered head",
        "outsider",
        "hello",
        "empty tunnel",
        "hello in a tunnel",
        "head in a tunnel",
    ],
)
async def test_who_does_not_send_a_request_head_in_time_is_closed(
    drill: Stage, monkeypatch: pytest.MonkeyPatch, client: str, door: str, start: bytes, drip: bytes
) -> None:
    monkeypatch.setattr(handler, "HEAD_S", 0.25)
    async with asking.line(getattr(drill, door), client=client) as line:
        await line.send(start)
        if start.startswith(b"CONNECT"):
            assert (await line.head()).status == 200
        async with asyncio.timeout(2):
            while not await line.is_closed(within_s=0.05):
                with contextlib.suppress(ConnectionError):
                    await line.send(drip)
    assert drill.worker.witness.totals["refused:no request head in time"] == 1


async def test_who_has_sent_a_request_or_has_a_tunnel_may_be_silent(
    drill: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "HEAD_S", 0.25)
    async with contextlib.AsyncExitStack() as opened:
        plain = await opened.enter_async_context(asking.line(drill.proxy))
        assert (await plain.ask(ECHO)).side == "sandbox"
        second = await opened.enter_async_context(asking.two(drill))
        assert (await second.ask(head("GET", "www.cms.example", "/echo"))).side == "sandbox"
        tunnel = await opened.enter_async_context(asking.line(drill.proxy, client=OUTSIDER))
        await tunnel.send(CONNECT)
        assert (await tunnel.head()).status == 200
        slow = await opened.enter_async_context(asking.line(drill.proxy))
        await slow.send(f"GET {WWW}/slow?s=0.8 HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode())
        await asyncio.sleep(0.8)
        assert (await slow.answer()).status == 200
        assert (await plain.ask(ECHO)).side == "sandbox"
        assert (await second.ask(head("GET", "www.cms.example", "/echo"))).side == "sandbox"
        await tunnel.writer.start_tls(asking.trusting(drill), server_hostname="www.cms.example")
        assert (await tunnel.ask(ECHO.replace(b"http://www.cms.example", b""))).side == "prod"
