from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, web

from switchboard.admin_errors import translate_errors
from switchboard.admin_outbox import OutboxCalls, Shelf
from switchboard.drill import Drill, Phase
from switchboard.errors import NotFound
from switchboard.estate import Mock
from switchboard.mock_request import MockRequest
from switchboard.mocks import render
from switchboard.store import Store

DRILL = Drill(
    id='d-"1"',
    target="staging",
    cohort="rookies",
    phase=Phase.ENDED,
    started="2026-01-01T00:00:00Z",
    deadline="2026-01-01T08:00:00Z",
    edge=1,
)


class Board:
    def __init__(self) -> None:
        self.drill: Drill | None = DRILL

    def subject(self, drill_id: str | None, *, over_too: bool = False) -> Drill | None:
        assert over_too
        if drill_id not in (None, DRILL.id):
            raise NotFound(f"drill '{drill_id}' is not known")
        return self.drill


class Few:
    def __init__(self) -> None:
        self.entries = [b'{"n":%d}' % number for number in range(5)]

    async def read_outbox(self, drill_id: str, limit: int) -> Sequence[bytes]:
        assert drill_id == DRILL.id
        return self.entries[:limit]


@pytest.fixture
def board() -> Board:
    return Board()


@asynccontextmanager
async def served(board: Board, store: Shelf) -> AsyncIterator[ClientSession]:
    application = web.Application(middlewares=[translate_errors])
    application.add_routes(OutboxCalls(board, store).routes())
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with ClientSession(f"http://{host}:{port}") as session:
        yield session
    await runner.cleanup()


@pytest.fixture
async def http(board: Board) -> AsyncIterator[ClientSession]:
    async with served(board, Few()) as session:
        yield session


@pytest.mark.parametrize(
    ("query", "numbers"),
    [("", [0, 1, 2, 3, 4]), ("?limit=2", [0, 1]), ("?drill=d-%221%22&limit=1", [0]), ("?limit=1000", [0, 1, 2, 3, 4])],
)
async def test_the_outbox_lists_the_newest_entries_of_a_drill(
    http: ClientSession, query: str, numbers: list[int]
) -> None:
    async with http.get(f"/api/esr/outbox{query}") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert json.loads(await answer.read()) == {"drill": DRILL.id, "entries": [{"n": number} for number in numbers]}


async def test_without_any_drill_the_outbox_is_empty(http: ClientSession, board: Board) -> None:
    board.drill = None
    async with http.get("/api/esr/outbox") as answer:
        assert json.loads(await answer.read()) == {"drill": None, "entries": []}


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "ten", "", "1.5", "²", "00001"])
async def test_a_limit_that_is_none_is_refused(http: ClientSession, limit: str) -> None:
    async with http.get("/api/esr/outbox", params={"limit": limit}) as answer:
        assert answer.status == 400
        assert "is not a whole number from 1 to 1000" in (await answer.json(content_type=None))["detail"]


async def test_an_unknown_drill_is_not_found(http: ClientSession) -> None:
    async with http.get("/api/esr/outbox?drill=x") as answer:
        assert answer.status == 404


async def test_what_a_mock_swallowed_is_listed_from_a_real_store(redis_url: str, board: Board) -> None:
    made = Mock.model_validate({"match": "POST https://mail.example/*"})
    async with Store.open(redis_url) as store, served(board, store) as http:
        for number in range(2):
            request = MockRequest.of("POST", f"https://mail.example/{number}", body=b"Dear Ann", at=number)
            entry = render(made, request, {}, files={}).outbox_entry
            assert entry is not None
            await store.add_outbox(DRILL.id, entry.to_json())
        async with http.get("/api/esr/outbox") as answer:
            entries = (await answer.json())["entries"]
    assert [(entry["kind"], entry["url"]) for entry in entries] == [
        ("mail", "https://mail.example/1"),
        ("mail", "https://mail.example/0"),
    ]
