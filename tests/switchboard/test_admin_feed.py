"""The score as server-sent events, outcomes from outside and the leak report, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from typing import Any

import pytest

from switchboard.admin_feed import MOST_BYTES, leak_report
from switchboard.errors import BadInput, Conflict, NotFound, Unavailable
from switchboard.scorecard import Recorder, ScoreDelta
from switchboard.store import Store

HEADERS = {"Authorization": "Bearer a-token-of-the-tests"}
LINES = b'{"user":"a","wait":0.5,"status":200}\n{"user":"b","wait":1.5,"status":503}\n'


async def events(it: Any, count: int, *, query: str = "", headers: dict[str, str] | None = None) -> list[Any]:
    """Return the first events of the stream as (id, object)."""
    found: list[Any] = []
    url = it.url + "/api/esr/score" + query
    async with it.http.get(url, headers={**HEADERS, **(headers or {})}) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        event_id = ""
        async for line in answer.content:
            if line.startswith(b"id: "):
                event_id = line[4:].strip().decode()
            elif line.startswith(b"data: "):
                found.append((event_id, json.loads(line[6:])))
            if len(found) == count:
                return found
    raise AssertionError("the stream ended")


async def started(it: Any) -> str:
    return str((await it.api.start_drill(target="staging", cohort="rookies"))["id"])


async def test_without_a_drill_the_stream_says_zeros(stage: Any) -> None:
    async with stage() as it:
        [(_, card)] = await events(it, 1)
        assert (card["drill"], card["users"], card["avg_wait"], card["error_pct"]) == (None, 0, 0.0, 0.0)


async def test_a_scorecard_comes_every_second_and_moves(stage: Any) -> None:
    async with stage() as it:
        drill = await started(it)
        recorder = Recorder("proxy-1")

        async def counting() -> None:
            for number in range(250):
                recorder.outcome(f"u{number}", wait_s=0.02, error=number % 10 == 0)
                if number % 10 == 9 and (delta := recorder.take()):
                    await it.store.add_score(drill, delta)
                    recorder.confirm(delta.sequence)
                await asyncio.sleep(0.01)

        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(counting())
            at = loop.time()
            found = [card for _, card in await events(it, 4)]
            took = loop.time() - at
            task.cancel()
        assert 1.9 < took < 4.5
        assert found[-1]["drill"] == drill
        assert found[-1]["requests"] > found[-2]["requests"] > 0
        assert 30 < found[-1]["rps"] < 200
        assert found[-1]["error_pct"] == pytest.approx(10, abs=2)
        assert 1 <= found[-1]["elapsed_s"] - found[0]["elapsed_s"] <= 4


async def test_a_stream_resumes_after_the_last_event_it_saw(stage: Any) -> None:
    async with stage() as it:
        first = await events(it, 2)
        await asyncio.sleep(1.2)
        again = await events(it, 2, headers={"Last-Event-ID": first[0][0]})
        assert again[0] == first[1]
        assert int(again[1][0]) > int(first[1][0])


@pytest.mark.parametrize("last", ["99999999999999999", "1"], ids=["of-the-future", "long-gone"])
async def test_an_id_that_is_not_kept_any_more_leads_to_the_present(stage: Any, last: str) -> None:
    async with stage() as it:
        assert await events(it, 1, headers={"Last-Event-ID": last})


async def test_an_id_that_is_none_is_refused(stage: Any) -> None:
    headers = {**HEADERS, "Last-Event-ID": "x"}
    async with stage() as it, it.http.get(it.url + "/api/esr/score", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "bad_input")


async def test_the_stream_of_an_unknown_drill_is_not_found(stage: Any) -> None:
    async with stage() as it, it.http.get(it.url + "/api/esr/score?drill=x", headers=HEADERS) as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "unknown_drill")


async def test_the_stream_of_one_drill_stays_with_it(stage: Any) -> None:
    async with stage() as it:
        first = await started(it)
        await it.api.start_drill(target="staging", cohort="agents")
        await it.api.post_outcomes(LINES, drill=first)
        await it.api.stop_drill(first)
        [(_, card)] = await events(it, 1, query=f"?drill={first}")
        assert (card["drill"], card["phase"], card["requests"]) == (first, "ended", 2)
        again = (await events(it, 2, query=f"?drill={first}"))[1][1]
        assert again["elapsed_s"] == card["elapsed_s"]


async def test_stopping_the_admin_ends_streams_at_once(stage: Any) -> None:
    async with asyncio.timeout(5), stage() as it:
        answer = await it.http.get(it.url + "/api/esr/score", headers=HEADERS)
        assert answer.status == 200


async def test_streams_that_are_left_do_not_stay_watched(stage: Any) -> None:
    async with stage() as it:
        for _ in range(5):
            await events(it, 1)
        async with aclosing(it.api.follow_score()) as cards:
            async for _ in cards:
                break
        await events(it, 2)


# -- outcomes from outside


async def test_outcomes_from_outside_are_counted_like_our_own(stage: Any) -> None:
    async with stage() as it:
        drill = await started(it)
        assert await it.api.post_outcomes(LINES) == {"drill": drill, "counted": 2}
        assert await it.api.post_outcomes(LINES) == {"drill": drill, "counted": 2}
        [(_, card)] = await events(it, 1, query=f"?drill={drill}")
        assert (card["requests"], card["users"], card["avg_wait"], card["error_pct"]) == (4, 2, 1.0, 50.0)
        totals = await it.store.read_score(drill)
        assert totals.wait.get_total_count() == 4
        assert (await it.store._client.hlen(f"esr:score:{drill}:wait")) == 1


async def test_posts_at_the_same_time_lose_nothing(stage: Any) -> None:
    async with stage() as it:
        drill = await started(it)
        await asyncio.gather(*(it.api.post_outcomes(LINES) for _ in range(20)))
        totals = await it.store.read_score(drill)
        assert (totals.counters["requests"], totals.wait.get_total_count()) == (40, 40)


async def test_a_wrong_line_refuses_all_lines(stage: Any) -> None:
    async with stage() as it:
        drill = await started(it)
        with pytest.raises(BadInput, match="line 3: user: '' is not a text") as caught:
            await it.api.post_outcomes(LINES + b'{"user":"","wait":1,"status":200}')
        assert caught.value.code == "bad_lines"
        assert (await it.store.read_score(drill)).counters == {}


async def test_outcomes_without_a_drill_are_a_conflict(stage: Any) -> None:
    async with stage() as it:
        with pytest.raises(Conflict) as caught:
            await it.api.post_outcomes(LINES)
        assert caught.value.code == "no_drill"
        with pytest.raises(NotFound):
            await it.api.post_outcomes(LINES, drill="nobody")


async def test_a_body_beyond_the_bound_is_refused(stage: Any) -> None:
    async with stage() as it:
        await started(it)
        with pytest.raises(BadInput) as caught:
            await it.api.post_outcomes(b" " * (MOST_BYTES + 1))
        assert caught.value.code == "too_large"


async def test_outcomes_of_an_outage_count_once_sent_again_or_not(stage: Any, redis_server: Any) -> None:
    async with stage() as it:
        drill = await started(it)
        await it.api.post_outcomes(LINES)
        redis_server.stop()
        for _ in range(2):
            with pytest.raises(Unavailable, match="send them again"):
                await it.api.post_outcomes(LINES)
        redis_server.start()
        await it.api.post_outcomes(LINES)
        await it.api.post_outcomes(LINES, key="of the sender's own")
        await it.api.post_outcomes(LINES, key="of the sender's own")
        totals = await it.store.read_score(drill)
        assert (totals.counters["requests"], totals.wait.get_total_count()) == (6, 6)


async def test_lines_that_redis_did_not_confirm_are_offered_again_by_themselves(
    stage: Any, eventually: Any, monkeypatch: Any
) -> None:
    async with stage() as it:
        drill = await started(it)
        with losing(monkeypatch, when="before"), pytest.raises(Unavailable, match="will be counted"):
            await it.api.post_outcomes(LINES)

        async def are_counted() -> bool:
            return bool((await it.store.read_score(drill)).counters.get("requests") == 2)

        await eventually(are_counted)


@contextmanager
def losing(monkeypatch: Any, *, when: str) -> Iterator[None]:
    """Let each count get lost on the way to Redis (`before`), or its answer on the way back (`after`)."""
    add_score = Store.add_score

    async def lossy(self: Store, drill_id: str, delta: ScoreDelta) -> bool:
        if when == "after":
            await add_score(self, drill_id, delta)
        raise Unavailable("no answer came", code="redis_unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_score", lossy)
        yield


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("restarts", [False, True], ids=["", "admin-restarts"])
async def test_lines_whose_answer_got_lost_count_once_when_sent_again(
    stage: Any, monkeypatch: Any, when: str, restarts: bool
) -> None:
    async with AsyncExitStack() as stack:
        it = await stack.enter_async_context(stage())
        drill = await started(it)
        with losing(monkeypatch, when=when), pytest.raises(Unavailable):
            await it.api.post_outcomes(LINES, key="k")
        if restarts:
            await stack.aclose()
            it = await stack.enter_async_context(stage())
        for _ in range(2):
            assert await it.api.post_outcomes(LINES, key="k") == {"drill": drill, "counted": 2}
        await it.api.post_outcomes(LINES, key="another")
        totals = await it.store.read_score(drill)
        assert (totals.counters["requests"], totals.wait.get_total_count()) == (4, 4)


async def test_two_admins_count_one_key_once_also_at_the_same_time(stage: Any, eventually: Any) -> None:
    async with stage() as one, stage() as two:
        drill = await started(one)
        await eventually(lambda: knows(two, drill))
        posts = [admin.api.post_outcomes(LINES, key=f"k{number}") for number in range(10) for admin in (one, two)]
        await asyncio.gather(*posts)
        await one.api.post_outcomes(LINES)
        await two.api.post_outcomes(LINES)
        totals = await one.store.read_score(drill)
        assert (totals.counters["requests"], totals.wait.get_total_count()) == (24, 24)


async def knows(admin: Any, drill: str) -> bool:
    return drill in [one["id"] for one in await admin.api.drills()]


async def test_other_lines_under_the_same_key_are_other_lines(stage: Any) -> None:
    async with stage() as it:
        drill = await started(it)
        await it.api.post_outcomes(LINES, key="k")
        await it.api.post_outcomes(LINES + LINES, key="k")
        assert (await it.store.read_score(drill)).counters["requests"] == 6


@pytest.mark.parametrize("key", ["k" * 201, "\u00e9"], ids=["long", "not-ascii"])
async def test_a_key_that_is_none_is_refused(stage: Any, key: str) -> None:
    async with stage() as it:
        await started(it)
        with pytest.raises(BadInput, match="Idempotency-Key"):
            await it.api.post_outcomes(LINES, key=key)


async def test_during_an_outage_the_stream_repeats_what_it_knows_and_then_goes_on(
    stage: Any, redis_server: Any
) -> None:
    async with stage() as it:
        drill = await started(it)
        await it.api.post_outcomes(LINES)
        await events(it, 2)
        redis_server.stop()
        cards = [card for _, card in await events(it, 2)]
        assert [card["requests"] for card in cards] == [2, 2]
        redis_server.start()
        await it.api.post_outcomes(LINES)
        assert (await events(it, 2))[1][1]["requests"] == 4
        assert cards[0]["drill"] == drill


# -- leaks


async def test_the_leak_report_tells_reasons_and_dials(stage: Any) -> None:
    async with stage() as it:
        assert (await it.api.leaks())["drill"] is None
        drill = await started(it)
        recorder = Recorder("proxy-1")
        recorder.count("blocked", 3)
        recorder.count("blocked:host is not listed", 2)
        recorder.count("blocked:address literal")
        recorder.count("dial:127.0.2.1:8080", 9)
        delta = recorder.take()
        assert delta is not None
        await it.store.add_score(drill, delta)
        assert await it.api.leaks() == {
            "drill": drill,
            "production_dials": 0,
            "kernel_drops": 0,
            "blocked": {"total": 3, "reasons": {"host is not listed": 2, "address literal": 1}},
            "dials": {"127.0.2.1:8080": 9},
        }
        await it.api.stop_drill(drill)
        assert (await it.api.leaks())["drill"] == drill


def test_a_leak_report_of_nothing_is_zeros() -> None:
    assert leak_report({}) == {
        "production_dials": 0,
        "kernel_drops": 0,
        "blocked": {"total": 0, "reasons": {}},
        "dials": {},
    }
