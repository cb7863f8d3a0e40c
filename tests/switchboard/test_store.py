from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from switchboard.drill import SwitchDocument
from switchboard.errors import BadInput, Conflict, Unavailable
from switchboard.node import NodeState
from switchboard.scorecard import Recorder, ScoreDelta
from switchboard.store import Store


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    async with Store.open(redis_url) as opened:
        yield opened


def node(node_id: str, epoch: int = 0, **more: Any) -> NodeState:
    return NodeState(id=node_id, role="proxy", epoch=epoch, ready=True, seen=time.time(), **more)


def delta(sequence: int, **more: Any) -> ScoreDelta:
    values: dict[str, Any] = {
        "writer": "w1",
        "counters": {"requests": 2},
        "users": frozenset({"u1"}),
        "wait": b"",
        "pacing": b"",
        **more,
    }
    return ScoreDelta(sequence=sequence, **values)


# -- switch


async def test_an_empty_redis_holds_no_switch(store: Store) -> None:
    assert await store.read_switch() is None
    assert await store.nodes() == ()


async def test_a_document_is_read_as_it_was_written(store: Store) -> None:
    await store.write_switch(SwitchDocument(epoch=1))
    await store.write_switch(SwitchDocument(epoch=2))
    assert await store.read_switch() == SwitchDocument(epoch=2)


@pytest.mark.parametrize("epoch", [1, 2, 4, 99], ids=["older", "same", "skipping", "far-ahead"])
async def test_only_the_next_epoch_may_be_written(store: Store, epoch: int) -> None:
    await store.restore_switch(SwitchDocument(epoch=2, drills=()))
    with pytest.raises(Conflict, match="is at epoch 2") as caught:
        await store.write_switch(other(epoch))
    assert caught.value.code == "epoch_moved"
    assert await store.read_switch() == SwitchDocument(epoch=2)


def other(epoch: int, drill_id: str = "x") -> SwitchDocument:
    one = {"id": drill_id, "target": "staging", "started": "s", "deadline": "d", "edge": 1}
    return SwitchDocument.model_validate({"epoch": epoch, "drills": [one]})


