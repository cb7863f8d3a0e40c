"""The admin as a whole: its routes, headers, errors and life."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from switchboard.admin import admin, serve
from switchboard.admin_drills import DrillCalls
from switchboard.errors import Unavailable
from switchboard.estate import Estate, Listener
from switchboard.openapi import describe_api
from switchboard.store import Store

HEADERS = {"Authorization": "Bearer a-token-of-the-tests"}


def listening_at(estate: Estate, host: str, port: int) -> Estate:
    listeners = estate.listeners.model_copy(update={"admin": Listener(host=host, port=port)})
    return estate.model_copy(update={"listeners": listeners})


async def test_the_description_names_every_route_and_no_other(stage: Any) -> None:
    seen: set[tuple[str, str]] = set()

    async def look(request: web.Request) -> web.Response:
        for route in request.app.router.routes():
            if route.resource is not None and route.method != "HEAD":
                seen.add((route.method.lower(), route.resource.canonical))
        return web.Response()

    async with (
        stage(extra_routes=[web.get("/look", look)]) as it,
        it.http.get(it.url + "/look", headers=HEADERS) as answer,
    ):
        assert answer.status == 200
        described = {(method, path) for path, calls in (await it.api.openapi())["paths"].items() for method in calls}
    assert seen - {("get", "/look")} == described


async def test_answers_have_the_keys_that_the_description_gives_them(stage: Any) -> None:
    schemas = describe_api()["components"]["schemas"]
    async with stage() as it, it.node("p1"):
        drill = await it.api.start_drill(target="staging", cohort="rookies")
        assert set(drill) == set(schemas["Drill"]["properties"])
        assert set(await it.api.state()) == set(schemas["State"]["properties"])
        assert set(await it.api.leaks()) == set(schemas["Leaks"]["properties"])
        assert set(await it.api.readiness()) == set(schemas["Readiness"]["properties"])
        targets = await it.api.targets()
        assert set(targets["targets"][0]) == set(schemas["Target"]["properties"])
        assert set(targets["cohorts"][0]) == set(schemas["Cohort"]["properties"])
        async for card in it.api.follow_score():
            assert list(card) == list(schemas["Score"]["properties"])
            break


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/esr/state", "/api/esr/score", "/nowhere"])
async def test_every_answer_carries_the_security_headers(stage: Any, path: str) -> None:
    async with stage() as it, it.http.get(it.url + path, headers=HEADERS) as answer:
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("DELETE", "/api/esr/mode", 405, "method_not_allowed"),
        ("PUT", "/api/esr/mode", 400, "bad_input"),
        ("GET", "/api/esr/drills/x", 404, "unknown_drill"),
    ],
)
async def test_every_refusal_is_a_problem_document(stage: Any, method: str, path: str, status: int, code: str) -> None:
    async with stage() as it, it.http.request(method, it.url + path, headers=HEADERS) as answer:
        problem = await answer.json(content_type="application/problem+json")
        assert (answer.status, problem["status"], problem["code"]) == (status, status, code)
        assert set(problem) == {"type", "title", "status", "detail", "code"}
        assert problem["type"] == "about:blank"


async def test_a_large_body_is_refused(stage: Any) -> None:
    async with stage() as it:
        async with it.http.put(it.url + "/api/esr/mode", data=b" " * 70_000, headers=HEADERS) as answer:
            problem = await answer.json()
        assert (answer.status, problem["code"]) == (413, "too_large")


async def test_an_error_that_nobody_foresaw_says_nothing_of_itself(stage: Any, caplog: Any) -> None:
    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("the secret of the day")

    async with (
        stage(extra_routes=[web.get("/broken", broken)]) as it,
        it.http.get(it.url + "/broken", headers=HEADERS) as answer,
    ):
        assert (answer.status, (await answer.json())["code"]) == (500, "internal")
        assert "secret" not in await answer.text()
    assert "the secret of the day" in caplog.text


async def test_a_port_in_use_is_one_clear_error(stage: Any, estate: Estate, redis_url: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = listening_at(estate, "127.0.0.1", taken.getsockname()[1])
        with pytest.raises(Unavailable, match="cannot be listened on") as caught:
            async with stage(estate=place):
                pass
    assert caught.value.code == "port_in_use"


async def test_an_ipv6_listener_has_a_url_with_brackets(stage: Any, estate: Estate) -> None:
    async with stage(estate=listening_at(estate, "::1", 0)) as it:
        assert it.url.startswith("http://[::1]:")
        assert (await it.api.health())["status"] == "ok"


async def test_serving_tells_its_url_and_ends_when_told_to(estate: Estate, redis_url: str, tmp_path: Path) -> None:
    stop = asyncio.Event()
    urls: list[str] = []

    async def look_and_stop() -> None:
        async with ClientSession() as http, http.get(urls[0] + "/healthz") as answer:
            assert answer.status == 200
        stop.set()

    async with asyncio.timeout(5), Store.open(redis_url) as store, asyncio.TaskGroup() as tasks:

        def bound(url: str) -> None:
            urls.append(url)
            tasks.create_task(look_and_stop())

        await serve(
            estate,
            store=store,
            state=tmp_path / "state",
            scenarios=dict,
            token=None,
            stop=stop,
            on_bound=bound,
        )
    assert (tmp_path / "state" / "admin.token").is_file()


async def test_an_error_of_whoever_uses_the_admin_comes_out_as_it_was(
    estate: Estate, redis_url: str, tmp_path: Path
) -> None:
    async with Store.open(redis_url) as store:
        with pytest.raises(KeyError):
            async with admin(estate, store=store, state=tmp_path / "s", scenarios=dict, token=None):
                raise KeyError


async def test_the_admin_stops_at_once_with_a_start_that_still_waits(stage: Any, eventually: Any) -> None:
    async with asyncio.timeout(5):
        async with stage() as it, asyncio.TaskGroup() as tasks:
            await it.silent_node("p1")
            start = tasks.create_task(it.api.start_drill(cohort="rookies"))

            async def is_arming() -> bool:
                return [one["phase"] for one in (await it.api.state())["drills"]] == ["arming"]

            await eventually(is_arming)
            start.cancel()


def test_the_drill_calls_are_bound_to_the_routes_of_the_contract() -> None:
    assert {route.path for route in DrillCalls.routes(DrillCalls.__new__(DrillCalls))} >= {
        "/api/esr/state",
        "/api/esr/mode",
        "/api/esr/drills",
    }
