from __future__ import annotations

import aiohttp
import pytest

from sandbox.agency import Agency, agency
from sandbox.side import Side

PAGES = ["/", "/login", "/apply", "/see-plans", "/profile"]


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_says_visibly_which_side_it_is(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        text = await answer.text()
    assert answer.status == 200
    assert answer.content_type == "text/html"
    assert ">SANDBOX<" in text
    assert "PRODUCTION" not in text


async def test_production_says_production() -> None:
    async with (
        agency(Side.PROD) as prod,
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{prod.http_port}/") as answer,
    ):
        assert ">PRODUCTION<" in await answer.text()


async def test_a_page_asks_for_nothing_outside_its_origin(client: aiohttp.ClientSession) -> None:
    for path in (*PAGES, "/agency.js"):
        async with client.get(path) as answer:
            text = await answer.text()
        assert "http://" not in text
        assert "https://" not in text
        assert 'src="//' not in text


async def test_a_login_lasts_until_the_logout(client: aiohttp.ClientSession) -> None:
    login = {"username": "Ada <b>", "password": "x"}
    async with client.post("/login", data=login, allow_redirects=False) as answer:
        assert answer.status == 303
        cookie = answer.cookies["session"]
    assert cookie.value.startswith("sandbox-")
    assert cookie["httponly"]
    async with client.get("/profile") as answer:
        assert "Signed in as <b>Ada &lt;b&gt;</b>" in await answer.text()
    async with client.get("/logout") as answer:
        assert answer.status == 200
    async with client.get("/profile") as answer:
        assert "signed out" in await answer.text()


async def test_a_session_of_the_other_side_means_nothing(client: aiohttp.ClientSession) -> None:
    async with client.get("/profile", headers={"Cookie": "session=prod-0123"}) as answer:
        assert "signed out" in await answer.text()


async def test_a_login_without_password_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post("/login", data={"username": "Ada"}) as answer:
        assert answer.status == 400
        assert "needs username and password" in await answer.text()


async def test_a_submitted_form_is_received_once_by_this_side(client: aiohttp.ClientSession) -> None:
    async with client.post("/apply", data={"name": "Ada"}) as answer:
        assert "SANDBOX received application <b>sandbox-1</b>" in await answer.text()
    async with client.get("/api/status") as answer:
        assert (await answer.json())["applications"] == 1


@pytest.mark.browser
async def test_the_pages_work_in_a_real_browser(chromium: str, running: Agency) -> None:
    from playwright.async_api import async_playwright, expect

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.goto(f"http://127.0.0.1:{running.http_port}/login")
        await page.fill("input[name=username]", "Ada")
        await page.fill("input[name=password]", "x")
        await page.click("main button")
        await expect(page.locator("main")).to_contain_text("Signed in as Ada")
        await expect(page.locator("table[data-api]")).to_contain_text("Fairfield")
        await page.fill("input[name=county]", "Essex")
        await page.click("main button")
        await expect(page.locator("output")).to_have_text("200: saved by sandbox")
        await page.goto(f"http://127.0.0.1:{running.http_port}/see-plans")
        await expect(page.locator("table[data-api]")).to_contain_text("Lakeside Gold")
        await browser.close()