async def test_of_writers_that_race_one_wins(store: Store) -> None:
    results = await asyncio.gather(
        *(store.write_switch(other(1, f"d{number}")) for number in range(8)), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


async def test_writing_the_same_document_again_is_no_lost_race(store: Store) -> None:
    await store.write_switch(other(1))
    await store.write_switch(other(1))


async def test_a_document_may_skip_epochs_over_the_one_it_names(store: Store) -> None:
    await store.write_switch(other(41), after=0)
    with pytest.raises(Conflict, match="is at epoch 41, not at 0"):
        await store.write_switch(other(50), after=0)
    await store.write_switch(other(50), after=41)


async def test_a_change_of_another_lineage_is_a_lost_race(store: Store) -> None:
    await store.restore_switch(SwitchDocument(epoch=2, lineage="ours"))
    with pytest.raises(Conflict) as caught:
        await store.write_switch(SwitchDocument(epoch=3, lineage="theirs"))
    assert caught.value.code == "epoch_moved"
    await store.write_switch(SwitchDocument(epoch=3, lineage="ours"))
    assert await store.read_switch() == SwitchDocument(epoch=3, lineage="ours")


async def test_a_lost_switch_is_put_back_but_never_over_one_as_new(store: Store) -> None:
    assert await store.restore_switch(other(5))
    assert not await store.restore_switch(other(5, "y"))
    assert not await store.restore_switch(other(4))
    assert await store.restore_switch(other(6))
    assert await store.read_switch() == other(6)


async def test_a_document_of_another_version_is_an_error_and_not_a_switch(store: Store) -> None:
    await store._client.set("esr:switch", '{"epoch":3,"drills":[],"colour":"red"}')
    with pytest.raises(Unavailable, match="not a document of this version"):
        await store.read_switch()


async def test_whoever_watches_gets_the_document_and_every_newer_one_within_milliseconds(store: Store) -> None:
    await store.write_switch(SwitchDocument(epoch=1))
    watch = store.watch_switch(poll_s=5.0)
    assert (await anext(watch)).epoch == 1
    waiting = asyncio.gather(anext(watch))
    await asyncio.sleep(0)
    started = time.monotonic()
    await store.write_switch(SwitchDocument(epoch=2))
    assert (await waiting)[0].epoch == 2
    assert time.monotonic() - started < 1.0
    await watch.aclose()  # type: ignore[attr-defined]


async def test_whoever_watches_finds_by_polling_what_no_hint_announced(store: Store) -> None:
    watch = store.watch_switch(poll_s=0.02)
    waiting = asyncio.gather(anext(watch))
    await asyncio.sleep(0)
    await store._client.set("esr:switch", SwitchDocument(epoch=9).model_dump_json())
    assert (await waiting)[0].epoch == 9
    await watch.aclose()  # type: ignore[attr-defined]


async def test_a_lower_or_missing_document_is_never_yielded(store: Store) -> None:
    await store.restore_switch(SwitchDocument(epoch=7))
    watch = store.watch_switch(poll_s=0.01)
    assert (await anext(watch)).epoch == 7
    for text in (None, SwitchDocument(epoch=3).model_dump_json(), "rubbish"):
        if text is None:
            await store._client.delete("esr:switch")
        else:
            await store._client.set("esr:switch", text)
        await store._client.publish("esr:switch", "3")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(watch)
        watch = store.watch_switch(after=7, poll_s=0.01)
    await store._client.set("esr:switch", SwitchDocument(epoch=8).model_dump_json())
    assert (await anext(watch)).epoch == 8
    await watch.aclose()  # type: ignore[attr-defined]


async def test_watching_survives_an_outage(redis_server: Any) -> None:
    async with Store.open(redis_server.url) as store:
        await store.write_switch(SwitchDocument(epoch=1))
        watch = store.watch_switch(poll_s=0.02)
        assert (await anext(watch)).epoch == 1
        waiting = asyncio.gather(anext(watch))
        await asyncio.sleep(0)
        redis_server.stop()
        with pytest.raises(Unavailable):
            await store.ping()
        redis_server.start()
        await store.write_switch(SwitchDocument(epoch=2))
        assert (await waiting)[0].epoch == 2
        await watch.aclose()  # type: ignore[attr-defined]


async def test_a_watcher_can_be_cancelled_at_any_moment(store: Store) -> None:
    async def watching() -> None:
        async for _ in store.watch_nodes():
            pass

    for number in range(60):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(watching())
            await asyncio.sleep(number * 0.00005)
            task.cancel()
            _, pending = await asyncio.wait({task}, timeout=2.0)
            assert not pending


# -- nodes


async def test_a_node_is_registered_until_it_says_goodbye(store: Store) -> None:
    await store.acknowledge(node("b", 2))
    await store.acknowledge(node("a", 1))
    await store.acknowledge(node("b", 3))
    assert [(one.id, one.epoch) for one in await store.nodes()] == [("a", 1), ("b", 3)]
    assert await store._client.ttl("esr:node:a") == -1
    await store.goodbye("a")
    await store.goodbye("unknown")
    assert [one.id for one in await store.nodes()] == ["b"]


async def last_word(store: Store, node_id: str, seconds_ago: float) -> None:
    """Let the last word of a node lie back, by the clock of Redis."""
    seconds, micros = await store._client.time()
    await store._client.hset("esr:heard", node_id, str(seconds + micros / 1e6 - seconds_ago))


async def test_two_processes_cannot_have_one_id(store: Store) -> None:
    await store.acknowledge(node("a", 1, incarnation="first"))
    for _ in range(2):
        with pytest.raises(Conflict, match=r"node 'a' is another process, heard 0\.\d s ago") as caught:
            await store.acknowledge(node("a", 2, incarnation="second"))
        assert caught.value.code == "node_taken"
    await store.acknowledge(node("a", 3, incarnation="first"))
    assert [(one.epoch, one.incarnation) for one in await store.nodes()] == [(3, "first")]


@pytest.mark.parametrize(
    ("seconds_ago", "free"),
    [
        pytest.param(4.5, False, id="heard-lately"),
        pytest.param(5.1, True, id="silent-for-five-seconds"),
        pytest.param(-3600.0, True, id="clock-of-redis-was-put-back"),
    ],
)
async def test_a_silent_node_loses_its_id(store: Store, seconds_ago: float, free: bool) -> None:
    await store.acknowledge(node("a", 1, incarnation="first"))
    await last_word(store, "a", seconds_ago)
    if not free:
        with pytest.raises(Conflict):
            await store.acknowledge(node("a", 2, incarnation="second"))
        return
    await store.acknowledge(node("a", 2, incarnation="second"))
    with pytest.raises(Conflict) as caught:  # the first one comes back: it has to learn that nobody waits for it
        await store.acknowledge(node("a", 1, incarnation="first"))
    assert caught.value.code == "node_taken"


async def test_the_clock_of_a_node_does_not_matter_for_its_id(store: Store) -> None:
    await store.acknowledge(node("a", 1, incarnation="first").model_copy(update={"seen": 0.0}))
    with pytest.raises(Conflict):
        await store.acknowledge(node("a", 1, incarnation="second"))


async def test_a_goodbye_frees_the_id_and_is_ones_own(store: Store) -> None:
    await store.acknowledge(node("a", 1, incarnation="first"))
    assert not await store.goodbye("a", "second")
    assert [one.incarnation for one in await store.nodes()] == ["first"]
    assert await store.goodbye("a", "first")
    assert await store.goodbye("a", "first")
    await store.acknowledge(node("a", 2, incarnation="second"))
    assert await store.goodbye("a")  # of a supervisor: whoever has it
    assert await store.nodes() == ()
    assert await store._client.exists("esr:heard") == 0


async def test_a_process_without_incarnation_gives_way_but_does_not_take(store: Store) -> None:
    await store.acknowledge(node("a", 1))
    await store.acknowledge(node("a", 1, incarnation="first"))
    with pytest.raises(Conflict):
        await store.acknowledge(node("a", 1))


async def test_whoever_watches_nodes_sees_them_come_change_and_go(store: Store) -> None:
    watch = store.watch_nodes(poll_s=5.0)
    assert await anext(watch) == ()
    await store.acknowledge(node("a", 1))
    assert [one.epoch for one in await anext(watch)] == [1]
    await store.acknowledge(node("a", 2))
    assert [one.epoch for one in await anext(watch)] == [2]
    await store.goodbye("a")
    assert await anext(watch) == ()
    await watch.aclose()  # type: ignore[attr-defined]


# -- score


async def test_a_delta_counts_once_however_often_it_arrives(store: Store) -> None:
    assert await store.add_score("d", delta(1))
    assert not await store.add_score("d", delta(1))
    assert await store.add_score("d", delta(2, users=frozenset({"u1", "u2"})))
    assert not await store.add_score("d", delta(1))
    totals = await store.read_score("d")
    assert (totals.counters, totals.users) == ({"requests": 4}, 2)


async def test_a_key_counts_once_whoever_writes_it(store: Store) -> None:
    assert not await store.has_counted("d", "k")
    assert await store.add_score("d", delta(1, key="k"))
    assert await store.has_counted("d", "k")
    assert not await store.add_score("d", delta(1, writer="w2", key="k"))
    assert await store.add_score("d", delta(1, writer="w2", key="k2"))
    assert await store.add_score("other", delta(1, key="k"))
    assert (await store.read_score("d")).counters == {"requests": 4}


async def test_only_the_newest_keys_are_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchboard.store.MOST_KEYS", 3)
    for number in range(1, 6):
        await store.add_score("d", delta(number, key=f"k{number}"))
    assert [await store.has_counted("d", f"k{number}") for number in range(1, 6)] == [False, False, True, True, True]
    assert await store._client.ttl("esr:score:d:keys") > 0


async def test_writers_and_drills_are_counted_apart(store: Store) -> None:
    await store.add_score("d", delta(1))
    await store.add_score("d", delta(1, writer="w2", users=frozenset({"u9"})))
    await store.add_score("other", delta(1))
    totals = await store.read_score("d")
    assert (totals.counters["requests"], totals.users) == (4, 2)
    assert (await store.read_score("nobody")).counters == {}


async def test_histograms_of_writers_are_merged_and_replaced_by_newer_ones(store: Store) -> None:
    for writer in ("w1", "w2"):
        recorder = Recorder(writer)
        for _ in range(3):
            recorder.outcome("u", wait_s=0.1, error=False)
            found = recorder.take()
            assert found is not None
            await store.add_score("d", found)
            recorder.confirm(found.sequence)
    totals = await store.read_score("d")
    assert totals.wait.get_total_count() == totals.counters["requests"] == 6


async def test_tens_of_thousands_of_users_fit_into_one_delta(store: Store) -> None:
    users = frozenset(f"user-{number}" for number in range(50_000))
    assert await store.add_score("d", delta(1, users=users))
    assert (await store.read_score("d")).users == 50_000


async def test_names_from_outside_need_not_be_unicode(store: Store) -> None:
    await store.add_score("d", delta(1, users=frozenset({"a\udcff"}), counters={"blocked:\udcff é": 1}))
    totals = await store.read_score("d")
    assert totals.users == 1
    assert list(totals.counters.values()) == [1]


async def test_a_crash_of_redis_keeps_epoch_and_score_and_counts_nothing_twice(redis_server: Any) -> None:
    async with Store.open(redis_server.url) as store:
        await store.write_switch(SwitchDocument(epoch=1))
        recorder = Recorder("w1")
        recorder.outcome("u", wait_s=0.1, error=False)
        first = recorder.take()
        assert first is not None
        await store.add_score("d", first)  # counted, but the answer is lost
        redis_server.stop()
        recorder.outcome("u", wait_s=0.1, error=False)
        with pytest.raises(Unavailable):
            await store.add_score("d", first)
        redis_server.start()
        assert not await store.add_score("d", first)
        recorder.confirm(first.sequence)
        second = recorder.take()
        assert second is not None
        assert await store.add_score("d", second)
        totals = await store.read_score("d")
        assert (totals.counters["requests"], totals.wait.get_total_count()) == (2, 2)
        assert await store.read_switch() == SwitchDocument(epoch=1)


# -- tokens and places


async def test_a_token_is_known_for_as_long_as_somebody_vouches_for_it(store: Store) -> None:
    await store.put_token("aa" * 32, ttl_s=60)
    assert await store.has_token("aa" * 32)
    assert not await store.has_token("bb" * 32)
    assert 0 < await store._client.ttl("esr:token:" + "aa" * 32) <= 60


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "", "redis://127.0.0.1:port"])
async def test_what_is_no_redis_url_is_refused_with_the_value(url: str) -> None:
    with pytest.raises(BadInput, match="is not a Redis URL"):
        async with Store.open(url):
            pass


async def test_opening_does_not_need_redis_and_calls_say_where_they_looked(tmp_path: Any) -> None:
    async with Store.open(f"unix://:secret@{tmp_path}/none.sock") as store:
        with pytest.raises(Unavailable, match=r"none\.sock cannot be used") as caught:
            await store.ping()
    assert "secret" not in str(caught.value)


async def test_a_redis_that_takes_connections_but_never_answers_is_unavailable_in_bounded_time() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with Store.open(f"redis://127.0.0.1:{port}/0") as store:
            started = time.monotonic()
            with pytest.raises(Unavailable):
                await store.ping()
            assert time.monotonic() - started < 5.0
