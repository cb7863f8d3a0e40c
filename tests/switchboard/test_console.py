"""The console in a real browser: the strict policy, moving figures, the switch, the leak light."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import ConsoleMessage, Page, async_playwright, expect

from switchboard.admin_auth import login_url
from switchboard.admin_pages import proxy_pac
from switchboard.estate import Estate
from switchboard.scorecard import Recorder

pytestmark = pytest.mark.browser

ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "a-token-of-the-tests"

# Nothing but the contract: a page of somebody who read how the scorecard is followed.
SMALL_PAGE = """<!doctype html><meta charset="utf-8"><title>score</title>
<p id="users"></p><p id="avg_wait"></p><p id="error_pct"></p>
<script>
const source = new EventSource('/api/esr/score');
source.onmessage = (event) => {
  const score = JSON.parse(event.data);
  for (const key of ['users', 'avg_wait', 'error_pct']) document.getElementById(key).textContent = score[key];
};
</script>"""


async def small_page(_request: web.Request) -> web.Response:
    policy = {"Content-Security-Policy": "default-src 'self'; script-src 'unsafe-inline'"}
    return web.Response(text=SMALL_PAGE, content_type="text/html", headers=policy)


@asynccontextmanager
async def browser_page(chromium: str) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page, and everything that went wrong in it."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGS)
        try:
            page = await browser.new_page(viewport={"width": 1280, "height": 860})
            wrong: list[str] = []
            page.on("console", lambda message: wrong.extend(_complaints(message)))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            yield page, wrong
        finally:
            await browser.close()


def _complaints(message: ConsoleMessage) -> list[str]:
    # Browsers ask every origin for an icon on their own.
    asked_for_icon = message.location["url"].endswith("/favicon.ico")
    return [message.text] if message.type == "error" and not asked_for_icon else []


@asynccontextmanager
async def traffic(it: Any, *, leak: bool = False) -> AsyncIterator[None]:
    """Outcomes of a growing crowd for whichever drill is on."""

    async def counting() -> None:
        recorder = Recorder("g1")
        drill = ""
        for number in range(10_000):
            await asyncio.sleep(0.02)
            on = [one for one in (await it.api.drills()) if one["phase"] == "running"]
            if not on:
                continue
            if on[0]["id"] != drill:
                recorder, drill = Recorder(f"g-{on[0]['id']}"), on[0]["id"]
            for user in range(3):
                recorder.outcome(f"u{number}-{user}", wait_s=0.05 + number / 1000, error=number % 20 == 0)
            if leak:
                recorder.count("production_dials")
            delta = recorder.take()
            assert delta is not None
            await it.store.add_score(drill, delta)
            recorder.confirm(delta.sequence)

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(counting())
        try:
            yield
        finally:
            task.cancel()


async def figures(page: Page) -> list[float]:
    texts = [await page.inner_text(f"#{key}") for key in ("users", "avg_wait", "error_pct")]
    return [float(text) if text else -1.0 for text in texts]


async def test_a_page_of_a_few_lines_shows_moving_figures(stage: Any, chromium: str, eventually: Any) -> None:
    async with (
        stage(extra_routes=[web.get("/small", small_page)]) as it,
        it.node("p1"),
        traffic(it),
        browser_page(chromium) as (page, wrong),
    ):
        await it.api.start_drill(cohort="rookies")
        await page.goto(login_url(it.url, TOKEN))
        await page.goto(it.url + "/small")

        async def is_filled() -> bool:
            return (await figures(page))[0] > 0

        await eventually(is_filled)
        before = await figures(page)

        async def has_moved() -> bool:
            after = await figures(page)
            return after[0] > before[0] and after[1] > before[1]

        await eventually(has_moved)
        assert (await figures(page))[2] == pytest.approx(5, abs=4)
        assert wrong == []


async def test_the_console_starts_shows_and_ends_a_drill(stage: Any, chromium: str) -> None:
    async with (
        stage() as it,
        it.node("proxy-1"),
        it.node("generator-1"),
        traffic(it),
        browser_page(chromium) as (page, wrong),
    ):
        await page.goto(login_url(it.url, TOKEN))
        assert page.url == it.url + "/"
        await expect(page.locator("#mode")).to_have_text("live")
        await expect(page.locator("body")).to_have_attribute("data-leak", "none")
        await expect(page.locator("#scenario option[value=broken]")).to_be_disabled()
        await page.select_option("#cohort", "rookies")
        await page.select_option("#scenario", "surge")
        await page.click("#go")
        await expect(page.locator("#mode")).to_have_text("sandbox")
        await expect(page.locator("#drills .phase")).to_have_text("running")
        await expect(page.locator("#drills .what")).to_have_text("surge · rookies → staging")
        await expect(page.locator("#nodes tr")).to_have_count(2)
        await expect(page.locator("#users")).not_to_have_text("0", timeout=5_000)
        first = await page.inner_text("#requests")
        await expect(page.locator("#requests")).not_to_have_text(first)
        await expect(page.locator("#production_dials")).to_have_text("0")
        await page.get_by_role("button", name="pause").click()
        await expect(page.locator("#drills .phase")).to_have_text("paused")
        await page.get_by_role("button", name="resume").click()
        await expect(page.locator("#drills .phase")).to_have_text("running")
        await page.click("#live")
        await expect(page.locator("#mode")).to_have_text("live")
        await expect(page.locator("#drills li")).to_have_count(0)
        assert wrong == []


async def test_the_console_shows_why_a_start_was_refused(stage: Any, chromium: str) -> None:
    async with stage() as it, browser_page(chromium) as (page, _):
        await it.silent_node("proxy-9")
        await page.goto(login_url(it.url, TOKEN))
        await page.select_option("#cohort", "rookies")
        await page.click("#go")
        await expect(page.locator("#message")).to_contain_text("proxy-9")


async def test_the_light_turns_red_for_a_leak_and_dark_without_figures(stage: Any, chromium: str) -> None:
    async with browser_page(chromium) as (page, _):
        async with stage() as it, traffic(it, leak=True):
            await page.goto(login_url(it.url, TOKEN))
            await it.api.start_drill(cohort="rookies")
            await expect(page.locator("body")).to_have_attribute("data-leak", "some")
            await expect(page.locator("#production_dials")).not_to_have_text("0")
        await expect(page.locator("body")).to_have_attribute("data-leak", "unknown")
        await expect(page.locator("#mode")).to_have_text("no answer")


async def test_without_a_session_the_page_asks_for_the_login_url(stage: Any, chromium: str) -> None:
    async with stage() as it, browser_page(chromium) as (page, wrong):
        await page.goto(it.url)
        await expect(page.locator("main")).to_contain_text("login URL")
        assert wrong == []
        await page.goto(login_url(it.url, "wrong"))
        await expect(page.locator(".message")).to_contain_text("the token is wrong")


async def test_a_browser_reads_the_proxy_configuration_as_it_is_meant(estate: Estate, chromium: str) -> None:
    script = proxy_pac(estate, "127.0.0.1:8080")
    # What browsers offer to such scripts, for the two functions that it calls.
    offered = """
    const shExpMatch = (text, glob) => new RegExp('^' + glob.replace(/[.+?^${}()|[\\]\\\\]/g, '\\\\$&')
      .replace(/\\*/g, '.*') + '$').test(text);
    const number = (address) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    const isInNet = (address, net, mask) =>
      ((number(address) & number(mask)) >>> 0) === ((number(net) & number(mask)) >>> 0);
    """
    table = {
        "www.cms.example": True,
        "WWW.CMS.EXAMPLE": True,
        "www.cms.example.": True,
        "a.b.cms.example": True,
        "cms.example": False,
        "notcms.example": False,
        "www.cms.example.evil.example": False,
        "fonts.example.net": True,
        "payments.example": True,
        "203.0.113.9": True,
        "203.0.114.9": False,
        "127.0.0.1": False,
        "2001:db8:10::1": True,
        "hasOwnProperty": False,
        "localhost": False,
    }
    async with browser_page(chromium) as (page, wrong):
        ask = f"(hosts) => {{ {offered} {script} return hosts.map((host) => FindProxyForURL('https://x/', host)); }}"
        found = await page.evaluate(ask, list(table))
        assert dict(zip(table, found, strict=True)) == {
            host: "PROXY 127.0.0.1:8080" if led else "DIRECT" for host, led in table.items()
        }
        assert wrong == []
