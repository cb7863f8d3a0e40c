"""Tokens, sessions, foreign pages and rebound names, over real HTTP."""

from __future__ import annotations

import asyncio
import stat
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, CookieJar
from hypothesis import given
from hypothesis import strategies as st

from switchboard.admin_auth import Attempts, ensure_token, host_is_ours, login_url
from switchboard.client import ApiClient
from switchboard.errors import Unauthorised, Unavailable

TOKEN = "a-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
CHANGE = {"mode": "live"}


# -- the token itself


def test_a_token_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    token, created = ensure_token(tmp_path / "state")
    assert created
    assert len(token) >= 43
    assert ensure_token(tmp_path / "state") == (token, False)
    path = tmp_path / "state" / "admin.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [one.name for one in path.parent.iterdir()] == ["admin.token"]


def test_a_given_token_is_not_written_down(tmp_path: Path) -> None:
    assert ensure_token(tmp_path / "state", "given") == ("given", False)
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(Unavailable, match="--state"):
        ensure_token(tmp_path / "state")


def test_the_login_url_holds_the_token() -> None:
    assert login_url("http://127.0.0.1:8700", "abc") == "http://127.0.0.1:8700/?token=abc"


async def test_redis_knows_the_token_only_by_its_hash(stage: Any, eventually: Any) -> None:
    async with stage() as it:

        async def is_vouched_for() -> bool:
            return bool(await it.store._client.keys("esr:token:*"))

        await eventually(is_vouched_for)
        for key in await it.store._client.keys("*"):
            assert TOKEN.encode() not in key
            if await it.store._client.type(key) == b"string":
                assert TOKEN.encode() not in await it.store._client.get(key)


async def test_admins_on_one_redis_accept_each_others_tokens(stage: Any, eventually: Any, tmp_path: Path) -> None:
    async with stage() as one, stage(token="another-token", state=tmp_path / "other") as two:

        async def is_accepted() -> bool:
            async with one.http.get(
                one.url + "/api/esr/state", headers={"Authorization": "Bearer another-token"}
            ) as answer:
                return bool(answer.status == 200)

        await eventually(is_accepted)
        assert (await two.api.state())["mode"] == "live"


# -- who may call


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/proxy.pac", "/", "/console/console.css"])
async def test_public_pages_need_no_token(stage: Any, path: str) -> None:
    async with stage() as it, it.http.get(it.url + path) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/esr/state"),
        ("GET", "/api/esr/score"),
        ("GET", "/api/esr/drills"),
        ("GET", "/api/esr/drills/x"),
        ("GET", "/api/esr/leaks"),
        ("GET", "/api/esr/scenarios"),
        ("GET", "/api/esr/targets"),
        ("GET", "/api/esr/openapi.json"),
        ("GET", "/metrics"),
        ("GET", "/nowhere"),
        ("GET", "//healthz"),
        ("PUT", "/api/esr/mode"),
        ("POST", "/api/esr/drills"),
        ("PATCH", "/api/esr/drills/x"),
        ("POST", "/api/esr/drills/x/stop"),
        ("POST", "/api/esr/score/events"),
        ("POST", "/healthz"),
        ("DELETE", "/"),
    ],
)
@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": "hms_esr_session=x"}],
    ids=["nothing", "wrong-token", "wrong-scheme", "wrong-cookie"],
)
async def test_everything_else_needs_the_token(stage: Any, method: str, path: str, headers: dict[str, str]) -> None:
    async with stage() as it, it.http.request(method, it.url + path, headers=headers) as answer:
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (401, "token_missing_or_wrong")
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_client_says_that_the_token_is_wrong(stage: Any) -> None:
    async with stage() as it, ApiClient(it.url, token="wrong") as api:
        with pytest.raises(Unauthorised, match=r"admin\.token"):
            await api.state()


async def test_wrong_tokens_are_counted_and_lock_nobody_out_who_has_the_right_one(stage: Any) -> None:
    async with stage() as it:
        wrong = {"Authorization": "Bearer wrong"}
        statuses = []
        for headers in [wrong] * 12 + [BEARER] + [wrong]:
            async with it.http.get(it.url + "/api/esr/state", headers=headers) as answer:
                statuses.append(answer.status)
        assert statuses == [401] * 10 + [429] * 2 + [200] + [429]
        assert answer.headers["Retry-After"] == "60"
        async with it.http.get(it.url + "/?token=" + TOKEN, allow_redirects=False) as answer:
            assert answer.status == 303


