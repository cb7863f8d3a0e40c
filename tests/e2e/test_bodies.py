"""Bodies of any size through a worker in a process of its own: they come as they should, and its memory stays flat."""

from __future__ import annotations

import asyncio
import hashlib
import random
import tempfile
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e import asking
from tests.e2e.origin import Received, Reply, chunk, reply
from tests.e2e.real import WWW, Real, forget_peak, now_held, peak, real

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024
JSON, BINARY = "Content-Type: application/json\r\n", "Content-Type: application/octet-stream\r\n"
# With a rule that learns from JSON, every answer in JSON would have to be read whole.
TARGET = """
    credentials:
      - {in: header, name: Authorization, scheme: Bearer, twin: learned, learn: {pointer: /access_token}}
      - {in: json, pointer: /token, twin: {value: twin}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drill() -> AsyncIterator[Real]:
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        async with real(Path(folder), target=TARGET) as running:
            yield running


# -- what is sent


ROUNDS = 450  # of half a MiB each


def _rows(at: str, draw: random.Random) -> Iterator[str]:
    escaped, quoted = at.replace("/", "\\/"), at.replace(":", "%3A").replace("/", "%2F")
    words = ["plain", "caf\\u00e9", "naïve", "\\n\\t", "http://elsewhere.example/x", "127.0.2.1", "//cdn.example/y"]
    for _ in range(1500):
        number = draw.randrange(10**9)
        yield f',{{"id": {number}, "self": "{at}/items/{number}?page={number % 7}", "n": {draw.random()},'
        yield f' "next": "{escaped}/items/{number + 1}", "via": "/go?to={quoted}%2Fitems", "x": "{draw.choice(words)}",'
        yield f' "text": "{"".join(draw.choices("abcdefghijklmnop /:.", k=80))}"}}\n'


@cache
def blocks(at: str) -> list[bytes]:
    """Return records in JSON that name a place in all its spellings; the same ones for every place."""
    draw = random.Random(7)
    return ["".join(_rows(at, draw)).encode() for _ in range(24)]


def records(at: str) -> Iterator[bytes]:
    """Yield a body of records, more than 200 MiB."""
    draw, made = random.Random(11), blocks(at)
    yield b'{"items": [0'
    for _ in range(ROUNDS):
        yield draw.choice(made)
    yield b"]}"


@dataclass(slots=True)
class Sent:
    """A body that an origin makes while it is sent, and what of it a client should get."""

    size: int = 0
    expected: hashlib._Hash = field(default_factory=hashlib.sha256)


def served(
    sent: Sent, make: Callable[[], Iterator[bytes]], *, framing: str, coding: str = ""
) -> Callable[[Received], Reply]:
    def answer(request: Received) -> Reply:
        return _stream(sent, make, framing=framing, coding=coding)

    return answer


async def _stream(
    sent: Sent, make: Callable[[], Iterator[bytes]], *, framing: str, coding: str
) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31) if coding else None
    head = JSON + (f"Content-Encoding: {coding}\r\n" if coding else "")
    head += f"Content-Length: {sum(map(len, make()))}\r\n" if framing == "length" else "Transfer-Encoding: chunked\r\n"
    yield reply(fields=head, length=False)
    for block in make():
        packed = packer.compress(block) if packer else block
        sent.size += len(block)
        if packed:
            yield packed if framing == "length" else chunk(packed)
        await asyncio.sleep(0)
    if packer:
        yield chunk(packer.flush())
    if framing == "chunked":
        yield chunk(b"")


async def downloaded(drill: Real, *options: str) -> str:
    """Get a page with curl and return the hash of its body."""
    command = f"curl -sS --fail --max-time 59 --proxy {drill.proxy} {' '.join(options)} http://{WWW}/x | sha256sum"
    process = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().split()[0]


class Meter:
    """What a worker's memory and time a piece of work costs, from the making of this on."""

    def __init__(self, drill: Real) -> None:
        (self._pid,) = drill.workers()
        self._before = now_held(self._pid)
        forget_peak(self._pid)
        self._start = time.monotonic()

    def read(self, what: str, size: int) -> tuple[int, float]:
        """Say what it was; return how many bytes of memory were taken besides those before, and the seconds."""
        seconds, most = time.monotonic() - self._start, peak(self._pid)
        growth = most - self._before
        print(f"\n{what}: {size / MIB:.0f} MiB in {seconds:.1f} s, {size / seconds / 1e6:.0f} MB/s, memory", end=" ")
        print(f"{growth / MIB:+.1f} MiB, at most {most / MIB:.0f} MiB")
        return growth, seconds


