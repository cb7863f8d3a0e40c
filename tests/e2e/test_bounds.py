"""One client cannot make a worker hold memory or files without end, and legitimate volume meets none of the bounds."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest
import pytest_asyncio
from mitmproxy import http

from addons import crowd, handler
from addons.handler import Handler
from addons.reading import HttpReader
from switchboard.drill import Phase
from tests.e2e import asking
from tests.e2e.asking import UPGRADE, Line, Two, head
from tests.e2e.stage import MEMBER, OUTSIDER, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
BLOCK = b"a" * MIB
CHUNK = b"%x\r\n" % MIB + BLOCK + b"\r\n"
KERNEL = 16 * MIB  # at most what two sockets of loopback buffer by themselves, and a bound of 8 MiB
WWW = "http://www.cms.example"
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


async def pushed(line: Line, block: bytes, *, most: int = 64 * MIB, patience_s: float = 0.7) -> tuple[int, bool]:
    """Send a block again and again; return how many bytes went, and whether the other end has cut them off."""
    sent = 0
    while sent < most:
        try:
            line.writer.write(block)
            async with asyncio.timeout(patience_s):
                await line.writer.drain()
        except TimeoutError:
            return sent, False
        except ConnectionError:
            return sent, True
        sent += len(block)
    return sent, False


def handler_of(scene: Stage, line: Line) -> Handler:
    port = line.writer.get_extra_info("sockname")[1]
    return next(h for h in scene.worker.doors.handlers.values() if h.client.peername[1] == port)


def resident() -> int:
    """Return the memory of this process, in bytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@contextmanager
def hanging(host: str, port: int = 0) -> Iterator[int]:
    """Give a port at which dials hang: its queue of connections is full."""
    with contextlib.ExitStack() as held:
        sock = held.enter_context(socket.socket())
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        yield int(sock.getsockname()[1])


@asynccontextmanager
async def behind(scene: Stage, answer: bytes) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Serve `http://raw.cms.example`: answer every connection's first head with these bytes; read on without end."""
    opened: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.2.1", scene.raw, reuse_port=True)
    try:
        yield opened
    finally:
        server.close()
        for writer in opened:
            writer.transport.abort()


def post(url: str, *fields: str) -> bytes:
    host = url.split("/")[2]
    return "\r\n".join([f"POST {url} HTTP/1.1", f"Host: {host}", *fields, "", ""]).encode()


LONG = "Content-Length: 99999999999"
CHUNKED = "Transfer-Encoding: chunked"
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


async def upload(two: Two, stream: int, size: int) -> None:
    """Send a body of zeros as far as the stream's window allows, to the end or until it has an answer."""
    left, block = size, 16_384
    while left and stream not in two._ended:
        while two.state.local_flow_control_window(stream) < block and stream not in two._ended:
            await two._read()
        left -= min(block, left)
        await two.data(stream, bytes(block), end=not left)
        await asyncio.sleep(0)


async def downloaded(two: Two, stream: int) -> int:
    """Read a body to its end and keep none of it; return its size."""
    size = len(two._bodies.pop(stream, b""))
    while stream not in two._ended:
        await two._read()
        size += len(two._bodies.pop(stream, b""))
    return size


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


ECHO = f"GET {WWW}/echo HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode()
CONNECT = b"CONNECT www.cms.example:443 HTTP/1.1\r\nHost: www.cms.example:443\r\n\r\n"


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


@asynccontextmanager
async def watched(limit: int) -> AsyncIterator[None]:
    """Look at the memory ten times a second; fail where it grows beyond a limit."""
    before, peak = resident(), 0

    async def look() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident() - before)
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        yield
        looking.cancel()
    assert peak < limit, f"memory grew by {peak / MIB:.0f} MiB"


VOLUME = 300 * MIB


@pytest.mark.parametrize("client", [MEMBER, OUTSIDER], ids=["member", "outsider"])
@pytest.mark.parametrize("fields", [f"Content-Length: {VOLUME}", CHUNKED], ids=["length", "chunked"])
async def test_a_large_upload_streams_with_flat_memory(drill: Stage, client: str, fields: str) -> None:
    async with asyncio.timeout(60), watched(40 * MIB), asking.line(drill.proxy, client=client) as line:
        await line.send(post(f"{WWW}/upload", fields))
        for _ in range(VOLUME // MIB):
            await line.send(CHUNK if fields == CHUNKED else BLOCK)
        await line.send(b"0\r\n\r\n" if fields == CHUNKED else b"")
        answer = await line.answer()
    assert answer.status == 201
    assert str(VOLUME).encode() in answer.body


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_a_large_download_streams_with_flat_memory(drill: Stage, protocol: str) -> None:
    path = f"/stream?bytes={VOLUME}"
    async with asyncio.timeout(60), watched(40 * MIB):
        if protocol == "h2":
            async with asking.two(drill) as two:
                stream = await two.start(head("GET", "www.cms.example", path))
                taken = await downloaded(two, stream)
        else:
            async with asking.line(drill.proxy) as line:
                await line.send(f"GET {WWW}{path} HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode())
                await line.head()
                taken = 0
                while taken < VOLUME:
                    taken += len(await line.reader.read(MIB))
    assert taken == VOLUME


async def test_an_http2_upload_with_a_length_streams_with_flat_memory(drill: Stage) -> None:
    size = 64 * MIB
    async with asyncio.timeout(60), watched(40 * MIB), asking.two(drill) as two:
        fields = head("POST", "www.cms.example", "/upload", ("content-length", str(size)))
        stream = await two.start(fields, end=False)
        await upload(two, stream, size)
        answer = await two.answer(stream)
    assert answer.status == 201
