"""Bodies that are broken, endless or ambiguous, from both sides: refused or passed on as they are, and counted."""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import brotli  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
import zstandard

from tests.e2e import asking
from tests.e2e.asking import Answer
from tests.e2e.border import WWW, Border, border
from tests.e2e.origin import Hangup, Reply, chunk, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON, HTML = "Content-Type: application/json\r\n", "Content-Type: text/html\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
_DRAW = random.Random(9)
PAGE = b"<html><body>" + b"".join(b"<a href='http://@/%d'>x</a>\n" % _DRAW.getrandbits(128) for _ in range(20_000))
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": zstandard.compress,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Border]:
    async with border(tmp_path_factory.mktemp("scene")) as found:
        await found.stage.start()
        found.stage.silence()
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def drill(running: Border) -> AsyncIterator[Border]:
    """The drill; after each test production has heard nothing, no hook has failed, and requests are still answered."""
    running.sandbox.clear()
    running.counted()
    yield running
    running.sandbox.answer = lambda request: reply(b"well")
    assert (await ask(running, request())).body == b"well"
    assert running.stage.prod.books.silent
    assert [name for name in running.stage.worker.witness.totals if name.startswith("fault:")] == []
    assert b"prod-secret" not in running.sandbox.wire


def request(fields: str = "", body: bytes = b"", *, method: str = "POST", framing: str | None = None) -> bytes:
    framing = f"Content-Length: {len(body)}\r\n" if framing is None else framing
    return f"{method} http://{WWW}/x HTTP/1.1\r\nHost: {WWW}\r\n{fields}{framing}\r\n".encode() + body


async def ask(scene: Border, data: bytes) -> Answer:
    async with asyncio.timeout(10), asking.line(scene.stage.proxy) as line:
        return await line.ask(data)