# -- the tests


async def test_a_download_of_a_gibibyte_is_never_held(drill: Real) -> None:
    block = random.Random(3).randbytes(MIB)
    expected = hashlib.sha256()
    for _ in range(1024):
        expected.update(block)

    async def body() -> AsyncIterator[bytes]:
        yield reply(fields=f"{BINARY}Content-Length: {1024 * MIB}\r\n", length=False)
        for _ in range(1024):
            yield block

    drill.sandbox.answer = lambda request: body()
    meter = Meter(drill)
    assert await downloaded(drill) == expected.hexdigest()
    growth, seconds = meter.read("download", 1024 * MIB)
    assert growth < 64 * MIB
    assert seconds < 60


@pytest.mark.parametrize(
    ("framing", "coding", "options"),
    [("chunked", "", ()), ("length", "", ()), ("chunked", "gzip", ("--compressed",))],
    ids=["chunked", "with a length", "gzip"],
)
async def test_a_body_of_200_mib_is_rewritten_as_it_streams(
    drill: Real, framing: str, coding: str, options: tuple[str, ...]
) -> None:
    expected = hashlib.sha256()
    for block in records(f"http://{WWW}"):
        expected.update(block)
    sent = Sent()
    at = f"http://127.0.2.1:{drill.sandbox.port}"
    drill.sandbox.answer = served(sent, lambda: records(at), framing=framing, coding=coding)
    meter = Meter(drill)
    assert await downloaded(drill, *options) == expected.hexdigest()
    growth, seconds = meter.read(f"rewritten, {framing} {coding}", sent.size)
    assert sent.size > 200 * MIB
    assert growth < 64 * MIB
    assert seconds < 60


async def test_an_upload_of_128_mib_is_never_held(drill: Real) -> None:
    block = random.Random(5).randbytes(MIB)
    drill.sandbox.answer = lambda request: reply(hashlib.sha256(request.body).hexdigest().encode())
    meter = Meter(drill)
    async with asking.line(drill.port) as line:
        await line.send(
            f"POST http://{WWW}/x HTTP/1.1\r\nHost: {WWW}\r\n{BINARY}Content-Length: {128 * MIB}\r\n\r\n".encode()
        )
        for _ in range(128):
            await line.send(block)
        answer = await line.answer()
    growth, _ = meter.read("upload", 128 * MIB)
    assert answer.body == hashlib.sha256(block * 128).hexdigest().encode()
    assert growth < 64 * MIB


@pytest.mark.parametrize("coding", ["", "gzip"], ids=["as it is", "gzip"])
async def test_a_client_that_does_not_read_makes_nobody_hold_its_answer(drill: Real, coding: str) -> None:
    sent = Sent()
    at = f"http://127.0.2.1:{drill.sandbox.port}"
    drill.sandbox.answer = served(sent, lambda: records(at), framing="chunked", coding=coding)
    meter = Meter(drill)
    async with asking.line(drill.port) as line:
        await line.send(f"GET http://{WWW}/x HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())
        assert (await line.head()).status == 200
        before = -1
        while before != sent.size:  # until the sandbox cannot send any more either
            before = sent.size
            await asyncio.sleep(0.5)
        growth, _ = meter.read(f"not read {coding}", sent.size)
    assert sent.size < 200 * MIB
    assert growth < 64 * MIB
