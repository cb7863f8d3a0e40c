from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import Route, async_playwright

from switchboard.exposure import (
    cross,
    expire_exposed,
    expose,
    exposed_name,
    reader_script,
    strip_exposed,
    twins,
)
from switchboard.jar import Jar

NOW = 1_700_000_000.0
URL = "https://www.cms.example/app/page"
NAMES = ("XSRF-TOKEN", "__Host-csrf", "__Secure-csrf")


def exposed(*lines: bytes, url: str = URL, until: float | None = None) -> list[bytes]:
    return expose(lines, names=NAMES, url=url, now=NOW, until=until)


LINES = {
    b"XSRF-TOKEN=t; Path=/app": b"esr-XSRF-TOKEN=t; Path=/",
    b"XSRF-TOKEN=t; Domain=cms.example": b"esr-XSRF-TOKEN=t; Path=/; Domain=cms.example",
    b"XSRF-TOKEN=t; samesite=strict": b"esr-XSRF-TOKEN=t; Path=/; SameSite=Strict",
    b"XSRF-TOKEN=t; Secure; Max-Age=60": b"esr-XSRF-TOKEN=t; Path=/; Max-Age=60; Secure",
    b"XSRF-TOKEN=; Max-Age=0": b"esr-XSRF-TOKEN=; Path=/; Max-Age=0",
    b"__Host-csrf=t; Secure; Path=/": b"__Host-esr-csrf=t; Path=/; Secure",
    b"__Secure-csrf=t; Secure; SameSite=None": b"__Secure-esr-csrf=t; Path=/; Secure; SameSite=None",
}


@pytest.mark.parametrize(("line", "expected"), LINES.items(), ids=[repr(line) for line in LINES])
def test_a_cookie_for_scripts_is_set_under_the_drill_prefix(line: bytes, expected: bytes) -> None:
    assert exposed(line) == [expected]


@pytest.mark.parametrize(
    "line",
    [b"sid=1", b"XSRF-TOKEN=t; HttpOnly", b"XSRF-TOKEN=t; Domain=evil.example", b"__Host-csrf=t", b"xsrf-token=t"],
    ids=["not listed", "not for scripts", "another host's", "against its prefix", "other letters"],
)
def test_everything_else_stays_in_the_jar(line: bytes) -> None:
    assert exposed(line) == []


def test_nothing_exposed_outlives_the_drill() -> None:
    assert exposed(b"XSRF-TOKEN=t; Max-Age=9000", until=NOW + 50) == [b"esr-XSRF-TOKEN=t; Path=/; Max-Age=50"]


@given(st.lists(st.binary(max_size=60).map(lambda tail: b"XSRF-TOKEN=" + tail), max_size=3))
def test_no_value_adds_a_line_or_another_cookie(lines: list[bytes]) -> None:
    for line in exposed(*lines):
        assert line.startswith(b"esr-XSRF-TOKEN=")
        assert not set(line) & {*range(9), *range(10, 32), 127}


STRIPPED = {
    b"": b"",
    b"a=1; b=2": b"a=1; b=2",
    b"a=1;b=2 ;  c": b"a=1;b=2 ;  c",
    b"a=esr-1; my-esr-x=2": b"a=esr-1; my-esr-x=2",
    b"a=1; esr-XSRF-TOKEN=t; b=2": b"a=1; b=2",
    b"esr-a=1; b=2": b"b=2",
    b"__Host-esr-a=1; __Secure-esr-b=2; __Secure-esr=drill": b"__Secure-esr=drill",
    b"esr-a=1": b"",
}


@pytest.mark.parametrize(("header", "left"), STRIPPED.items(), ids=[repr(header) for header in STRIPPED])
def test_live_requests_lose_exposed_cookies_and_nothing_else(header: bytes, left: bytes) -> None:
    assert strip_exposed(header) == left


pairs = st.from_regex(rb"[a-z_A-Z-]{1,8}=[a-z0-9-]{0,6}", fullmatch=True)
exposed_pairs = st.sampled_from(NAMES).map(lambda name: exposed_name(name.encode()) + b"=sandbox")


@given(st.lists(pairs | exposed_pairs, max_size=8))
def test_no_sandbox_value_is_left_for_production_and_none_of_the_browsers_own_is_lost(cookies: list[bytes]) -> None:
    left = strip_exposed(b"; ".join(cookies)).split(b"; ")
    assert b"sandbox" not in b"".join(left)
    own = [pair for pair in cookies if b"esr-" not in pair]
    assert [pair for pair in left if pair and b"esr-" not in pair] == own


