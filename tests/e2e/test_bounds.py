"""One client cannot make a worker hold memory without end; what is cut is told so, what waits goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from addons import handler
from switchboard.drill import Phase
from tests.e2e import asking
from tests.e2e.pushing import (
    BLOCK,
    CHUNK,
    CHUNKED,
    KERNEL,
    MIB,
    WWW,
    handler_of,
    hanging,
    post,
    pushed,
)
from tests.e2e.stage import MEMBER, OUTSIDER, Stage, stage

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


LONG = "Content-Length: 99999999999"
WRONG = "Proxy-Authorization: Basic eDp5"


@pytest.mark.parametrize(
    ("client", "start", "block", "status"),
    [
        (MEMBER, post("http://nowhere.example/", CHUNKED), CHUNK, 403),
        (MEMBER, post("http://nowhere.example/", LONG), BLOCK, 403),
        (OUTSIDER, post("http://nowhere.example/", CHUNKED, WRONG), CHUNK, 407),
        (OUTSIDER, post("http://nowhere.example/", LONG, WRONG), BLOCK, 407),
    ],
    ids=["refused, chunked", "refused, with a length", "wrong login, chunked", "wrong login, with a length"],
)
async def test_the_body_of_a_refused_request_is_read_up_to_a_bound(
    drill: Stage, client: str, start: bytes, block: bytes, status: int
) -> None:
    async with asking.line(drill.proxy, client=client) as line:
        await line.send(start)
        sent, cut = await pushed(line, block)
        assert cut
        assert sent <= KERNEL
    async with asking.line(drill.proxy, client=client) as line:
        await line.send(start)
        await line.send(block * 8 if b"chunked" in start else block * 8 + b"a")
        await line.send(block[: MIB // 2])
        assert (await line.head()).status == status


async def test_a_refused_body_within_the_bound_is_read_and_the_connection_goes_on(drill: Stage) -> None:
    async with asking.line(drill.proxy) as line:
        body = BLOCK * 7
        answer = await line.ask(post("http://nowhere.example/", f"Content-Length: {len(body)}") + body)
        assert (answer.status, answer.reason) == (403, "host is not listed")
        assert (await line.ask(f"GET {WWW}/echo HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode())).side == "sandbox"


@pytest.mark.parametrize("client", [MEMBER, OUTSIDER], ids=["member", "outsider"])
@pytest.mark.parametrize(
    "block",
    [b"X-A: " + b"c" * 1000 + b"\r\n", b"c" * 1000, b"\r\n" * 500],
    ids=["fields", "one line", "blank lines"],
)
async def test_a_request_head_without_end_is_cut(drill: Stage, client: str, block: bytes) -> None:
    start = b"" if block.startswith(b"\r") else f"GET {WWW}/echo HTTP/1.1\r\nHost: www.cms.example\r\n".encode()
    async with asking.line(drill.proxy, client=client) as line:
        await line.send(start)
        sent, cut = await pushed(line, block * 64, most=16 * MIB)
        held = 0 if cut else handler_of(drill, line).weighed().total
    assert held <= 128 * 1024
    if not block.startswith(b"\r"):  # blank lines say nothing and cost nothing
        assert cut
        assert sent < 8 * MIB
        assert drill.worker.witness.totals["refused:request head is too long"] >= 1


async def test_a_head_that_is_too_long_is_told_so_and_one_just_within_is_read(drill: Stage) -> None:
    start = f"GET {WWW}/answer HTTP/1.1\r\nHost: www.cms.example\r\nAccept: ".encode()
    async with asking.line(drill.proxy) as line:
        assert (await line.ask(start + b"*" * 66_000 + b"\r\n\r\n")).status == 431
    async with asking.line(drill.proxy) as line:
        assert (await line.ask(start + b"*" * 4_000 + b"\r\n\r\n")).status == 200
        assert (await line.ask(b"\r\n" * 40_000 + start + b"*/*\r\n\r\n")).status == 200


@pytest.mark.parametrize("block", [b"1;" + b"x" * 998, b"0\r\nX-A: " + b"c" * 992], ids=["head of a chunk", "trailer"])
async def test_a_chunk_that_never_begins_is_cut(drill: Stage, block: bytes) -> None:
    async with asking.line(drill.proxy) as line:
        await line.send(post(f"{WWW}/upload", CHUNKED) + block)
        sent, cut = await pushed(line, b"c" * 64_000, most=16 * MIB)
    assert cut
    assert sent < 8 * MIB


async def test_what_is_sent_behind_a_slow_answer_waits_at_the_client(drill: Stage) -> None:
    async with asking.line(drill.proxy) as line:
        await line.send(post("http://payments.example/slow", "Content-Length: 1") + b"x")
        sent, cut = await pushed(line, BLOCK)
        assert not cut
        assert sent <= KERNEL
        assert handler_of(drill, line).weighed().total < 2 * MIB


async def test_requests_behind_a_slow_answer_are_answered_after_it(drill: Stage) -> None:
    """Far more than is kept waits behind it: it is read on as soon as it can be used."""
    body = BLOCK * 20
    slow = f"GET {WWW}/slow?s=0.7 HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode()
    async with asyncio.timeout(10), asking.line(drill.proxy) as line, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(line.send(slow + post(f"{WWW}/upload", f"Content-Length: {len(body)}") + body))
        assert (await line.answer()).status == 200
        answer = await line.answer()
        await sending
    assert answer.status == 201
    assert b'"body_bytes": %d' % len(body) in answer.body or b'"body_bytes":%d' % len(body) in answer.body


async def test_an_upload_whose_request_is_held_waits_at_the_client_and_then_goes_on(scene: Stage) -> None:
    body = BLOCK * 20
    await scene.move(Phase.ARMING)
    try:
        async with asyncio.timeout(10), asking.line(scene.proxy) as line, asyncio.TaskGroup() as tasks:
            upload = post(f"{WWW}/upload", f"Content-Length: {len(body)}") + body
            sending = tasks.create_task(line.send(upload))
            await asyncio.sleep(0.5)
            assert handler_of(scene, line).weighed().total < 2 * MIB
            await scene.move(Phase.RUNNING)
            answer = await line.answer()
            await sending
        assert (answer.status, answer.side) == (201, "sandbox")
    finally:
        await scene.end()


async def test_a_tunnel_whose_dial_hangs_holds_little_and_is_told(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "DIAL_S", 1.5)
    with hanging("127.0.1.1") as port:
        async with asyncio.timeout(5), asking.line(scene.proxy, client=OUTSIDER) as line:
            await line.send(b"CONNECT 127.0.1.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port)
            sent, cut = await pushed(line, BLOCK)
            assert not cut
            assert sent <= KERNEL
            assert handler_of(scene, line).weighed().total < 2 * MIB
        async with asyncio.timeout(5), asking.line(scene.proxy, client=OUTSIDER) as line:
            answer = await line.ask(b"CONNECT 127.0.1.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port)
    assert answer.status == 502
    assert b"server did not answer within 1.5 seconds" in answer.body


@pytest.mark.parametrize("body", [b"", BLOCK * 20], ids=["no body", "an upload"])
async def test_a_request_whose_dial_hangs_is_told(drill: Stage, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    monkeypatch.setattr(handler, "DIAL_S", 0.8)
    with hanging("127.0.2.1", drill.raw):
        async with asyncio.timeout(5), asking.line(drill.proxy) as line:
            await line.send(post("http://raw.cms.example/", f"Content-Length: {len(body)}") + body[: 2 * MIB])
            await pushed(line, body[2 * MIB :] or b"x", most=1, patience_s=0.3)
            assert handler_of(drill, line).weighed().total < 2 * MIB
            answer = await line.head()
    assert answer.status == 502
    assert len(drill.worker.doors.handlers) < 20


async def test_a_tunnel_nobody_looks_into_is_dialled_before_it_is_answered(scene: Stage) -> None:
    """So that who listens first, as mail clients do, hears something."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        writer.write(await reader.readuntil(b"\n"))
        writer.close()

    server = await asyncio.start_server(greet, "127.0.1.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(5), asking.line(scene.proxy, client=OUTSIDER) as line:
        await line.send(b"CONNECT 127.0.1.1:%d HTTP/1.1\r\nHost: x\r\n\r\n" % port)
        assert (await line.head()).status == 200
        assert await line.reader.readuntil(b"\n") == b"220 ready\r\n"
        await line.send(b"EHLO\n")
        assert await line.reader.read() == b"EHLO\n"
