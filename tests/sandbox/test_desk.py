from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest

from sandbox.agency import Agency


async def log_in(client: aiohttp.ClientSession) -> None:
    async with client.post("/login", data={"username": "Ada <b>", "password": "x"}):
        pass


async def test_the_desk_is_for_those_who_are_signed_in(client: aiohttp.ClientSession) -> None:
    async with client.get("/desk") as answer:
        assert "signed out" in await answer.text()
    async with client.get("/desk/token") as answer:
        assert answer.status == 401


async def test_the_desk_has_no_inline_script_and_a_policy_that_would_stop_one(client: aiohttp.ClientSession) -> None:
    await log_in(client)
    async with client.get("/desk") as answer:
        text, policy = await answer.text(), answer.headers["Content-Security-Policy"]
    assert text.count("<script") == text.count("<script src=") == 2
    assert " on" not in text.partition("<main>")[2].partition("</main>")[0].replace(" one", "")
    assert "default-src 'self'" in policy
    assert "connect-src 'self' https://api.cms.example/ wss://api.cms.example/" in policy
    assert "Signed in as <b>Ada &lt;b&gt;</b>" in text


async def test_the_desk_names_itself_and_the_services_by_absolute_urls(
    running: Agency, client: aiohttp.ClientSession
) -> None:
    await log_in(client)
    async with client.get("/desk") as answer:
        text = await answer.text()
    assert f'href="http://127.0.0.1:{running.http_port}/profile"' in text
    assert 'data-services="https://api.cms.example"' in text


async def test_a_token_is_one_of_this_side(client: aiohttp.ClientSession) -> None:
    await log_in(client)
    async with client.get("/desk/token") as answer:
        found = await answer.json()
    assert found["token"].startswith("sandbox-")
    assert found["services"] == "https://api.cms.example"


@pytest.mark.browser
async def test_the_desk_works_in_a_real_browser(chromium: str, running: Agency, tmp_path: Path) -> None:
    from playwright.async_api import async_playwright, expect

    document = tmp_path / "document.txt"
    document.write_bytes(b"x" * 1000)
    names = (
        f"MAP www.cms.example:443 127.0.0.1:{running.tls_port}, MAP api.cms.example:443 127.0.0.1:{running.tls_port}"
    )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", f"--host-resolver-rules={names}"]
        )
        page = await browser.new_page(ignore_https_errors=True)
        await page.goto("https://www.cms.example/login")
        await page.fill("input[name=username]", "Ada")
        await page.fill("input[name=password]", "x")
        await page.click("main button")
        await page.goto("https://www.cms.example/desk")
        await expect(page.locator("#services")).to_have_text("Ada by sandbox")
        await expect(page.locator("#socket")).to_have_text("hello with a token of sandbox by sandbox")
        await expect(page.locator("#events")).to_have_text("from sandbox")
        await page.set_input_files("input[name=document]", document)
        await page.click("form button")
        await expect(page.locator("#upload")).to_have_text(re.compile(r"^1\d{3} bytes by sandbox$"))
        await browser.close()
