from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from sandbox import metrics
from sandbox.agency import Agency, agency
from sandbox.side import Side


async def figures(client: aiohttp.ClientSession, query: str = "") -> Any:
    async with client.get(f"/metrics/dashboard{query}") as answer:
        return (await answer.json())["figures"]


async def file(url: str, event: dict[str, Any], headers: dict[str, str] | None = None) -> str:
    async with (
        aiohttp.ClientSession(url) as client,
        client.post("/metrics/events", json=event, headers=headers) as answer,
    ):
        assert answer.status == 202
        return str((await answer.json())["env"])


async def test_events_are_filed_by_environment_and_the_dashboard_shows_production() -> None:
    async with agency(Side.PROD) as prod:
        url = f"http://127.0.0.1:{prod.http_port}"
        for event in ({"name": "visit"}, {"name": "visit", "value": 2.5}, {"name": "login", "env": "sandbox"}):
            await file(url, event)
        async with aiohttp.ClientSession(url) as client:
            assert await figures(client) == {"visit": {"count": 2, "sum": 3.5}}
            assert await figures(client, "?env=sandbox") == {"login": {"count": 1, "sum": 1.0}}


async def test_a_sandbox_files_everything_under_sandbox(running: Agency, client: aiohttp.ClientSession) -> None:
    url = f"http://127.0.0.1:{running.http_port}"
    assert [await file(url, {"name": "visit", "env": env}) for env in ("prod", "sandbox")] == ["sandbox", "sandbox"]
    assert await figures(client) == {}


MARKS = {
    "not at all": ({}, "prod"),
    "by X-HMS-Env": ({"X-HMS-Env": "sandbox"}, "sandbox"),
    "by baggage": ({"baggage": "a=b, env=sandbox;p=1,drill=d-1"}, "sandbox"),
    "by other baggage": ({"baggage": "env=prod"}, "prod"),
}


@pytest.mark.parametrize(("headers", "env"), MARKS.values(), ids=MARKS)
async def test_production_files_what_is_marked_under_sandbox(headers: dict[str, str], env: str) -> None:
    async with agency(Side.PROD) as prod:
        url = f"http://127.0.0.1:{prod.http_port}"
        assert await file(url, {"name": "visit", "env": "prod"}, headers) == env


BAD = {
    "no name": {"value": 1},
    "name too long": {"name": "x" * 101},
    "value no number": {"name": "visit", "value": "1"},
    "value a truth": {"name": "visit", "value": True},
    "unknown environment": {"name": "visit", "env": "staging"},
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_event_is_refused_and_not_filed(client: aiohttp.ClientSession, case: str) -> None:
    async with client.post("/metrics/events", json=BAD[case]) as answer:
        assert answer.status == 400
    assert await figures(client, "?env=sandbox") == {}


async def test_too_many_names_are_refused(client: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "LIMIT", 1)
    async with client.post("/metrics/events", json={"name": "visit"}):
        pass
    async with client.post("/metrics/events", json={"name": "login"}) as answer:
        assert answer.status == 507