async def told(scene: Border, data: bytes) -> bytes:
    """Return all that comes back until the end of the connection, which the client asks for."""
    async with asyncio.timeout(10), asking.line(scene.stage.proxy) as line:
        await line.send(data.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
        found = b""
        try:
            while more := await line.reader.read(65536):
                found += more
        except ConnectionError:
            pass
        return found


def page(scene: Border) -> bytes:
    return PAGE.replace(b"@", b"sandbox-raw.test:%d" % scene.stage.raw)


def counted(scene: Border) -> set[str]:
    return {name for name in scene.counted() if name.startswith(("blocked:", "unread:"))}


# -- answers of a sandbox


@pytest.mark.parametrize("coding", PACK)
async def test_an_answer_that_is_not_packed_as_it_says_goes_on_as_it_came(drill: Border, coding: str) -> None:
    body = b"this is no packed body at all, whatever its fields say"
    drill.sandbox.answer = lambda request: reply(body, fields=f"{HTML}Content-Encoding: {coding}\r\n")
    answer = await ask(drill, request())
    assert (answer.status, answer.body, answer.header("content-encoding")) == (200, body, coding)
    assert counted(drill) == {f"unread:broken {coding}"}


@pytest.mark.parametrize("coding", PACK)
async def test_an_answer_that_breaks_in_the_middle_ends_there(drill: Border, coding: str) -> None:
    packed = PACK[coding](page(drill))
    half = len(packed) // 2

    async def broken() -> AsyncIterator[bytes]:
        yield reply(fields=f"{HTML}Content-Encoding: {coding}\r\n{CHUNKED}", length=False)
        yield chunk(packed[:half])
        await asyncio.sleep(0.05)
        yield chunk(b"\xff\x00garbage" * 2000) + chunk(packed[half:]) + chunk(b"")

    drill.sandbox.answer = lambda request: broken()
    answer = await told(drill, request())
    assert answer.startswith(b"HTTP/1.1 200")
    assert not answer.endswith(b"0\r\n\r\n")  # the client can tell
    assert b"sandbox-raw" not in answer
    assert any(name.startswith(("blocked:answer: ", "unread:")) for name in counted(drill))


@pytest.mark.parametrize("coding", PACK)
async def test_a_packed_answer_that_is_cut_short_is_cut_short_for_the_client(drill: Border, coding: str) -> None:
    packed = PACK[coding](page(drill))
    drill.sandbox.answer = lambda request: reply(
        packed[: len(packed) // 2], fields=f"{HTML}Content-Encoding: {coding}\r\nConnection: close\r\n"
    )
    answer = await ask(drill, request())
    assert answer.status == 200
    assert answer.body not in (b"", packed[: len(packed) // 2])
    assert counted(drill) == {"unread:answer is cut short"}


async def bombs(coding: str, fields: str) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31) if coding == "gzip" else zlib.compressobj(9)
    yield reply(fields=f"{fields}Content-Encoding: {coding}\r\n{CHUNKED}", length=False)
    for _ in range(40):
        yield chunk(packer.compress(bytes(8 * 1024 * 1024)) + b"")
        await asyncio.sleep(0)
    yield chunk(packer.flush()) + chunk(b"")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_bomb_ends_the_answer_before_it_is_unpacked(drill: Border, coding: str) -> None:
    drill.sandbox.answer = lambda request: bombs(coding, HTML)
    answer = await told(drill, request())
    assert answer.startswith(b"HTTP/1.1 200")
    assert len(answer) < 1024 * 1024
    assert not answer.endswith(b"0\r\n\r\n")
    assert counted(drill) == {f"blocked:answer: {coding} unpacks to more than 200 times its size"}


@pytest.mark.parametrize("coding", ["br", "zstd"])
async def test_a_small_bomb_is_no_less_of_one(drill: Border, coding: str) -> None:
    bomb = PACK[coding](bytes(64 * 1024 * 1024))
    drill.sandbox.answer = lambda request: reply(bomb, fields=f"{HTML}Content-Encoding: {coding}\r\n")
    answer = await told(drill, request())
    assert answer.startswith(b"HTTP/1.1 200")
    assert not answer.endswith(b"0\r\n\r\n")
    assert counted(drill) == {f"blocked:answer: {coding} unpacks to more than 200 times its size"}


async def test_a_bomb_that_is_read_whole_is_a_502(drill: Border) -> None:
    drill.sandbox.answer = lambda request: reply(
        gzip.compress(bytes(30 * 1024 * 1024)), fields=f"{JSON}Content-Encoding: gzip\r\n"
    )
    answer = await ask(drill, request())
    assert (answer.status, answer.reason) == (502, "answer: gzip unpacks to more than 200 times its size")
    assert "blocked:answer: gzip unpacks to more than 200 times its size" in counted(drill)


UNREAD = {
    "unknown coding": (f"{HTML}Content-Encoding: snappy\r\n", "unread:content coding is not known"),
    "a charset of two bytes": ("Content-Type: text/html; charset=utf-16le\r\n", "unread:charset utf-16le"),
}


@pytest.mark.parametrize("kind", UNREAD)
async def test_an_answer_that_cannot_be_read_goes_on_and_is_counted(drill: Border, kind: str) -> None:
    fields, count = UNREAD[kind]
    drill.sandbox.answer = lambda request: reply(b"<html>\xff\xfe", fields=fields)
    assert (await ask(drill, request())).body == b"<html>\xff\xfe"
    assert counted(drill) == {count}


@pytest.mark.parametrize("fields", [JSON, HTML])
async def test_invalid_utf_8_around_a_url_stays_as_it_is(drill: Border, fields: str) -> None:
    at = b"sandbox-raw.test:%d" % drill.stage.raw
    drill.sandbox.answer = lambda request: reply(b'"\xff\xfe http://' + at + b'/\xc3("', fields=fields)
    answer = await ask(drill, request())
    assert answer.body == b'"\xff\xfe http://www.cms.example/\xc3("'


def cut(*parts: bytes) -> Callable[[object], Reply]:
    async def answer() -> AsyncIterator[bytes]:
        for part in parts:
            yield part
            await asyncio.sleep(0.02)
        raise Hangup

    return lambda request: answer()


TRUNCATED = {
    "chunked": (reply(fields=HTML + CHUNKED, length=False), b"400\r\nabc"),
    "chunked, without its end": (reply(fields=HTML + CHUNKED, length=False), chunk(b"abc")),
    "with a length": (reply(fields=f"{HTML}Content-Length: 100\r\n", length=False), b"abc"),
    "read whole, chunked": (reply(fields=JSON + CHUNKED, length=False), chunk(b'{"a": ')),
    "read whole, with a length": (reply(fields=f"{JSON}Content-Length: 100\r\n", length=False), b'{"a": '),
    "in its head": (b"HTTP/1.1 200 OK\r\nContent-Type: te",),
    "before its head": (b"",),
}


@pytest.mark.parametrize("kind", TRUNCATED)
async def test_a_truncated_answer_is_never_a_whole_one(drill: Border, kind: str) -> None:
    drill.sandbox.answer = cut(*TRUNCATED[kind])
    answer = await told(drill, request())
    status = int(answer.split(b" ", 2)[1])
    if status == 200:
        assert not answer.endswith(b"0\r\n\r\n")
    else:
        assert status == 502


AMBIGUOUS = {
    "two lengths": f"{HTML}Content-Length: 3\r\nContent-Length: 4\r\n",
    "length and chunks": f"{HTML}Content-Length: 3\r\n{CHUNKED}",
    "a length that is none": f"{HTML}Content-Length: 3x\r\n",
    "a coding after chunked": f"{HTML}Transfer-Encoding: chunked, gzip\r\n",
    "a line break in a value": f"{HTML}X: a\rb\r\nContent-Length: 3\r\n",
    "a field without a name": f"{HTML}: a\r\nContent-Length: 3\r\n",
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
async def test_an_answer_that_can_be_read_in_two_ways_is_a_502(drill: Border, kind: str) -> None:
    drill.sandbox.answer = cut(reply(fields=AMBIGUOUS[kind], length=False), b"3\r\nabc\r\n0\r\n\r\n")
    answer = await told(drill, request())
    assert answer.startswith(b"HTTP/1.1 502")
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_field_of_64_kib_in_an_answer_passes(drill: Border) -> None:
    drill.sandbox.answer = lambda request: reply(b"ok", fields=f"X-Long: {'a' * 65536}\r\n")
    answer = await told(drill, request())
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"a" * 65536 in answer


# -- requests of clients


@dataclass(frozen=True, slots=True)
class Row:
    """A request that must not reach the sandbox. `count` is what the leak report says of it."""

    id: str
    data: bytes
    status: int
    count: str = ""


SECRET = b'{"auth": {"token": "prod-secret"}}'
LARGE = b'{"auth": {"token": "prod-secret"}, "x": "' + b"a" * 70_000 + b'"}'
TOO_LARGE = "blocked:a request body that has to be read whole is larger than 65536 bytes"
_NO_JSON = "blocked:body: body is not JSON in UTF-8"
_IN_PIECES = chunk(LARGE[:60_000]) + chunk(LARGE[60_000:]) + chunk(b"")
_DEEP = b'{"auth": ' + b"[" * 30_000 + b"]" * 30_000 + b"}"


def packed(coding: str, body: bytes) -> bytes:
    return request(f"{JSON}Content-Encoding: {coding}\r\n", body)


ROWS = [
    Row("unknown coding", packed("snappy", SECRET), 400, "blocked:body: content coding is not known"),
    Row("broken gzip", packed("gzip", SECRET), 400, "blocked:body: broken gzip"),
    Row("gzip cut short", packed("gzip", gzip.compress(SECRET)[:-9]), 400, "blocked:body: body is cut short"),
    Row(
        "bomb",
        packed("gzip", gzip.compress(SECRET + b" " * 3_000_000)),
        400,
        "blocked:body: gzip unpacks to more than 65536 bytes",
    ),
    Row("too large", request(JSON, LARGE), 413, TOO_LARGE),
    Row("too large, chunked", request(JSON, _IN_PIECES, framing=CHUNKED), 413, TOO_LARGE),
    Row("no JSON", request(JSON, SECRET[:-1]), 400, _NO_JSON),
    Row("JSON in UTF-16", request(JSON, SECRET.decode().encode("utf-16")), 400, _NO_JSON),
    Row("invalid UTF-8", request(JSON, SECRET.replace(b"token", b"tok\xff")), 400, _NO_JSON),
    Row(
        "JSON in another charset",
        request("Content-Type: application/json; charset=utf-7\r\n", SECRET),
        400,
        "blocked:body: body in a charset other than UTF-8",
    ),
    Row("JSON too deep", request(JSON, _DEEP), 400, _NO_JSON),
    Row("form with a NUL", request(FORM, b"password=prod-secret\0&a=b"), 400, "blocked:body: form with a NUL"),
    Row(
        "multipart without a boundary",
        request("Content-Type: multipart/form-data\r\n", b"--b\r\n\r\nprod-secret\r\n--b--"),
        400,
        "blocked:body: multipart form with no boundary",
    ),
    Row("two lengths", request("", b"abc", framing="Content-Length: 3\r\nContent-Length: 3\r\n"), 400),
    Row("length and chunks", request("", b"0\r\n\r\n", framing=f"Content-Length: 3\r\n{CHUNKED}"), 400),
    Row("a head of more than 64 KiB", request(f"X-Long: {'a' * 66_000}\r\n"), 431),
    Row("64 KiB of fields", request("".join(f"X-{n}: {'a' * 1000}\r\n" for n in range(66))), 431),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])
async def test_a_request_that_cannot_be_read_goes_nowhere(drill: Border, row: Row) -> None:
    answer = await ask(drill, row.data)
    assert answer.status == row.status
    assert drill.sandbox.requests == []
    assert bytes(drill.sandbox.wire) == b""
    assert counted(drill) == ({row.count} if row.count else counted(drill))


async def test_a_large_body_without_a_rule_streams(drill: Border) -> None:
    drill.sandbox.answer = lambda request: reply(b"ok")
    answer = await ask(drill, request("Content-Type: application/pdf\r\n", bytes(1_000_000)))
    assert (answer.status, len(drill.sandbox.requests[0].body)) == (200, 1_000_000)


@pytest.mark.parametrize("fields", [JSON, "Content-Type: application/pdf\r\n"], ids=["read whole", "streamed"])
@pytest.mark.parametrize("framing", [CHUNKED, "Content-Length: 1000\r\n"], ids=["chunked", "with a length"])
async def test_a_request_that_is_cut_short_is_never_a_whole_one(drill: Border, fields: str, framing: str) -> None:
    body = b'{"a": "' if framing != CHUNKED else chunk(b'{"a": "') + b"30\r\nx"
    async with asking.line(drill.stage.proxy) as line:
        await line.send(request(fields, body, framing=framing))
        await asyncio.sleep(0.1)
    await asyncio.sleep(0.1)
    assert drill.sandbox.requests == []
    if fields == JSON:
        assert bytes(drill.sandbox.wire) == b""


async def test_json_that_is_too_large_to_learn_from_still_arrives(drill: Border) -> None:
    body = b'{"access_token": "sandbox-large", "x": ["' + page(drill) + b'"]}'
    expected = body.replace(b"sandbox-raw.test:%d" % drill.stage.raw, WWW.encode())
    assert len(body) > 64 * 1024
    for framing in (f"Content-Length: {len(body)}\r\n", CHUNKED):
        sent = body if framing != CHUNKED else chunk(body[:100]) + chunk(body[100:]) + chunk(b"")
        drill.sandbox.answer = lambda request, sent=sent, framing=framing: (  # type: ignore[misc]
            reply(fields=JSON + framing, length=False) + sent
        )
        answer = await ask(drill, request())
        assert (answer.status, answer.body) == (200, expected)
        assert counted(drill) == {"unread:answer is too large to learn from"}
    drill.sandbox.clear()
    drill.sandbox.answer = lambda request: reply(b"{}")
    await ask(drill, request("Authorization: Bearer prod-secret\r\n"))
    assert "sandbox-large" not in drill.sandbox.requests[0].header("authorization")
