"""Redis dies in a running drill: trainees stay in the sandbox, and afterwards nothing is counted twice."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.town import Town, town

SCENARIO = """
id: steady
source: synthetic
users: 20
speed: 1x
profile:
  pages: [{path: /, weight: 2}, {path: /see-plans}]
  think: 500ms
"""


@pytest.fixture
async def place() -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        scenarios = Path(folder) / "scenarios"
        scenarios.mkdir()
        (scenarios / "steady.yml").write_text(SCENARIO)
        async with town(Path(folder), scenarios=scenarios) as running:
            yield running


async def look(session: aiohttp.ClientSession, place: Town) -> str:
    async with session.get("http://www.cms.example/", proxy=place.proxy) as answer:
        return answer.headers.get("X-Agency-Side", str(answer.status))


async def requests_so_far(place: Town, drill: str) -> int:
    async for card in place.api.follow_score(drill=drill):
        return int(card["requests"])
    raise AssertionError("no scorecard")


async def settled(place: Town, drill: str) -> int:
    """Return the scorecard's requests once they no longer move."""
    last = -1
    for _ in range(20):
        now = await requests_so_far(place, drill)
        if now == last:
            return now
        last = now
        await asyncio.sleep(1.1)
    return last


async def test_trainees_stay_in_the_sandbox_and_nothing_counts_twice(place: Town) -> None:
    drill = (await place.api.start_drill(scenario="steady"))["id"]
    production, sandbox = place.scene.production.books, place.scene.sandbox.books
    silent = production.requests, production.bytes
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            assert await look(session, place) == "sandbox"
        await asyncio.sleep(2)
        place.kill("redis-server")
        for _ in range(20):  # all the while that it is away and comes back
            assert await look(session, place) == "sandbox"
            await asyncio.sleep(0.1)
        for _ in range(100):
            if place.pids("redis-server"):
                break
            await asyncio.sleep(0.1)
        before = await settled_once(place, drill)
        await asyncio.sleep(2)
        assert await requests_so_far(place, drill) > before, "the scorecard goes on after the outage"
        assert (production.requests, production.bytes) == silent
    await place.api.stop_drill(drill)
    counted = await settled(place, drill)
    assert counted == sandbox.requests, "each request counts once: the scorecard agrees with the sandbox's books"


async def settled_once(place: Town, drill: str) -> int:
    """Return the scorecard's requests as soon as admin can be asked again."""
    for _ in range(50):
        try:
            return await requests_so_far(place, drill)
        except Exception as error:
            last = error
            await asyncio.sleep(0.2)
    raise AssertionError(f"admin does not answer: {last}")
