"""A member's ways to ask over one connection, and the two edges of a drill, for tests of what happens between."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sandbox.agency import Agency
from tests.e2e import asking
from tests.e2e.asking import Answer, head
from tests.e2e.stage import MEMBER, Stage

WWW = "www.cms.example"
DRAIN_S = 0.4

Ask = Callable[[str, str], Coroutine[Any, Any, Answer]]


@asynccontextmanager
async def plain(scene: Stage, *, client: str = MEMBER, login: str = "") -> AsyncIterator[Ask]:
    async with asking.line(scene.proxy, client=client) as line:

        async def ask(method: str, path: str) -> Answer:
            return await line.ask(f"{method} http://{WWW}{path} HTTP/1.1\r\nHost: {WWW}\r\n{login}\r\n".encode())

        yield ask


@asynccontextmanager
async def tunnelled(scene: Stage, *, client: str = MEMBER, login: str = "") -> AsyncIterator[Ask]:
    async with asking.tls(scene, client=client, login=login) as line:

        async def ask(method: str, path: str) -> Answer:
            return await line.ask(f"{method} {path} HTTP/1.1\r\nHost: {WWW}\r\n\r\n".encode())

        yield ask


@asynccontextmanager
async def http2(scene: Stage, *, client: str = MEMBER, login: str = "") -> AsyncIterator[Ask]:
    async with asking.two(scene, client=client, steered=True) as two:

        async def ask(method: str, path: str) -> Answer:
            return await two.ask(head(method, WWW, path), b"" if method == "POST" else None)

        yield ask


PROTOCOLS = {"HTTP/1": plain, "HTTP/1 in TLS": tunnelled, "HTTP/2": http2}
protocols = pytest.mark.parametrize("protocol", PROTOCOLS)
edges = pytest.mark.parametrize("edge", ["start", "end"])


async def before(scene: Stage, edge: str) -> tuple[Agency, Agency, Callable[[], Awaitable[None]]]:
    """Go to just before an edge; return the side that is left, the other one, and the edge itself."""
    if edge == "start":
        return scene.prod, scene.sandbox, scene.start
    await scene.start()
    return scene.sandbox, scene.prod, scene.end


def paths(agency: Agency) -> list[str]:
    return [entry.path for entry in agency.books.last]
