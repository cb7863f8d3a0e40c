"""The store's part in jars and in the outbox, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchboard import store as store_module
from switchboard.errors import Unavailable
from switchboard.pocket import Written
from switchboard.store import Store


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    async with Store.open(redis_url) as opened:
        yield opened


async def write(store: Store, data: bytes, expected: bytes | None, key: str = "k") -> tuple[Written, bytes | None]:
    return await store.write_jar("d", key, data, expected=expected, ttl_s=60)


async def test_a_jar_is_read_as_it_was_written(store: Store) -> None:
    data = bytes(range(256))
    assert await store.read_jars("d", ["k"]) == [None]
    assert await write(store, data, None) == (Written.DONE, None)
    assert await store.read_jars("d", ["other", "k", "k"]) == [None, data, data]
    assert await store.read_jars("other", ["k"]) == [None]
    assert 0 < await store._client.ttl("esr:jar:d") <= 60


async def test_only_what_was_seen_is_replaced(store: Store) -> None:
    assert await write(store, b"1", b"0") == (Written.CONFLICT, None)
    assert await write(store, b"1", None) == (Written.DONE, None)
    assert await write(store, b"2", None) == (Written.CONFLICT, b"1")
    assert await write(store, b"2", b"0") == (Written.CONFLICT, b"1")
    assert await write(store, b"2", b"1") == (Written.DONE, None)
    assert await write(store, b"2", b"1") == (Written.DONE, None)  # the same call again, its answer lost


async def test_of_writers_that_race_one_wins(store: Store) -> None:
    outcomes = await asyncio.gather(*(write(store, b"%d" % number, None) for number in range(8)))
    assert [outcome for outcome, _ in outcomes].count(Written.DONE) == 1
    assert {stored for outcome, stored in outcomes if outcome is Written.CONFLICT} == {
        (await store.read_jars("d", ["k"]))[0]
    }


async def test_after_its_end_a_drill_has_no_jars_and_gets_none(store: Store) -> None:
    await write(store, b"1", None)
    await store.drop_jars("d")
    await store.drop_jars("d")
    assert await store.read_jars("d", ["k"]) == [None]
    assert await write(store, b"2", b"1") == (Written.ENDED, None)
    assert await write(store, b"2", None) == (Written.ENDED, None)
    assert await store.write_jar("other", "k", b"1", expected=None, ttl_s=60) == (Written.DONE, None)
    assert await store._client.keys("esr:jar:d") == []


async def test_a_drill_has_room_for_so_many_jars(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST_JARS", 2)
    for key in ("a", "b"):
        assert (await write(store, b"1", None, key))[0] is Written.DONE
    assert (await write(store, b"1", None, "c"))[0] is Written.FULL
    assert (await write(store, b"2", b"1", "a"))[0] is Written.DONE


async def test_the_outbox_gives_the_newest_first_by_drill(store: Store) -> None:
    for number in range(5):
        assert await store.add_outbox("d", b'{"n":%d}' % number)
    await store.add_outbox("other", b"{}")
    assert await store.read_outbox("d", 2) == [b'{"n":4}', b'{"n":3}']
    assert len(await store.read_outbox("d", 100)) == 5
    assert await store.read_outbox("d", 0) == []
    assert await store.read_outbox("nobody", 5) == []


async def test_an_entry_is_added_once_and_equal_ones_each(store: Store) -> None:
    assert await store.add_outbox("d", b"a\0b", entry_id="1")
    assert not await store.add_outbox("d", b"a\0b", entry_id="1")
    assert await store.add_outbox("d", b"a\0b")
    assert await store.read_outbox("d", 9) == [b"a\0b", b"a\0b"]


async def test_the_outbox_keeps_the_newest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MOST_OUTBOX", 3)
    for number in range(5):
        await store.add_outbox("d", b"%d" % number)
    assert await store.read_outbox("d", 9) == [b"4", b"3", b"2"]


async def test_jars_survive_a_crash_of_redis_and_calls_say_that_it_is_away(redis_server: Any) -> None:
    async with Store.open(redis_server.url) as store:
        await write(store, b"1", None)
        redis_server.stop()
        for call in (
            store.read_jars("d", ["k"]),
            write(store, b"2", b"1"),
            store.drop_jars("d"),
            store.add_outbox("d", b"{}"),
            store.read_outbox("d", 1),
        ):
            with pytest.raises(Unavailable):
                await call
        redis_server.start()
        assert await store.read_jars("d", ["k"]) == [b"1"]
