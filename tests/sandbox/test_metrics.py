from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from sandbox import metrics


async def figures(client: aiohttp.ClientSession, query: str = "") -> Any:
    async with client.get(f"/metrics/dashboard{query}") as answer:
        return (await answer.json())["figures"]


async def test_events_are_filed_by_environment_and_the_dashboard_shows_production(
    client: aiohttp.ClientSession,
) -> None:
    for event in ({"name": "visit"}, {"name": "visit", "value": 2.5}, {"name": "login", "env": "prod"}):
        async with client.post("/metrics/events", json=event) as answer:
            assert answer.status == 202
    assert await figures(client) == {"login": {"count": 1, "sum": 1.0}}
    assert await figures(client, "?env=sandbox") == {"visit": {"count": 2, "sum": 3.5}}


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
