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
