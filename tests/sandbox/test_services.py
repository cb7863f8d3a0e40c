from __future__ import annotations

import aiohttp
import pytest


async def test_a_profile_is_read_written_and_belongs_to_the_session(client: aiohttp.ClientSession) -> None:
    async with client.post("/login", data={"username": "Ada", "password": "x"}):
        pass
    async with client.put("/svc/profile", json={"county": "Essex"}) as answer:
        assert answer.status == 200
    async with client.get("/svc/profile") as answer:
        mine = await answer.json()
    client.cookie_jar.clear()
    async with client.get("/svc/profile") as answer:
        guest = await answer.json()
    assert (mine["name"], mine["county"], mine["side"]) == ("Ada", "Essex", "sandbox")
    assert (guest["name"], guest["county"]) == ("guest", "Fairfield")


@pytest.mark.parametrize(
    ("path", "host"),
    [("/plans", "www.cms.example"), ("/api/plans", "127.0.0.1"), ("/plans", "api.cms.example")],
)
async def test_plans_are_answered_on_every_door(client: aiohttp.ClientSession, path: str, host: str) -> None:
    async with client.get(path, headers={"Host": host}) as answer:
        assert answer.headers["X-Agency-Service"] == "services"
        assert len((await answer.json())["items"]) == 5


async def test_the_status_counts_applications(client: aiohttp.ClientSession) -> None:
    async with client.get("/status") as answer:
        assert await answer.json() == {"side": "sandbox", "enrollment": "open", "applications": 0}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "not a JSON object"),
        (b'"' + b"x" * 70_000 + b'"', 413, "longer than"),
    ],
    ids=["broken", "no object", "too long"],
)
async def test_a_bad_body_gets_one_clear_error(
    client: aiohttp.ClientSession, body: bytes, status: int, message: str
) -> None:
    async with client.put("/svc/profile", data=body) as answer:
        assert answer.status == status
        assert message in (await answer.json())["error"]


ORIGIN = "https://www.cms.example"


async def test_a_page_of_another_origin_may_read_the_answer_with_a_token(client: aiohttp.ClientSession) -> None:
    async with client.post("/login", data={"username": "Ada", "password": "x"}):
        pass
    async with client.get("/desk/token") as answer:
        token = (await answer.json())["token"]
    client.cookie_jar.clear()
    headers = {"Origin": ORIGIN, "Authorization": f"Bearer {token}"}
    async with client.get("/svc/profile", headers=headers) as answer:
        assert (await answer.json())["name"] == "Ada"
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


@pytest.mark.parametrize("token", ["Bearer prod-0123", "Bearer", "Basic YTpi"])
async def test_a_token_that_means_nothing_here_is_a_guests(client: aiohttp.ClientSession, token: str) -> None:
    async with client.get("/svc/profile", headers={"Authorization": token}) as answer:
        assert (await answer.json())["name"] == "guest"


async def test_a_preflight_allows_what_the_services_take(client: aiohttp.ClientSession) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    async with client.options("/svc/profile", headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Methods"] == "GET, PUT"
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]


async def test_a_page_of_the_same_origin_is_told_nothing_of_sharing(client: aiohttp.ClientSession) -> None:
    async with client.get("/svc/plans") as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers
