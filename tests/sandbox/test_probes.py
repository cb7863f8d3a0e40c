from __future__ import annotations

import asyncio
import hashlib

import aiohttp
import pytest
from yarl import URL

from sandbox.agency import Agency
from sandbox.probes import STREAM_LIMIT


async def test_echo_tells_what_arrived(client: aiohttp.ClientSession) -> None:
    async with client.request(
        "PATCH", URL("/echo?a=%2F", encoded=True), data=b"body", headers={"X-One": "1"}
    ) as answer:
        told = await answer.json()
    assert (told["method"], told["path"], told["side"]) == ("PATCH", "/echo?a=%2F", "sandbox")
    assert ["X-One", "1"] in told["headers"]
    assert told["body_sha256"] == hashlib.sha256(b"body").hexdigest()


async def test_an_upload_is_counted_as_it_was_sent(client: aiohttp.ClientSession) -> None:
    async def body() -> object:
        for _ in range(64):
            yield bytes(32_768)

    async with client.post("/upload", data=body(), headers={"Content-Encoding": "gzip"}) as answer:
        assert answer.status == 201
        assert (await answer.json())["body_bytes"] == 64 * 32_768


async def test_a_stream_has_exactly_the_bytes_asked_for(client: aiohttp.ClientSession) -> None:
    async with client.get("/stream?bytes=1000001") as answer:
        assert answer.content_length == 1_000_001
        assert len(await answer.read()) == 1_000_001


async def test_a_stream_survives_a_reader_that_goes_away(client: aiohttp.ClientSession, running: Agency) -> None:
    answer = await client.get(f"/stream?bytes={STREAM_LIMIT}")
    await answer.content.readany()
    answer.close()
    async with client.get("/status") as again:
        assert again.status == 200


@pytest.mark.parametrize("query", ["bytes=-1", "bytes=nan", "bytes=x", f"bytes={STREAM_LIMIT + 1}"])
async def test_a_stream_out_of_bounds_is_refused(client: aiohttp.ClientSession, query: str) -> None:
    async with client.get(f"/stream?{query}") as answer:
        assert answer.status == 400
        assert "is not a number from 0 to" in (await answer.json())["error"]


async def test_a_slow_answer_waits(client: aiohttp.ClientSession) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    async with client.get("/slow?s=0.05") as answer:
        assert (await answer.json())["waited_s"] == 0.05
    assert loop.time() - start >= 0.05


@pytest.mark.parametrize("status", [200, 204, 304, 404, 503])
async def test_any_final_status_can_be_asked_for(client: aiohttp.ClientSession, status: int) -> None:
    async with client.post(f"/answer?status={status}") as answer:
        assert answer.status == status
        assert answer.headers["X-Agency-Side"] == "sandbox"


async def test_a_redirect_goes_where_it_was_told(client: aiohttp.ClientSession) -> None:
    place = "https://www.cms.example/profile"
    async with client.get("/redirect", params={"to": place}, allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"] == place


async def test_a_redirect_takes_no_line_break(client: aiohttp.ClientSession) -> None:
    async with client.get("/redirect", params={"to": "/\r\nX-Bad: 1"}, allow_redirects=False) as answer:
        assert answer.status == 400


async def test_events_come_one_after_another(client: aiohttp.ClientSession) -> None:
    async with client.get("/events?every=0.01") as answer:
        assert answer.content_type == "text/event-stream"
        lines = [(await answer.content.readline()).decode().strip() for _ in range(6)]
    assert lines == [
        "id: 1",
        'data: {"side":"sandbox","n":1}',
        "",
        "id: 2",
        'data: {"side":"sandbox","n":2}',
        "",
    ]


async def test_a_websocket_echoes_with_its_side(client: aiohttp.ClientSession) -> None:
    async with client.ws_connect("/ws") as socket:
        await socket.send_str("hello")
        assert await socket.receive_json() == {"side": "sandbox", "echo": "hello"}
        await socket.send_bytes(b"\0\1")
        assert await socket.receive_bytes() == b"\0\1"


async def test_the_websocket_path_asks_for_an_upgrade(client: aiohttp.ClientSession) -> None:
    async with client.get("/ws") as answer:
        assert answer.status == 426
