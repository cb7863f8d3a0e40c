from __future__ import annotations

import asyncio
import contextlib
import ssl

import aiohttp
import pytest

from sandbox.agency import Agency, agency
from sandbox.books import Books
from sandbox.certificates import ServerFiles
from sandbox.side import Side
from switchboard.errors import Unavailable

PATIENCE_S = 20.0


async def raw(port: int, data: bytes) -> bytes:
    """Send bytes on a new connection, close the sending side, return all that came back."""
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(data)
                await writer.drain()
                writer.write_eof()
                return await reader.read()
            return b""
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_a_foreign_path_is_answered_with_200(client: aiohttp.ClientSession, method: str) -> None:
    async with client.request(method, "/image/60844/productModel/200x200?x=<b>") as answer:
        assert answer.status == 200
        assert answer.headers["X-Agency-Side"] == "sandbox"
        assert answer.headers["X-Agency-Service"] == "portal"


async def test_a_connection_is_kept_and_big_headers_pass(client: aiohttp.ClientSession, running: Agency) -> None:
    for _ in range(3):
        async with client.get("/echo?" + "q" * 60_000, headers={"X-Big": "x" * 60_000}) as answer:
            assert answer.status == 200
            await answer.read()
    assert running.books.connections == 1
    assert running.books.requests == 3
    assert running.books.bytes > 3 * 120_000


async def test_tls_is_accepted_under_strict_rules(running: Agency, trust: ssl.SSLContext) -> None:
    url = f"https://127.0.0.1:{running.tls_port}/echo"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=trust) as answer:
        assert (await answer.json())["secure"]
    assert running.books.requests == 1


async def test_half_a_request_is_in_the_books_although_no_handler_saw_it(running: Agency) -> None:
    await raw(running.http_port, b"GET / HT")
    assert (running.books.connections, running.books.bytes, running.books.requests) == (1, 8, 0)


async def test_a_failed_handshake_is_in_the_books(running: Agency) -> None:
    assert running.tls_port
    await raw(running.tls_port, b"GET / HTTP/1.1\r\n\r\n")
    assert (running.books.connections, running.books.bytes, running.books.requests) == (1, 18, 0)


def test_the_books_are_as_exact_under_uvloop(server_files: ServerFiles, trust: ssl.SSLContext) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def visit() -> Books:
        async with agency(tls=server_files) as running, aiohttp.ClientSession() as session:
            assert running.tls_port
            await raw(running.tls_port, b"GET / HTTP/1.1\r\n\r\n")
            assert (running.books.connections, running.books.bytes) == (1, 18)
            async with session.get(f"https://127.0.0.1:{running.tls_port}/stream?bytes=9000000", ssl=trust) as answer:
                assert len(await answer.read()) == 9_000_000
            return running.books

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        books = runner.run(asyncio.wait_for(visit(), PATIENCE_S))
    assert (books.connections, books.requests) == (2, 1)


async def test_a_bare_connection_breaks_the_silence(running: Agency) -> None:
    assert running.books.silent
    await raw(running.http_port, b"")
    assert not running.books.silent


async def test_a_needle_is_found_in_a_body_under_tls(running: Agency, trust: ssl.SSLContext) -> None:
    running.books.watch(b"s3cret", b"absent")
    async with aiohttp.ClientSession() as session:
        url = f"https://127.0.0.1:{running.tls_port}/upload"
        async with session.post(url, data=b"x" * 50_000 + b"s3cret" + b"y" * 50_000, ssl=trust):
            pass
    assert running.books.found == {b"s3cret": 1, b"absent": 0}


async def test_the_books_are_read_on_their_own_port_only(client: aiohttp.ClientSession, running: Agency) -> None:
    async with client.get("/plans", headers={"Authorization": "Bearer s3cret", "Host": "api.cms.example"}):
        pass
    url = f"http://127.0.0.1:{running.books_port}/books"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        shown = await answer.json()
    assert (shown["requests"], shown["hosts"]) == (1, {"api.cms.example": 1})
    assert shown["last"][0]["path"] == "/plans"
    assert running.books.saw("s3cret")
    async with client.get("/books") as answer:
        assert answer.content_type == "text/html"


async def test_callers_can_bring_their_own_books() -> None:
    books = Books(Side.PROD, keep_headers=True)
    async with (
        agency(Side.PROD, books=books) as running,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{running.http_port}/", headers={"X-Token": "1"}),
    ):
        pass
    assert ("X-Token", "1") in books.last[0].headers


async def test_a_port_in_use_is_one_clear_error(running: Agency) -> None:
    with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{running.http_port}"):
        async with agency(http_port=running.http_port):
            pass


async def test_the_end_waits_for_nobody_and_leaves_nothing_open(server_files: ServerFiles) -> None:
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        async with agency(tls=server_files) as running:
            assert running.tls_port
            session = await stack.enter_async_context(aiohttp.ClientSession())
            base = f"http://127.0.0.1:{running.http_port}"
            await stack.enter_async_context(session.get(f"{base}/events"))
            await stack.enter_async_context(session.ws_connect(f"{base}/ws"))
            _, unfinished = await asyncio.open_connection("127.0.0.1", running.tls_port)
            stack.callback(unfinished.close)
            start = loop.time()
        assert loop.time() - start < 5
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", running.http_port)