@pytest.mark.parametrize(
    ("headers", "last"),
    [
        pytest.param({"Site": "cross-site", "Mode": "no-cors", "Dest": "image"}, 401, id="image-of-a-foreign-page"),
        pytest.param({"Site": "cross-site", "Mode": "navigate", "Dest": "document"}, 401, id="link-of-a-foreign-page"),
        pytest.param({"Site": "same-site", "Mode": "navigate", "Dest": "iframe"}, 401, id="frame-of-another-port"),
        pytest.param({"Site": "same-origin", "Mode": "cors", "Dest": "empty"}, 401, id="no-navigation"),
        pytest.param({"Site": "none", "Mode": "navigate", "Dest": "document"}, 429, id="typed-by-hand"),
        pytest.param({}, 429, id="no-browser"),
    ],
)
async def test_what_a_page_fetches_is_not_counted_as_an_attempt(stage: Any, headers: dict[str, str], last: int) -> None:
    sent = {f"Sec-Fetch-{name}": value for name, value in headers.items()}
    async with stage() as it:
        for _ in range(11):
            async with it.http.get(it.url + "/?token=x", headers=sent) as answer:
                status = answer.status
        assert status == last
        async with it.http.get(it.url + "/api/esr/state", headers=BEARER) as answer:
            assert answer.status == 200


def test_attempts_are_forgotten_after_a_minute_and_bounded_in_addresses() -> None:
    attempts = Attempts()
    for _ in range(10):
        attempts.failed("10.0.0.1", 100.0)
    assert attempts.is_locked("10.0.0.1", 159.0)
    assert not attempts.is_locked("10.0.0.1", 160.1)
    assert not attempts.is_locked("10.0.0.2", 100.0)
    for number in range(5_000):
        attempts.failed(str(number), 200.0)
    assert len(attempts._failures) == 1_000


# -- sessions of browsers


def browser() -> ClientSession:
    return ClientSession(cookie_jar=CookieJar(unsafe=True))


async def test_the_login_url_opens_a_session_that_is_not_the_token(stage: Any) -> None:
    async with stage() as it, browser() as session:
        async with session.get(login_url(it.url, TOKEN), allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")
            cookie = SimpleCookie(answer.headers["Set-Cookie"])["hms_esr_session"]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
        assert TOKEN not in cookie.value
        async with session.get(it.url + "/") as answer:
            assert 'id="start"' in await answer.text()
        async with session.get(it.url + "/api/esr/state") as answer:
            assert answer.status == 200


async def test_a_session_outlives_a_restart_of_the_admin(stage: Any) -> None:
    async with browser() as session:
        async with stage() as it, session.get(login_url(it.url, TOKEN)) as answer:
            assert answer.status == 200
        async with stage() as it, session.get(it.url + "/api/esr/state") as answer:
            assert answer.status == 200


async def test_a_logout_ends_the_session_for_good(stage: Any) -> None:
    async with browser() as session:
        async with stage() as it:
            async with session.get(login_url(it.url, TOKEN), allow_redirects=False) as answer:
                stolen = {"Cookie": f"hms_esr_session={answer.cookies['hms_esr_session'].value}"}
            console = {"X-HMS-ESR": "console", "Origin": it.url}
            async with session.post(it.url + "/logout", headers=console) as answer:
                assert answer.status == 204
                cookie = answer.cookies["hms_esr_session"]
                assert (cookie.value, cookie["max-age"], cookie["path"]) == ("", "0", "/")
            assert not session.cookie_jar.filter_cookies(answer.url)
            async with it.http.get(it.url + "/api/esr/state", headers=stolen) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, "token_missing_or_wrong")
        async with stage() as it, it.http.get(it.url + "/api/esr/state", headers=stolen) as answer:
            assert answer.status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="without-session"),
        pytest.param({**BEARER}, 204, id="token-has-nothing-to-end"),
    ],
)
async def test_who_may_log_out(stage: Any, headers: dict[str, str], status: int) -> None:
    async with stage() as it, it.http.post(it.url + "/logout", headers=headers) as answer:
        assert answer.status == status


