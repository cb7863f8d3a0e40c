"""A client that is there at an edge: nobody gets an answer of the wrong side, streams end, outsiders notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from switchboard.drill import Phase, SwitchDocument
from switchboard.switch import compile_switch
from tests.e2e import asking
from tests.e2e.asking import Answer, Line
from tests.e2e.crossing import DRAIN_S, PROTOCOLS, WWW, Ask, before, edges, paths, plain, protocols, tunnelled
from tests.e2e.stage import MEMBER, OUTSIDER, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("scene"), drain=f"{DRAIN_S}s") as found:
        yield found


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def outside(scene: Stage) -> AsyncIterator[None]:
    """Every test begins outside a drill, and with empty books."""
    scene.prod.books.last.clear()
    scene.sandbox.books.last.clear()
    yield
    await scene.end()


class World:
    """What sides an answer may come from at this moment, and since a given one."""

    def __init__(self) -> None:
        self._history: list[set[str]] = [{"prod"}]

    @property
    def now(self) -> int:
        return len(self._history) - 1

    def turn(self, *sides: str) -> None:
        self._history.append(set(sides))

    def since(self, moment: int) -> set[str]:
        return set().union(*self._history[moment:])


@protocols
async def test_a_kept_connection_never_answers_from_the_wrong_side(scene: Stage, protocol: str) -> None:
    world, over = World(), asyncio.Event()
    answers = {"prod": 0, "sandbox": 0}

    async def visit(ask: Ask) -> None:
        while not over.is_set():
            begun = world.now
            answer = await ask("GET", "/echo")
            if not answer.status:
                return  # closed at an edge
            assert answer.status == 200
            assert answer.side in world.since(begun)
            answers[answer.side] += 1

    async def trainee() -> None:
        while not over.is_set():
            with contextlib.suppress(ConnectionError, ssl.SSLError):  # closed while it was opened: come again
                async with PROTOCOLS[protocol](scene) as ask:
                    await visit(ask)

    async def toggle() -> None:
        try:
            for _ in range(10):
                await asyncio.sleep(0.05)
                world.turn("prod", "sandbox")
                await scene.start()
                world.turn("sandbox")
                await asyncio.sleep(0.05)
                world.turn("prod", "sandbox")
                await scene.end()
                world.turn("prod")
        finally:
            over.set()

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(trainee())
        tasks.create_task(toggle())
    assert min(answers.values()) > 10


async def a_websocket(scene: Stage) -> Line:
    """Open a WebSocket that has echoed once."""
    reader, writer = await asyncio.open_connection("127.0.0.1", scene.proxy, local_addr=(MEMBER, 0))
    line = Line(reader, writer)
    await line.send(f"GET http://{WWW}/ws HTTP/1.1\r\nHost: {WWW}\r\n".encode() + asking.UPGRADE + b"\r\n")
    assert (await line.head()).status == 101
    await line.send(asking.frame(b"before"))
    assert b"before" in (await asking.message(line))[1]
    return line


@edges
async def test_a_websocket_ends_at_once_at_an_edge(scene: Stage, edge: str) -> None:
    side, _, cross = await before(scene, edge)
    side.books.watch(b"after")
    async with asyncio.timeout(5):
        line = await a_websocket(scene)
        started = asyncio.get_running_loop().time()
        await cross()
        assert asyncio.get_running_loop().time() - started < DRAIN_S
        while (await asking.message(line))[1]:
            pass
        line.writer.transport.abort()


@edges
async def test_server_sent_events_end_at_once_at_an_edge(scene: Stage, edge: str) -> None:
    _, _, cross = await before(scene, edge)
    async with asyncio.timeout(5), asking.line(scene.proxy) as line:
        await line.send(f"GET http://{WWW}/events?every=0.02 HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
        await line.reader.readuntil(b"data:")
        started = asyncio.get_running_loop().time()
        await cross()
        assert asyncio.get_running_loop().time() - started < DRAIN_S
        await line.reader.read()


@pytest.mark.parametrize("jump", ["into a running drill", "out of a running drill"])
async def test_streams_end_even_where_a_node_missed_the_edge(scene: Stage, jump: str) -> None:
    """A node that was away for arming or draining sees only the phase after it."""
    into = jump.startswith("into")
    if not into:
        await scene.start()
    async with asyncio.timeout(5):
        line = await a_websocket(scene)
        if into:
            await scene.move(Phase.RUNNING)
        else:
            epoch = scene.worker.current.switch.epoch + 1
            await scene.worker.apply(compile_switch(scene.estate, SwitchDocument(epoch=epoch)))
        assert await line.is_closed()
        line.writer.transport.abort()


@edges
@protocols
async def test_a_request_during_an_edge_is_held_and_answered_by_the_new_side(
    scene: Stage, protocol: str, edge: str
) -> None:
    _, other, _ = await before(scene, edge)
    first, second = (Phase.ARMING, Phase.RUNNING) if edge == "start" else (Phase.DRAINING, Phase.ENDED)
    await scene.move(first)

    async def come() -> Answer:
        async with PROTOCOLS[protocol](scene) as ask:
            return await ask("POST", "/upload")

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        held = tasks.create_task(come())
        await asyncio.sleep(0.1)
        assert not held.done()
        assert paths(scene.prod) + paths(scene.sandbox) == []
        await scene.move(second)
        assert (await held).side == other.side


async def test_a_held_request_survives_a_second_edge_on_its_connection(scene: Stage) -> None:
    await scene.move(Phase.ARMING)
    async with asyncio.timeout(5), plain(scene) as ask, asyncio.TaskGroup() as tasks:
        held = tasks.create_task(ask("POST", "/upload"))
        await asyncio.sleep(0.05)
        await scene.move(Phase.DRAINING, Phase.ENDED)
        assert (await held).side == "prod"
    assert paths(scene.sandbox) == []


async def test_a_drill_that_fails_to_arm_lets_held_requests_go_to_production(scene: Stage) -> None:
    await scene.move(Phase.ARMING)
    async with asyncio.timeout(5), plain(scene) as ask, asyncio.TaskGroup() as tasks:
        held = tasks.create_task(ask("POST", "/upload"))
        await asyncio.sleep(0.05)
        await scene.move(Phase.FAILED)
        assert (await held).side == "prod"


async def test_a_request_held_too_long_gets_503_with_retry_after(tmp_path: Path) -> None:
    async with stage(tmp_path, hold_s=0.2) as scene:
        await scene.move(Phase.ARMING)
        for protocol in PROTOCOLS.values():
            if protocol is tunnelled:
                continue  # its CONNECT is held already
            async with asyncio.timeout(5), protocol(scene) as ask:
                answer = await ask("POST", "/upload")
                assert (answer.status, answer.header("retry-after")) == (503, "1")
        with pytest.raises(ConnectionRefusedError, match="503"):
            async with asyncio.timeout(5), tunnelled(scene):
                pass
        assert paths(scene.prod) + paths(scene.sandbox) == []


@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/1 in TLS"])
async def test_an_outsider_keeps_its_connection_over_both_edges(scene: Stage, protocol: str) -> None:
    async with asyncio.timeout(5), PROTOCOLS[protocol](scene, client=OUTSIDER) as ask:
        for cross in (scene.start, scene.end, scene.start):
            assert (await ask("GET", "/echo")).side == "prod"
            await cross()
        assert (await ask("GET", "/echo")).side == "prod"


async def test_an_outsiders_download_over_both_edges_is_byte_identical(scene: Stage) -> None:
    size = 64 * 1024 * 1024
    async with asyncio.timeout(20), asking.tls(scene, client=OUTSIDER) as line:
        await line.send(f"GET /stream?bytes={size} HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
        assert (await line.head()).status == 200
        digest, left = hashlib.sha256(), size
        for cross in (scene.start, scene.end, None):
            half = await line.reader.readexactly(size // 4)
            digest.update(half)
            left -= len(half)
            if cross is not None:
                await cross()
        digest.update(await line.reader.readexactly(left))
    assert digest.hexdigest() == hashlib.sha256(bytes(size)).hexdigest()


async def test_an_outsider_is_not_slowed_by_an_edge_that_drains(scene: Stage) -> None:
    async with (
        asyncio.timeout(5),
        plain(scene) as member,
        plain(scene, client=OUTSIDER) as outsider,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(member("POST", "/slow?s=20"))
        await asyncio.sleep(0.05)
        crossing = tasks.create_task(scene.start())
        while not crossing.done():
            started = asyncio.get_running_loop().time()
            assert (await outsider("GET", "/echo")).side == "prod"
            assert asyncio.get_running_loop().time() - started < DRAIN_S / 2
