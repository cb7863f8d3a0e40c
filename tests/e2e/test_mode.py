"""`PUT /api/esr/mode` with real processes and real curl: production before, sandbox during, production after."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.stage import curl
from tests.e2e.town import Town, town


@pytest.fixture
async def place() -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        async with town(Path(folder)) as running:
            yield running


async def side(place: Town, url: str) -> str:
    code, output = await curl("-x", place.proxy, "--cacert", str(place.ca), "-D", "-", "-o", "/dev/null", url)
    assert code == 0, output
    return next(
        line.partition(": ")[2].strip() for line in output.splitlines() if line.lower().startswith("x-agency-side")
    )


async def test_curl_sees_production_then_sandbox_then_production(place: Town) -> None:
    pages = ("http://www.cms.example/", "https://www.cms.example/")
    assert [await side(place, page) for page in pages] == ["prod", "prod"]
    state = await place.api.set_mode("sandbox", target="staging", cohort="rookies")
    assert state["mode"] == "sandbox"
    before = place.scene.production.books.requests
    assert [await side(place, page) for page in pages] == ["sandbox", "sandbox"]
    assert place.scene.production.books.requests == before
    state = await place.api.set_mode("live")
    assert state["mode"] == "live"
    assert [await side(place, page) for page in pages] == ["prod", "prod"]


async def test_a_kept_connection_never_gets_an_answer_of_the_wrong_side(place: Town) -> None:
    """Requests run all the while; each knows what was acknowledged before it began and when it ended."""
    wrong: list[str] = []
    settled = "prod"
    counted = 0

    async def ask(session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        nonlocal counted
        while not stop.is_set():
            known = settled
            try:
                async with session.get("http://www.cms.example/", proxy=place.proxy) as answer:
                    got = answer.headers.get("X-Agency-Side", str(answer.status))
            except aiohttp.ClientConnectionError:
                continue  # RFC 9112 9.3.1: a kept connection may be closed while a request is on its way
            counted += 1
            if known == settled and known != "moving" and got != known:
                wrong.append(f"{got} instead of {known}")

    async with aiohttp.ClientSession() as session:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(ask(session, stop))
            for mode, world in (("sandbox", "sandbox"), ("live", "prod")) * 5:
                await asyncio.sleep(0.1)
                settled = "moving"
                await place.api.set_mode(mode)
                settled = world
            await asyncio.sleep(0.1)
            stop.set()
    assert counted > 50
    assert wrong == []