async def test_a_foreign_page_cannot_log_the_trainer_out(stage: Any) -> None:
    async with stage() as it, browser() as session:
        await (await session.get(login_url(it.url, TOKEN))).release()
        async with session.post(it.url + "/logout", headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 403
        async with session.get(it.url + "/api/esr/state") as answer:
            assert answer.status == 200


async def test_a_wrong_login_url_gets_a_page_and_no_session(stage: Any) -> None:
    async with stage() as it, it.http.get(login_url(it.url, "<b>wrong")) as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (401, "text/html")
        assert "the token is wrong" in text
        assert "<b>wrong" not in text
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"X-HMS-ESR": "console", "Origin": "SELF"}, 200, id="console-with-origin"),
        pytest.param({"X-HMS-ESR": "console", "Sec-Fetch-Site": "same-origin"}, 200, id="console-with-fetch"),
        pytest.param({"Origin": "SELF"}, 403, id="without-our-header"),
        pytest.param({"X-HMS-ESR": "console"}, 403, id="without-any-origin"),
        pytest.param({"X-HMS-ESR": "console", "Origin": "http://evil.example"}, 403, id="foreign-origin"),
        pytest.param({"X-HMS-ESR": "console", "Origin": "null"}, 403, id="sandboxed-frame"),
        pytest.param({"X-HMS-ESR": "console", "Sec-Fetch-Site": "same-site"}, 403, id="other-port"),
        pytest.param(
            {"X-HMS-ESR": "console", "Origin": "SELF", "Sec-Fetch-Site": "cross-site"}, 403, id="contradiction"
        ),
        pytest.param({"X-HMS-ESR": "console", "Sec-Fetch-Site": "none"}, 403, id="typed-by-hand"),
    ],
)
async def test_a_session_changes_something_only_from_the_console(
    stage: Any, headers: dict[str, str], status: int
) -> None:
    async with stage() as it, browser() as session:
        await (await session.get(login_url(it.url, TOKEN))).release()
        sent = {name: it.url if value == "SELF" else value for name, value in headers.items()}
        async with session.put(it.url + "/api/esr/mode", json=CHANGE, headers=sent) as answer:
            assert answer.status == status


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_foreign_page_cannot_even_read_with_the_session(stage: Any, site: str) -> None:
    async with stage() as it, browser() as session:
        await (await session.get(login_url(it.url, TOKEN))).release()
        async with session.get(it.url + "/api/esr/score", headers={"Sec-Fetch-Site": site}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "foreign_page")


# -- names


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8700", True),
        ("[::1]:8700", True),
        ("localhost:8700", True),
        ("LOCALHOST.", True),
        ("admin.test:1", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        (None, False),
        ("[::1", False),
        ("::1", False),
        ("[::1]evil.example", False),
        ("[::1]:87x", False),
        ("[127.0.0.1]", False),
        ("localhost:1@evil.example", False),
        ("localhost:8700:1", False),
        ("localhost:", True),
        ("localhost:8700/x", False),
        ("localhost evil.example", False),
        ("localhost\n", False),
        ("user@localhost", False),
        ("127.0.0.1:1@evil.example", False),
    ],
    ids=str,
)
def test_a_host_is_an_address_localhost_or_one_of_our_names(host: str | None, ours: bool) -> None:
    assert host_is_ours(host, frozenset({"admin.test"})) is ours


@given(st.text(max_size=40))
def test_no_host_breaks_the_check(host: str) -> None:
    host_is_ours(host, frozenset())


async def test_a_name_rebound_to_this_address_gets_nothing(stage: Any) -> None:
    async with stage() as it:
        for path in ("/", "/healthz", "/api/esr/state"):
            async with it.http.get(it.url + path, headers={"Host": "evil.example", **BEARER}) as answer:
                assert (answer.status, (await answer.json())["code"]) == (421, "wrong_host")


async def test_a_request_without_host_gets_nothing(stage: Any) -> None:
    async with stage() as it:
        host, port = it.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.0 421")
        writer.close()
        await writer.wait_closed()


async def test_an_admin_may_be_called_by_the_names_it_was_given(stage: Any) -> None:
    async with (
        stage(names=["admin.test"]) as it,
        it.http.get(it.url + "/healthz", headers={"Host": "admin.test:8700"}) as answer,
    ):
        assert answer.status == 200
