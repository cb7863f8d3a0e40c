"""The origin behind every side: the cheapest HTTP/1.1 server that still notices a request not as it must be.

It answers `clean`, `twinned` to one that carries twins, `dirty` to one that still carries a credential of production,
or `astray` to one whose path was not moved under the sandbox's prefix. Requests have no body.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

import uvloop

from bench import child
from bench.estates import BEARER, KEY, SESSION, TWIN_BEARER, TWIN_KEY

PREFIX = b"/sandbox/profile/"
_SECRETS = (BEARER.encode(), SESSION.encode(), KEY.encode())
_TWINS = (TWIN_BEARER.encode(), TWIN_KEY.encode())
_HEAD_END = b"\r\n\r\n"


def marker(word: str) -> bytes:
    """Return how the body of an answer begins."""
    return b'{"side":"sandbox","request":"%s"' % word.encode()


def _answer(word: str) -> bytes:
    body = marker(word) + b',"profile":"' + b"x" * 480 + b'"}'
    fields = (
        b"Content-Type: application/json",
        b"Content-Length: %d" % len(body),
        b'ETag: "8f14e45f"',
        b"Set-Cookie: session=sandbox; Path=/; HttpOnly",
        b"Vary: Accept-Encoding",
        b"X-Content-Type-Options: nosniff",
    )
    return b"HTTP/1.1 200 OK\r\n" + b"\r\n".join(fields) + _HEAD_END + body


_CLEAN, _TWINNED, _DIRTY, _ASTRAY = map(_answer, ("clean", "twinned", "dirty", "astray"))


def answer_to(head: bytes) -> bytes:
    """Return the whole answer to one request head."""
    if not head[:64].lower().startswith(b"get " + PREFIX):
        return _ASTRAY
    if any(secret in head for secret in _SECRETS):
        return _DIRTY
    return _TWINNED if all(twin in head for twin in _TWINS) else _CLEAN


class Origin(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(_HEAD_END)) >= 0:
            self._transport.write(answer_to(self._received[:end]))
            self._received = self._received[end + len(_HEAD_END) :]


async def _serve(host: str, chain: str, key: str) -> None:
    loop = asyncio.get_running_loop()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)
    plain = await loop.create_server(Origin, host, 0, backlog=1024)
    secure = await loop.create_server(Origin, host, 0, backlog=1024, ssl=tls)
    async with plain, secure:
        child.say(http=plain.sockets[0].getsockname()[1], tls=secure.sockets[0].getsockname()[1])
        await child.parent_gone()


if __name__ == "__main__":
    given = child.first_line()
    uvloop.run(_serve(given["host"], given["chain"], given["key"]))
