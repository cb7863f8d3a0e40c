"""A real browser works at its desk: in production, through a whole drill, and in production again."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from sandbox.books import Books
from tests.e2e.browser import API, WWW, Trainee, town_with_a_desk, trainee
from tests.e2e.town import Town

pytestmark = pytest.mark.browser

SIZE = 300_000


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        async with town_with_a_desk(Path(folder)) as running:
            yield running


@pytest.fixture
async def ada(town: Town, chromium: str) -> AsyncIterator[Trainee]:
    async with asyncio.timeout(55), trainee(chromium, town) as person:
        yield person


async def works_at_the_desk(ada: Trainee, side: str, document: Path) -> None:
    """Use everything that the page has, and see that one side answered all of it."""
    await ada.open_desk()
    assert await ada.side() == side
    await expect(ada.output("services")).to_have_text(f"Ada by {side}")
    await expect(ada.output("socket")).to_have_text(f"hello with a token of {side} by {side}")
    await expect(ada.output("events")).to_have_text(f"from {side}")
    await ada.upload(document)
    await expect(ada.output("upload")).to_have_text(re.compile(rf"^{SIZE // 1000}\d{{3}} bytes by {side}$"))


def heard(books: Books) -> tuple[int, int, int]:
    return books.connections, books.bytes, books.requests


def paths(books: Books) -> set[tuple[str, str]]:
    return {(entry.method, entry.path.removeprefix("/svc")) for entry in books.last}


async def settled(books: Books) -> tuple[int, int, int]:
    """Return what was heard once nothing more is on its way: closing a TLS connection takes bytes too."""
    before, now = None, heard(books)
    while before != now:
        await asyncio.sleep(0.2)
        before, now = now, heard(books)
    return now


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "document.pdf"
    path.write_bytes(b"%PDF" + b"x" * (SIZE - 4))
    return path


USED = {("GET", "/profile"), ("OPTIONS", "/profile"), ("GET", "/ws"), ("GET", "/events"), ("POST", "/upload")}


async def test_the_desk_works_in_production(town: Town, ada: Trainee, document: Path) -> None:
    await ada.log_in("Ada")
    await works_at_the_desk(ada, "prod", document)
    await ada.log_out()
    assert ada.said == []
    assert paths(town.scene.production.books) >= USED
    assert town.scene.sandbox.books.silent


async def test_a_page_left_open_brings_nothing_of_production_into_a_drill(
    town: Town, ada: Trainee, document: Path
) -> None:
    production, sandbox = town.scene.production.books, town.scene.sandbox.books
    await ada.log_in("Ada")
    await works_at_the_desk(ada, "prod", document)
    session = (await ada.cookies())["session"]
    await town.api.set_mode("sandbox", target="staging", cohort="rookies")
    await expect(ada.output("socket")).to_have_text("closed")
    silence = await settled(production)
    await ada.page.click("#again")  # with the token of production that its script still holds
    await expect(ada.output("services")).not_to_have_text("")
    await ada.page.goto(f"{WWW}/")
    assert await ada.side() == "sandbox"
    await expect(ada.page.locator("main")).to_contain_text("Find health coverage")
    assert await settled(production) == silence
    assert not sandbox.saw(session)
    assert sandbox.found[b"prod-"] == 0
    assert ("GET", "/") in paths(sandbox)


async def test_a_whole_drill_leaves_the_session_of_production_as_it_was(
    town: Town, ada: Trainee, document: Path
) -> None:
    production, sandbox = town.scene.production.books, town.scene.sandbox.books
    await ada.log_in("Ada")
    await works_at_the_desk(ada, "prod", document)
    before = await ada.cookies()
    assert before["session"].startswith("prod-")

    await town.api.set_mode("sandbox", target="staging", cohort="rookies")
    silence = await settled(production)
    await ada.page.goto(f"{WWW}/profile")
    await expect(ada.page.locator("main")).to_contain_text("You are signed out")
    await ada.log_in("Ada")
    ada.said.clear()  # what the page of production said when it was cut off
    await works_at_the_desk(ada, "sandbox", document)
    assert await ada.output("profile").get_attribute("href") == f"{WWW}/profile"
    assert await ada.page.locator("#desk").get_attribute("data-services") == API
    assert "127.0.2.1" not in await ada.page.content()
    assert (await ada.cookies())["session"] == before["session"]
    assert not [value for value in (await ada.cookies()).values() if value.startswith("sandbox-")]
    await ada.log_out()
    await ada.page.goto(f"{WWW}/desk")
    await expect(ada.page.locator("main")).to_contain_text("You are signed out")
    assert ada.said == []
    assert await settled(production) == silence
    # A browser remembers a preflight for five seconds, also over the edge (Fetch, CORS-preflight cache).
    assert paths(sandbox) >= USED - {("OPTIONS", "/profile")} | {("POST", "/login"), ("GET", "/logout")}

    await town.api.set_mode("live")
    await ada.page.goto(f"{WWW}/profile")
    await expect(ada.page.locator("main")).to_contain_text("Signed in as Ada")
    assert await ada.side() == "prod"
    await works_at_the_desk(ada, "prod", document)
    assert await ada.cookies() == before
    assert not sandbox.saw(before["session"])
    assert (sandbox.found[b"prod-"], production.found[b"sandbox-"]) == (0, 0)
