"""The client against a real admin, and against things that are none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from switchboard.client import ApiClient
from switchboard.errors import BadInput, EsrError, Unavailable


@asynccontextmanager
async def answering(*answers: web.Response) -> AsyncIterator[str]:
    """A server that gives these answers in turn, whatever is asked."""
    left = list(answers)

    async def handle(_request: web.Request) -> web.Response:
        return left.pop(0)

    async with served(handle) as url:
        yield url


@asynccontextmanager
async def served(handle: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    """A server that hands every request to `handle`."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0])
    finally:
        await runner.cleanup()


async def test_nobody_at_the_url_is_unavailable_with_the_remedy() -> None:
    async with ApiClient("http://127.0.0.1:1") as api:
        with pytest.raises(Unavailable, match="hms-esr up") as caught:
            await api.state()
    assert (caught.value.code, caught.value.exit_code) == ("admin_unavailable", 5)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://", "127.0.0.1:8700", "ftp://127.0.0.1:1", "http://[::1", "http://x:port"]
)
def test_what_is_no_url_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput, match="--url"):
        ApiClient(url)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"status": 200, "text": "<html>"}, id="html"),
        pytest.param({"status": 200, "text": "[]"}, id="no-object"),
        pytest.param({"status": 404, "text": "nothing here"}, id="foreign-refusal"),
        pytest.param({"status": 302, "headers": {"Location": "/"}}, id="redirect"),
        pytest.param({"status": 500, "text": '{"error":1}'}, id="foreign-json"),
    ],
)
async def test_something_that_is_no_admin_is_told_so(answer: dict[str, Any]) -> None:
    async with answering(web.Response(**answer)) as url, ApiClient(url) as api:
        with pytest.raises(Unavailable, match="is not an admin of HMS-ESR"):
            await api.state()


@pytest.mark.parametrize(
    ("status", "exit_code"),
    [(400, 2), (401, 2), (403, 2), (404, 3), (409, 3), (413, 2), (421, 2), (429, 2), (500, 1), (501, 2), (503, 5)],
)
async def test_a_problem_becomes_the_error_with_its_exit_code(status: int, exit_code: int) -> None:
    problem = {"type": "about:blank", "title": "x", "status": status, "detail": "why", "code": "the_code"}
    async with answering(web.json_response(problem, status=status)) as url, ApiClient(url) as api:
        with pytest.raises(EsrError, match="why") as caught:
            await api.state()
    assert (caught.value.code, caught.value.exit_code) == ("the_code", exit_code)


async def test_lines_sent_again_after_a_failure_keep_their_key_and_others_get_a_new_one() -> None:
    keys: list[str] = []
    problem = {"type": "about:blank", "title": "x", "status": 503, "detail": "away", "code": "redis_unavailable"}

    async def handle(request: web.Request) -> web.Response:
        keys.append(request.headers["Idempotency-Key"])
        return web.json_response(problem, status=503) if len(keys) in (1, 2) else web.json_response({"counted": 1})

    async with served(handle) as url, ApiClient(url) as api:
        for lines in (b"a", b"b"):
            with pytest.raises(Unavailable):
                await api.post_outcomes(lines)
        for lines in (b"b", b"a", b"a"):
            await api.post_outcomes(lines)
        await api.post_outcomes(b"a", key="mine")
    assert keys[3] == keys[0]
    assert keys[2] == keys[1]
    assert (len(set(keys)), keys[-1]) == (4, "mine")


async def test_proxies_of_the_environment_are_not_asked(stage: Any, monkeypatch: Any) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with stage() as it:
        assert (await it.api.health())["status"] == "ok"


async def test_following_the_score_goes_on_after_the_connection_broke(stage: Any) -> None:
    async with stage() as it:
        cards = []
        async with asyncio.timeout(8):
            async for card in it.api.follow_score():
                cards.append(card)
                if len(cards) == 1:
                    await it.api.start_drill(cohort="rookies")
                if len(cards) == 3:
                    break
        assert cards[-1]["phase"] == "running"


async def test_following_gives_up_when_the_admin_stays_away() -> None:
    async with ApiClient("http://127.0.0.1:1") as api:
        with pytest.raises(Unavailable):
            async for _ in api.follow_score(patience_s=0.5):
                pass


async def test_following_resumes_at_the_event_it_saw_last() -> None:
    asked: list[str | None] = []

    async def stream(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Last-Event-ID"))
        number = len(asked)
        text = f': comment\r\nid: {number}\r\ndata: {{\r\ndata: "n": {number}}}\r\n\r\n'
        return web.Response(text=text, content_type="text/event-stream")

    app = web.Application()
    app.router.add_get("/api/esr/score", stream)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with ApiClient("http://{}:{}".format(*runner.addresses[0])) as api:
            found = []
            async for card in api.follow_score():
                found.append(card)
                if len(found) == 2:
                    break
    finally:
        await runner.cleanup()
    assert found == [{"n": 1}, {"n": 2}]
    assert asked == [None, "1"]


async def test_following_an_unknown_drill_ends_with_the_refusal(stage: Any) -> None:
    async with stage() as it:
        with pytest.raises(EsrError) as caught:
            async for _ in it.api.follow_score(drill="nobody"):
                pass
        assert caught.value.code == "unknown_drill"