def test_what_a_request_still_carries_is_deleted_wherever_it_was_set() -> None:
    header = b"a=1; esr-t=1; __Host-esr-u=1"
    assert expire_exposed(header, url="https://a.www.cms.example/x") == [
        b"esr-t=; Path=/; Max-Age=0; Secure",
        b"esr-t=; Path=/; Max-Age=0; Secure; Domain=a.www.cms.example",
        b"esr-t=; Path=/; Max-Age=0; Secure; Domain=www.cms.example",
        b"esr-t=; Path=/; Max-Age=0; Secure; Domain=cms.example",
        b"__Host-esr-u=; Path=/; Max-Age=0; Secure",
    ]
    assert expire_exposed(b"esr-t=1", url="http://127.0.0.1/") == [b"esr-t=; Path=/; Max-Age=0"]
    assert expire_exposed(b"a=1", url=URL) == []


@given(st.sampled_from(NAMES), st.sampled_from(["", "; Domain=cms.example", "; Domain=www.cms.example"]))
def test_whatever_was_exposed_is_deleted_again(name: str, domain: str) -> None:
    lines = exposed(f"{name}=t; Secure; Path=/{domain}".encode())
    browser = Jar.empty().store(lines, url=URL, now=NOW)
    header = browser.cookie_header(url=URL, now=NOW) or b""
    assert browser.store(expire_exposed(header, url=URL), url=URL, now=NOW) == Jar.empty()


# -- twins of what pages repeat

VALUES = {b"XSRF-TOKEN": b"sand%3Dbox", b"sid": b"hidden"}
BROWSER = b"sid=own; XSRF-TOKEN=prod%3Dtoken; esr-XSRF-TOKEN=sand%3Dbox"


@pytest.mark.parametrize(
    ("value", "crossed"),
    [
        (b"prod%3Dtoken", b"sand%3Dbox"),
        (b"prod=token", b"sand=box"),
        (b"sand%3Dbox", b"sand%3Dbox"),
        (b"sand=box", b"sand=box"),
        (b"own", None),
        (b"hidden", None),
        (b"other", None),
    ],
)
def test_a_field_that_repeats_an_exposed_cookie_carries_the_sandboxs_value(value: bytes, crossed: bytes | None) -> None:
    known = twins(BROWSER, names=NAMES, values=VALUES)
    fields = [(b"X-XSRF-TOKEN", value), (b"Accept", value), (b"Authorization", value), (b"Cookie", value)]
    assert cross(fields, known) == (((b"X-XSRF-TOKEN", crossed),) if crossed else ())


def test_without_a_sandbox_cookie_nothing_crosses() -> None:
    assert twins(BROWSER, names=NAMES, values={}) == {}
    assert twins(BROWSER, names=(), values=VALUES) == {}
    assert cross([(b"X-XSRF-TOKEN", b"")], twins(b"", names=NAMES, values=VALUES)) == ()


def test_a_value_that_would_break_a_line_when_decoded_does_not_cross() -> None:
    known = twins(b"XSRF-TOKEN=a%0Ab", names=NAMES, values={b"XSRF-TOKEN": b"x%0D%0Ay"})
    assert cross([(b"X-XSRF-TOKEN", b"a\nb")], known) == ()


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_no_value_of_the_browser_crosses_that_is_not_the_jars(header: bytes, value: bytes) -> None:
    known = twins(header, names=NAMES, values=VALUES)
    assert {crossed for _, crossed in cross([(b"X-CSRF", value)], known)} <= {b"sand%3Dbox", b"sand=box"}


# -- the script, in a browser


@pytest.mark.browser
async def test_a_page_finds_and_sets_the_cookie_under_the_name_it_knows(chromium: str) -> None:
    async def page_of_the_drill(route: Route) -> None:
        await route.fulfill(
            body=f"<script>{reader_script(['XSRF-TOKEN', '</script>'])}</script>", content_type="text/html"
        )

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        try:
            context = await browser.new_context()
            cookies = {"XSRF-TOKEN": "production", "esr-XSRF-TOKEN": "sand=box", "theme": "dark"}
            await context.add_cookies(
                [{"name": n, "value": v, "url": "http://drill.test/"} for n, v in cookies.items()]
            )
            page = await context.new_page()
            await page.route("**/*", page_of_the_drill)
            await page.goto("http://drill.test/app/")
            assert await page.evaluate("document.cookie.split('; ').sort()") == ["XSRF-TOKEN=sand=box", "theme=dark"]
            await page.evaluate(
                "document.cookie = 'XSRF-TOKEN=new; path=/app'; document.cookie = 'theme=light; path=/'"
            )
            assert await page.evaluate("document.cookie.split('; ').sort()") == ["XSRF-TOKEN=new", "theme=light"]
            await page.evaluate("document.cookie = 'XSRF-TOKEN=; max-age=0'")
            left = {cookie["name"]: cookie["value"] for cookie in await context.cookies()}
            assert left == {"XSRF-TOKEN": "production", "theme": "light"}
        finally:
            await browser.close()


def test_without_names_there_is_no_script() -> None:
    assert reader_script([]) == ""
    assert "</script>" not in reader_script(["</script>"])
