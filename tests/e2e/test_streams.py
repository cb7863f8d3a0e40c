"""What flows through a drill over time: WebSockets both ways, events, long polls, uploads that wait to be asked for."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
import wsproto
import wsproto.events

from tests.e2e import asking
from tests.e2e.asking import Line, head
from tests.e2e.border import WWW, Border, border
from tests.e2e.origin import Hangup, chunk, reply, web_socket

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
EVENTS = "Content-Type: text/event-stream\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drill(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Border]:
    async with border(tmp_path_factory.mktemp("scene")) as found:
        await found.stage.start()
        found.stage.silence()
        yield found
        assert found.stage.prod.books.silent


def at(scene: Border) -> str:
    return f"sandbox-raw.test:{scene.stage.raw}"


def part(data: bytes, *, opcode: int, last: bool) -> bytes:
    """Return one masked frame of a message in several (RFC 6455 5.4)."""
    mask = os.urandom(4)
    return bytes([0x80 * last | opcode, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))


@asynccontextmanager
async def socket(scene: Border, *, fields: str = "", accepted: bytes = ACCEPTED + b"\r\n") -> AsyncIterator[Line]:
    scene.sandbox.clear()
    scene.sandbox.answer = lambda request: accepted
    async with asyncio.timeout(5), asking.line(scene.stage.proxy) as line:
        start = f"GET http://{WWW}/ws HTTP/1.1\r\nHost: {WWW}\r\nOrigin: http://{WWW}\r\n{fields}"
        answer = await line.ask(start.encode() + asking.UPGRADE + b"\r\n")
        assert answer.status == 101
        yield line


async def test_a_message_in_pieces_gets_its_twin(drill: Border) -> None:
    drill.sandbox.speak = lambda message: f"see http://{at(drill)}/x"
    async with socket(drill) as line:
        await line.send(part(b'{"to', opcode=1, last=False) + part(b'ken": "prod-', opcode=0, last=False))
        await line.send(asking.frame(b"", opcode=9) + part(b'socket"}', opcode=0, last=True))
        found = [await asking.message(line), await asking.message(line)]
    assert sorted(found) == [(1, f"see http://{WWW}/x".encode()), (10, b"")]
    assert drill.sandbox.said == ['{"token": "twin-socket"}']
    assert b"prod-" not in drill.sandbox.wire


async def test_binary_messages_pass_as_they_are(drill: Border) -> None:
    data = bytes(range(256)) + f"http://{at(drill)}/x".encode()
    drill.sandbox.speak = lambda message: data
    async with socket(drill) as line:
        await line.send(asking.frame(b'{"token": "prod"}', opcode=2))
        assert await asking.message(line) == (2, data)
        await line.send(asking.frame(bytes(range(100)), opcode=2))
        assert await asking.message(line) == (2, data)
    assert drill.sandbox.said == [b'{"token": "twin-socket"}', bytes(range(100))]


async def test_deflated_messages_are_read_too(drill: Border) -> None:
    drill.sandbox.speak = lambda message: "heard"
    deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    packed = zlib.compressobj(wbits=-15)
    text = packed.compress(b'{"token": "prod-socket"}') + packed.flush(zlib.Z_SYNC_FLUSH)
    async with socket(drill, fields=deflate) as line:
        await line.send(part(b'{"token": "prod-socket"}', opcode=1, last=True))
        assert await asking.message(line) == (1, b"heard")
        await line.send(b"\xc1" + part(text[:-4], opcode=1, last=True)[1:])  # compressed, though nobody agreed to it
        assert (await asking.message(line))[0] in (0, 8)
    assert drill.sandbox.said == ['{"token": "twin-socket"}']


async def test_deflate_that_both_sides_agreed_to_is_looked_through(drill: Border) -> None:
    """A proxy that cannot look into what is packed would let a credential by."""
    extension = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
    drill.sandbox.speak = lambda message: f"see http://{at(drill)}/x"
    async with socket(drill, fields=extension.decode(), accepted=ACCEPTED + extension + b"\r\n") as line:
        client = web_socket(wsproto.ConnectionType.CLIENT, packs=True)
        await line.send(client.send(wsproto.events.TextMessage('{"token": "prod-socket"}')))
        heard = list[wsproto.events.Event]()
        while not heard:
            client.receive_data(await line.reader.read(65536))
            heard = list(client.events())
    assert isinstance(heard[0], wsproto.events.TextMessage)
    assert heard[0].data == f"see http://{WWW}/x"
    assert b"permessage-deflate" in drill.sandbox.requests[0].head
    assert drill.sandbox.said == ['{"token": "twin-socket"}']


async def test_events_come_one_by_one_as_they_are_sent(drill: Border) -> None:
    heard = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield reply(fields=f"{EVENTS}Transfer-Encoding: chunked\r\n", length=False)
        for number in range(5):
            heard.clear()
            yield chunk(f"id: {number}\ndata: http://{at(drill)}/{number}\n\n".encode())
            await heard.wait()  # the next one leaves only when this one was seen
        raise Hangup

    drill.sandbox.answer = lambda request: events()
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        await line.send(f"GET http://{WWW}/events HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
        assert (await line.head()).status == 200
        for number in range(5):
            text = await line.reader.readuntil(b"\n\n")
            assert text.endswith(f"id: {number}\ndata: http://{WWW}/{number}\n\n".encode())
            heard.set()


async def test_packed_events_come_one_by_one_too(drill: Border) -> None:
    heard, seen = asyncio.Event(), zlib.decompressobj(31)

    async def events() -> AsyncIterator[bytes]:
        packer = zlib.compressobj(wbits=31)
        yield reply(fields=f"{EVENTS}Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", length=False)
        for number in range(3):
            heard.clear()
            event = f"data: http://{at(drill)}/{number}\n\n".encode()
            yield chunk(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH))
            await heard.wait()
        raise Hangup

    drill.sandbox.answer = lambda request: events()
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        await line.send(f"GET http://{WWW}/events HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
        await line.head()
        text = b""
        for number in range(3):
            while not text.endswith(f"data: http://{WWW}/{number}\n\n".encode()):
                size = int(await line.reader.readuntil(b"\r\n"), 16)
                text += seen.decompress(await line.reader.readexactly(size))
                await line.reader.readexactly(2)
            heard.set()


async def test_events_reach_a_client_of_http_2_one_by_one(drill: Border) -> None:
    heard = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        yield reply(fields=f"{EVENTS}Transfer-Encoding: chunked\r\n", length=False)
        for number in range(3):
            heard.clear()
            yield chunk(f"data: http://{at(drill)}/{number}\n\n".encode())
            await heard.wait()
        yield chunk(b"")

    drill.sandbox.answer = lambda request: events()
    async with asyncio.timeout(5), asking.two(drill.stage, steered=True) as two:
        stream = await two.start(head("GET", WWW, "/events"))
        for number in range(3):
            while not two.body(stream).endswith(f"data: https://{WWW}/{number}\n\n".encode()):
                await two.read()
            heard.set()
        answer = await two.answer(stream)
    assert not {"transfer-encoding", "connection", "content-length"} & {name for name, _ in answer.fields}


async def test_requests_over_one_http_2_connection_do_not_wait_for_each_other(drill: Border) -> None:
    released = asyncio.Event()

    async def late() -> AsyncIterator[bytes]:
        await released.wait()
        yield reply(b'{"late": true}', fields="Content-Type: application/json\r\n")

    drill.sandbox.answer = lambda request: late() if request.target == "/poll" else reply(b"{}")
    async with asyncio.timeout(5), asking.two(drill.stage, steered=True) as two:
        polling = await two.start(head("GET", WWW, "/poll"))
        for _ in range(5):
            assert (await two.ask(head("GET", WWW, "/page"))).body == b"{}"
        released.set()
        assert (await two.answer(polling)).body == b'{"late": true}'


async def test_a_long_poll_is_answered_when_there_is_something_to_say(drill: Border) -> None:
    async def late() -> AsyncIterator[bytes]:
        await asyncio.sleep(1.2)
        yield reply(f'["http://{at(drill)}/x"]'.encode(), fields="Content-Type: application/json\r\n")

    drill.sandbox.answer = lambda request: late()
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        answer = await line.ask(f"GET http://{WWW}/poll HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
    assert json.loads(answer.body) == [f"http://{WWW}/x"]


BODIES = {
    "a file": ("application/pdf", bytes(100_000), bytes(100_000)),
    "JSON with a rule": ("application/json", b'{"password": "prod"}', b'{"password": "twin-pass\\"word"}'),
}


@pytest.mark.parametrize("kind", BODIES)
async def test_an_upload_that_waits_to_be_asked_for_is_asked_for(drill: Border, kind: str) -> None:
    content_type, body, expected = BODIES[kind]
    drill.sandbox.clear()
    drill.sandbox.answer = lambda request: reply(b"{}", status=201)
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        start = f"POST http://{WWW}/upload HTTP/1.1\r\nHost: {WWW}\r\nContent-Type: {content_type}\r\n"
        await line.send(f"{start}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert (await line.head()).status == 100
        await line.send(body)
        answer = await line.answer()
    assert answer.status == 201
    assert drill.sandbox.requests[0].body == expected
    assert drill.sandbox.requests[0].header("expect") == ""


async def test_an_upload_that_is_refused_is_not_asked_for(drill: Border) -> None:
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        start = "POST http://elsewhere.example/ HTTP/1.1\r\nHost: elsewhere.example\r\nContent-Length: 9\r\n"
        await line.send(f"{start}Expect: 100-continue\r\n\r\n".encode())
        first = await line.head()
        if first.status == 100:
            await line.send(b"123456789")
            first = await line.head()
    assert first.status == 403


async def test_an_answer_of_a_login_is_held_until_its_token_is_known(drill: Border) -> None:
    async def slowly() -> AsyncIterator[bytes]:
        yield reply(fields="Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", length=False)
        for piece in (b'{"acc', b'ess_token": "sandbox-', b'token"', b"}"):
            yield chunk(piece)
            await asyncio.sleep(0.02)
        yield chunk(b"")

    drill.sandbox.answer = lambda request: slowly()
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        answer = await line.ask(f"GET http://{WWW}/login HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
        assert json.loads(answer.body) == {"access_token": "sandbox-token"}
        drill.sandbox.clear()
        drill.sandbox.answer = lambda request: reply(gzip.compress(b"x"))
        await line.ask(f"GET http://{WWW}/x HTTP/1.1\r\nHost: {WWW}\r\nAuthorization: Bearer prod\r\n\r\n".encode())
    assert drill.sandbox.requests[0].header("authorization") == "Bearer sandbox-token"


async def test_a_client_of_http_1_0_gets_no_chunks(drill: Border) -> None:
    body = f"<html><body>http://{at(drill)}/x".encode()
    drill.sandbox.answer = lambda request: reply(body, fields="Content-Type: text/html\r\n")
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        await line.send(f"GET http://{WWW}/page HTTP/1.0\r\nHost: {WWW}\r\n\r\n".encode())
        answer = await line.head()
        text = await line.reader.read()
    assert answer.header("transfer-encoding") == ""
    assert text.endswith(f"http://{WWW}/x".encode())
