"""What is in flight at an edge stays on its side or reaches none, and its client always gets an answer with headers.

A browser silently sends again what ends without one, and then to the other world (LEAKS TG-01).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e import asking
from tests.e2e.asking import head
from tests.e2e.crossing import DRAIN_S, PROTOCOLS, WWW, before, edges, paths, plain, protocols
from tests.e2e.stage import OUTSIDER, Stage, lookup, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


LOGIN = "Proxy-Authorization: Basic YWdlbnQtMTpvcGVuLXNlc2FtZQ==\r\n"  # agent-1:open-sesame


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


@edges
@protocols
async def test_a_request_in_flight_ends_on_the_side_where_it_began(scene: Stage, protocol: str, edge: str) -> None:
    side, other, cross = await before(scene, edge)
    async with asyncio.timeout(5), PROTOCOLS[protocol](scene) as ask, asyncio.TaskGroup() as tasks:
        await ask("GET", "/echo")
        flying = tasks.create_task(ask("POST", "/slow?s=0.2"))
        await asyncio.sleep(0.05)
        await cross()
        answer = await flying
    assert (answer.status, answer.side) == (200, side.side)
    assert "/slow" in paths(side)
    assert "/slow" not in paths(other)


@edges
@protocols
async def test_a_request_too_slow_for_an_edge_gets_an_answer_with_headers(
    scene: Stage, protocol: str, edge: str
) -> None:
    side, other, cross = await before(scene, edge)
    async with asyncio.timeout(5), PROTOCOLS[protocol](scene) as ask, asyncio.TaskGroup() as tasks:
        await ask("GET", "/echo")
        flying = tasks.create_task(ask("POST", "/slow?s=20"))
        await asyncio.sleep(0.05)
        await cross()
        answer = await flying
    assert answer.status in (502, 503)
    assert "/slow" in paths(side)
    assert "/slow" not in paths(other)


@edges
async def test_half_an_upload_at_an_edge_reaches_no_other_side(scene: Stage, edge: str) -> None:
    _, other, cross = await before(scene, edge)
    async with asyncio.timeout(5), asking.line(scene.proxy) as line:
        await line.send(f"POST http://{WWW}/upload HTTP/1.1\r\nHost: {WWW}\r\nContent-Length: 10\r\n\r\nhalf".encode())
        await asyncio.sleep(0.05)
        await cross()
        assert (await line.answer()).status in (502, 503)
    assert "/upload" not in paths(other)


@edges
async def test_half_an_upload_of_http2_without_length_reaches_no_side(scene: Stage, edge: str) -> None:
    """It is read whole before it is sent on, so at an edge nobody has it yet."""
    _, _, cross = await before(scene, edge)
    async with asyncio.timeout(5), asking.two(scene, steered=True) as two:
        stream = await two.start(head("POST", WWW, "/upload"), end=False)
        await two.data(stream, b"half", end=False)
        await asyncio.sleep(0.05)
        await cross()
        assert (await two.answer(stream)).status in (502, 503)
    assert "/upload" not in paths(scene.prod) + paths(scene.sandbox)


async def test_a_refused_upload_at_the_end_gets_an_answer_with_headers(scene: Stage) -> None:
    """Closed without one, a browser would send it again, and then to production (LEAKS TG-01)."""
    await scene.start()
    async with asyncio.timeout(5), asking.line(scene.proxy) as line:
        host = "old.cms.example"
        await line.send(f"POST http://{host}/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\nhalf".encode())
        await asyncio.sleep(0.05)
        await scene.end()
        assert (await line.answer()).status in (403, 502, 503)


async def test_a_slow_mock_at_the_end_gets_an_answer_with_headers(scene: Stage) -> None:
    await scene.start()
    async with asyncio.timeout(5), asking.line(scene.proxy) as line:
        await line.send(b"POST http://payments.example/slow HTTP/1.1\r\nHost: payments.example\r\n\r\n")
        await asyncio.sleep(0.05)
        await scene.end()
        assert (await line.answer()).status in (202, 502, 503)


async def test_a_request_whose_name_still_resolves_at_an_edge_gets_an_answer_with_headers(tmp_path: Path) -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.sleep(30 if host.startswith("sandbox") else 0)
        return await lookup(host, port)

    async with stage(tmp_path, resolver=never, drain="300ms") as scene:
        await scene.start()
        async with asyncio.timeout(5), plain(scene) as ask, asyncio.TaskGroup() as tasks:
            flying = tasks.create_task(ask("POST", "/upload"))
            await asyncio.sleep(0.05)
            await scene.end()
            assert (await flying).status in (502, 503)
        assert paths(scene.prod) + paths(scene.sandbox) == []


@edges
@pytest.mark.parametrize("protocol", ["HTTP/1", "HTTP/1 in TLS"])
async def test_a_member_by_login_crosses_edges_as_one_by_address_does(scene: Stage, protocol: str, edge: str) -> None:
    side, other, cross = await before(scene, edge)
    async with asyncio.timeout(5), PROTOCOLS[protocol](scene, client=OUTSIDER, login=LOGIN) as ask:
        assert (await ask("GET", "/echo")).side == side.side
        async with asyncio.TaskGroup() as tasks:
            flying = tasks.create_task(ask("POST", "/slow?s=20"))
            await asyncio.sleep(0.05)
            await cross()
            answer = await flying
    assert answer.status in (502, 503)
    assert "/slow" not in paths(other)
