"""Pockets of several workers on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchboard.pocket import Pocket
from switchboard.pockets import Change, Pockets
from switchboard.seal import Seal
from switchboard.store import Store

NOW = 1_700_000_000.0
URL = "https://www.cms.example/"
SEAL = Seal(b"k" * 32)


def setting(*lines: bytes) -> Change:
    return lambda pocket: pocket.with_jar(pocket.jar.store(lines, url=URL, now=NOW))


def cookies(pocket: Pocket) -> bytes | None:
    return pocket.jar.cookie_header(url=URL, now=NOW)


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    async with Store.open(redis_url) as opened:
        yield opened


@pytest.fixture
def workers(store: Store) -> list[Pockets]:
    return [Pockets(store, SEAL) for _ in range(3)]


async def test_what_one_worker_stored_the_next_request_finds_at_every_worker(workers: list[Pockets]) -> None:
    for number in range(30):
        line = b"sid=%d" % number
        assert cookies(await workers[number % 3].change("d", "k", setting(line))) == line
        for worker in workers:
            assert cookies(await worker.open("d", "k")) == line


async def test_a_login_through_one_worker_holds_at_all_others_under_load(workers: list[Pockets]) -> None:
    async def visit(client: int) -> None:
        for step in range(20):
            line = b"sid=%d.%d" % (client, step)
            await workers[step % 3].change("d", f"k{client}", setting(line))
            assert cookies(await workers[(step + 1) % 3].open("d", f"k{client}")) == line

    async with asyncio.TaskGroup() as tasks:
        for client in range(10):
            tasks.create_task(visit(client))


async def test_answers_at_once_lose_nothing(workers: list[Pockets]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for number in range(60):
            tasks.create_task(workers[number % 3].change("d", "k", setting(b"c%d=1" % number)))
    found = [await worker.open("d", "k") for worker in workers]
    assert [len(pocket.jar.cookies) for pocket in found] == [60, 60, 60]
    assert await workers[0].catch_up() == 0


async def test_a_cookie_is_deleted_also_by_a_worker_that_never_saw_it(workers: list[Pockets]) -> None:
    await workers[0].change("d", "k", setting(b"sid=1", b"b=1"))
    await workers[1].change("d", "k", setting(b"sid=; Max-Age=0"))
    assert cookies(await workers[0].open("d", "k")) == b"b=1"


async def test_twins_are_shared_like_cookies(workers: list[Pockets]) -> None:
    await workers[0].change("d", "k", lambda pocket: pocket.with_learned({"rule": "sandbox-token"}))
    await workers[1].change("d", "k", setting(b"a=1"))
    assert dict((await workers[2].open("d", "k")).learned) == {"rule": "sandbox-token"}


async def test_redis_holds_neither_cookie_nor_twin_in_clear(workers: list[Pockets], store: Store) -> None:
    await workers[0].change("d", "k", setting(b"sid=s3cret"))
    await workers[0].change("d", "k", lambda pocket: pocket.with_learned({"rule": "s3cret-twin"}))
    (held,) = await store.read_jars("d", ["k"])
    assert held is not None
    assert b"s3cret" not in held


async def test_a_pocket_moved_to_another_client_or_drill_is_not_opened(workers: list[Pockets], store: Store) -> None:
    await workers[0].change("d", "k", setting(b"sid=1"))
    held = await store._client.hget("esr:jar:d", "k")
    await store._client.hset("esr:jar:d", "other", held)
    await store._client.hset("esr:jar:other", "k", held)
    assert await workers[1].open("d", "other") == Pocket.empty()
    assert await workers[1].open("other", "k") == Pocket.empty()
    assert workers[1].lost == 2
    await workers[1].change("d", "other", setting(b"b=1"))
    assert cookies(await workers[2].open("d", "other")) == b"b=1"


async def test_the_end_of_a_drill_takes_everything_of_it_and_nothing_else(workers: list[Pockets], store: Store) -> None:
    await workers[0].change("d", "k", setting(b"sid=1"))
    await workers[1].change("other", "k", setting(b"sid=2"))
    await workers[1].open("d", "k")
    await workers[0].end("d")
    assert await workers[1].open("d", "k") == Pocket.empty()
    assert await workers[1].change("d", "k", setting(b"late=1")) == Pocket.empty()
    assert await workers[0].change("d", "k", setting(b"late=1")) == Pocket.empty()
    assert await store._client.keys("esr:jar:d") == []
    assert cookies(await workers[0].open("other", "k")) == b"sid=2"


async def test_a_worker_that_sees_the_switch_without_the_drill_forgets_it_and_drops_it_later(
    workers: list[Pockets], store: Store
) -> None:
    await workers[0].change("d", "k", setting(b"sid=1"))
    await workers[0].change("other", "k", setting(b"sid=2"))
    workers[0].keep_only({"other"})
    assert await workers[0].open("d", "k") == Pocket.empty()
    assert await workers[0].catch_up() == 0
    assert await store._client.keys("esr:jar:d") == []
    assert cookies(await workers[1].open("other", "k")) == b"sid=2"


async def test_while_redis_is_away_memory_goes_on_and_what_was_set_is_stored_afterwards(redis_server: Any) -> None:
    async with Store.open(redis_server.url) as store:
        one, two = Pockets(store, SEAL), Pockets(store, SEAL)
        await one.change("d", "k", setting(b"a=1"))
        await two.open("d", "k")
        redis_server.stop()
        assert cookies(await one.change("d", "k", setting(b"b=1"))) == b"a=1; b=1"
        assert cookies(await two.change("d", "k", setting(b"c=1"))) == b"a=1; c=1"
        assert cookies(await one.open("d", "k")) == b"a=1; b=1"
        assert await one.open("d", "stranger") == Pocket.empty()
        assert await one.catch_up() == 1
        redis_server.start()
        assert await one.catch_up() == 0
        assert cookies(await two.open("d", "k")) == b"a=1; b=1; c=1"
        assert cookies(await one.open("d", "k")) == b"a=1; b=1; c=1"


async def test_a_drill_that_ends_while_redis_is_away_is_dropped_afterwards(redis_server: Any) -> None:
    async with Store.open(redis_server.url) as store:
        pockets = Pockets(store, SEAL)
        await pockets.change("d", "k", setting(b"a=1"))
        redis_server.stop()
        await pockets.end("d")
        assert await pockets.open("d", "k") == Pocket.empty()
        assert await pockets.catch_up() == 1
        redis_server.start()
        assert await pockets.catch_up() == 0
        assert await store.read_jars("d", ["k"]) == [None]


async def test_what_redis_lost_is_put_back(workers: list[Pockets], store: Store) -> None:
    await workers[0].change("d", "k", setting(b"a=1"))
    await workers[0].change("d", "k", setting(b"b=1"))
    await store._client.flushall()
    assert cookies(await workers[0].open("d", "k")) == b"a=1; b=1"
    assert cookies(await workers[1].open("d", "k")) == b"a=1; b=1"


async def test_a_redis_that_takes_connections_but_never_answers_delays_one_request_and_not_every_one() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server, Store.open(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0") as store:
        pockets = Pockets(store, SEAL)
        loop = asyncio.get_running_loop()
        started = loop.time()
        for number in range(20):
            await pockets.change("d", "k", setting(b"c%d=1" % number))
        assert loop.time() - started < 1.0
        assert len((await pockets.open("d", "k")).jar.cookies) == 20
