"""State, mode and drills over real HTTP, with nodes that only acknowledge."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from switchboard.errors import BadInput, Conflict, NotFound, Unavailable
from switchboard.estate import Estate

HEADERS = {"Authorization": "Bearer a-token-of-the-tests"}


async def test_the_state_of_a_fresh_switchboard_is_live(stage: Any) -> None:
    async with stage() as it:
        assert await it.api.state() == {"epoch": 0, "mode": "live", "drills": [], "nodes": [], "guard": "absent"}


async def test_the_small_toggle_leads_into_the_sandbox_and_back(stage: Any) -> None:
    async with stage() as it, it.node("p1"), it.node("p2"):
        state = await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        assert state["mode"] == "sandbox"
        drill = state["drills"][0]
        assert list(drill) == ["id", "scenario", "target", "cohort", "phase", "owner", "started", "deadline"]
        assert (drill["phase"], drill["cohort"], drill["scenario"]) == ("running", "rookies", None)
        assert [node["epoch"] for node in state["nodes"]] == [state["epoch"]] * 2
        assert list(state["nodes"][0]) == ["id", "role", "epoch", "ready", "last_seen_s", "note", "problem"]
        assert (state["nodes"][0]["note"], state["nodes"][0]["problem"]) == ("", None)
        state = await it.api.set_mode("live")
        assert (state["mode"], state["drills"][0]["phase"]) == ("live", "ended")
        assert [node["epoch"] for node in state["nodes"]] == [state["epoch"]] * 2


async def test_a_toggle_with_four_nodes_takes_milliseconds(stage: Any) -> None:
    async with stage() as it, it.node("p1"), it.node("p2"), it.node("g1"), it.node("d1"):
        times = []
        for _ in range(10):
            for mode in ({"mode": "sandbox", "target": "staging", "cohort": "rookies"}, {"mode": "live"}):
                started = time.perf_counter()
                await it.api.set_mode(**mode)
                times.append(time.perf_counter() - started)
        assert sorted(times)[-3] < 0.1


async def test_a_toggle_that_has_nothing_to_change_answers_200(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        first = await it.api.set_mode("live")
        assert first["epoch"] == 0
        on = await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        again = await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        assert (again["epoch"], len(again["drills"])) == (on["epoch"], 1)


async def test_the_only_target_is_meant_and_a_cohort_must_be_chosen(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        assert (await it.api.set_mode("sandbox", cohort="agents"))["drills"][0]["target"] == "staging"
        with pytest.raises(BadInput, match=r"cohort: is missing.*agents, late, rookies"):
            await it.api.set_mode("sandbox", target="staging")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"mode": "sandbox", "target": "prod", "cohort": "rookies"}, "unknown_target"),
        ({"mode": "sandbox", "target": "staging", "cohort": "nobody"}, "unknown_cohort"),
        ({"mode": "live", "cohort": "rookies"}, "bad_input"),
        ({"mode": "dark"}, "bad_input"),
    ],
)
async def test_a_wrong_toggle_is_refused(stage: Any, body: dict[str, str], code: str) -> None:
    async with stage() as it:
        with pytest.raises((BadInput, NotFound)) as caught:
            await it.api.set_mode(**body)
        assert caught.value.code == code


async def test_if_match_guards_against_a_race(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        with pytest.raises(Conflict, match="If-Match: 5") as caught:
            await it.api.set_mode("sandbox", target="staging", cohort="rookies", if_match=5)
        assert caught.value.code == "epoch_moved"
        state = await it.api.set_mode("sandbox", target="staging", cohort="rookies", if_match=0)
        assert (await it.api.set_mode("live", if_match=state["epoch"]))["mode"] == "live"


async def test_a_silent_node_makes_the_start_fail_with_its_name(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        await it.silent_node("p2-gone")
        started = time.monotonic()
        with pytest.raises(Conflict, match="p2-gone") as caught:
            await it.api.start_drill(target="staging", cohort="rookies")
        assert caught.value.code == "node_silent"
        assert 0.9 < time.monotonic() - started < 2.0
        state = await it.api.state()
        assert (state["mode"], state["drills"][0]["phase"]) == ("live", "failed")
        await it.store.goodbye("p2-gone")
        assert (await it.api.start_drill(target="staging", cohort="rookies"))["phase"] == "running"


async def test_a_drill_never_ends_before_a_silent_node_has_drained(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        await it.silent_node("p2-gone")
        async with it.http.put(it.url + "/api/esr/mode", json={"mode": "live"}, headers=HEADERS) as answer:
            assert answer.status == 202
            state = await answer.json()
        assert (state["mode"], state["drills"][0]["phase"]) == ("sandbox", "draining")
        await it.store.goodbye("p2-gone")
        assert (await it.api.set_mode("live"))["drills"][0]["phase"] == "ended"


async def test_a_drill_is_started_looked_at_and_stopped(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        drill = await it.api.start_drill(
            scenario="surge", target="staging", cohort="rookies", owner="trainer", max="1h", speed="4x", users=9
        )
        assert drill["id"].startswith("surge-")
        assert (drill["phase"], drill["speed"], drill["users"], drill["seed"]) == ("running", 4.0, 9, None)
        assert await it.api.drill(drill["id"]) == drill
        assert [one["id"] for one in await it.api.drills()] == [drill["id"]]
        ended = await it.api.stop_drill(drill["id"])
        assert (ended["phase"], ended["ended"] > drill["started"]) == ("ended", True)
        with pytest.raises(Conflict, match="can only be left as it is") as caught:
            await it.api.stop_drill(drill["id"])
        assert caught.value.code == "illegal_move"


async def test_a_start_answers_201_with_the_place_of_the_drill(stage: Any) -> None:
    async with stage() as it:
        body = {"scenario": "surge", "target": "staging", "cohort": None}
        async with it.http.post(it.url + "/api/esr/drills", json=body, headers=HEADERS) as answer:
            drill = await answer.json()
            assert (answer.status, answer.headers["Location"]) == (201, f"/api/esr/drills/{drill['id']}")


async def test_a_drill_pauses_and_resumes(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        drill = await it.api.start_drill(target="staging", cohort="rookies")
        assert (await it.api.pause_drill(drill["id"]))["phase"] == "paused"
        with pytest.raises(Conflict, match="paused cannot pause"):
            await it.api.pause_drill(drill["id"])
        assert (await it.api.resume_drill(drill["id"]))["phase"] == "running"


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        pytest.param({"scenario": "tsunami"}, "unknown_scenario", id="unknown-scenario"),
        pytest.param({"scenario": "broken"}, "invalid_file", id="broken-scenario"),
        pytest.param({"scenario": "narrow"}, "route_missing", id="scenario-for-another-target"),
        pytest.param({"target": "moon"}, "unknown_target", id="unknown-target"),
        pytest.param({"cohort": "nobody"}, "unknown_cohort", id="unknown-cohort"),
        pytest.param({"cohort": "none"}, "bad_input", id="nothing-to-do"),
        pytest.param({"users": 0}, "bad_input", id="bad-value"),
        pytest.param({"colour": "red"}, "bad_input", id="unknown-key"),
    ],
)
async def test_a_wrong_start_is_refused_and_changes_nothing(stage: Any, keys: dict[str, Any], code: str) -> None:
    async with stage() as it:
        with pytest.raises((BadInput, NotFound)) as caught:
            await it.api.start_drill(**{"cohort": "rookies", **keys})
        assert caught.value.code == code
        assert (await it.api.state())["epoch"] == 0


async def test_clients_are_in_one_drill_at_a_time(stage: Any) -> None:
    async with stage() as it, it.node("p1"):
        drill = await it.api.start_drill(target="staging", cohort="rookies")
        for cohort in ("rookies", "late"):
            with pytest.raises(Conflict, match=drill["id"]) as caught:
                await it.api.start_drill(target="staging", cohort=cohort)
            assert caught.value.code == "cohort_in_drill"
        await it.api.start_drill(target="staging", cohort="agents")
        assert (await it.api.state())["mode"] == "sandbox"


async def test_an_unknown_drill_is_not_found(stage: Any) -> None:
    async with stage() as it:
        for call in (it.api.drill, it.api.stop_drill, it.api.pause_drill, it.api.resume_drill):
            with pytest.raises(NotFound) as caught:
                await call("../state")
            assert caught.value.code == "unknown_drill"


async def test_changing_a_running_drill_is_not_in_this_version(stage: Any) -> None:
    async with stage() as it:
        drill = await it.api.start_drill(target="staging", cohort="rookies")
        url = f"{it.url}/api/esr/drills/{drill['id']}"
        async with it.http.patch(url, json={"speed": "3x"}, headers=HEADERS) as answer:
            assert (answer.status, (await answer.json())["code"]) == (501, "not_in_this_version")


async def test_an_estate_that_requires_the_guard_refuses_drills_without_it(stage: Any, estate: Estate) -> None:
    strict = estate.model_copy(update={"require_guard": True})
    async with stage(estate=strict) as it:
        with pytest.raises(Conflict, match="require_guard") as caught:
            await it.api.set_mode("sandbox", cohort="rookies")
        assert caught.value.code == "guard_absent"
    async with stage(estate=strict, guard="applied") as it:
        assert (await it.api.set_mode("sandbox", cohort="rookies"))["guard"] == "applied"


async def test_scenarios_are_listed_broken_ones_with_their_error(stage: Any) -> None:
    async with stage() as it:
        found = {one["id"]: one for one in await it.api.scenarios()}
        assert found["surge"]["title"] == "A surge"
        assert "2y" in found["broken"]["error"]


async def test_targets_are_listed_without_their_secrets(stage: Any) -> None:
    async with stage() as it:
        found = await it.api.targets()
        assert [one["name"] for one in found["cohorts"]] == ["agents", "late", "rookies"]
        assert found["targets"][0]["routes"] == [
            {"name": "portal", "from": "https://www.cms.example", "to": "http://sandbox.test:8080"}
        ]
        assert "hush-hush" not in str(found)


# -- more than one admin, and Redis going away


async def test_two_admins_that_race_leave_one_drill(stage: Any) -> None:
    async with stage() as one, stage() as two, one.node("p1"):
        starts = [admin.api.start_drill(target="staging", cohort="rookies") for admin in (one, two) * 4]
        results = await asyncio.gather(*starts, return_exceptions=True)
        started = [result for result in results if isinstance(result, dict)]
        refused = [result for result in results if isinstance(result, Conflict)]
        assert (len(started), len(refused)) == (1, 7)
        assert {error.code for error in refused} == {"cohort_in_drill"}
        states = [await admin.api.state() for admin in (one, two)]
        assert [len(state["drills"]) for state in states] == [1, 1]


async def test_an_admin_takes_over_what_a_dead_one_left_half_done(stage: Any, eventually: Any) -> None:
    async with stage() as one:
        await one.silent_node("p1")
        async with asyncio.TaskGroup() as tasks:
            start = tasks.create_task(one.api.start_drill(cohort="rookies"))
            await eventually(lambda: is_phase(one, "arming"))
            start.cancel()
    async with stage() as two, two.node("p1"):
        await eventually(lambda: is_phase(two, "running"))


async def is_phase(admin: Any, phase: str) -> bool:
    return [drill["phase"] for drill in (await admin.api.state())["drills"]] == [phase]


async def test_a_drill_ends_at_its_deadline(stage: Any, eventually: Any) -> None:
    async with stage() as it, it.node("p1"):
        drill = await it.api.start_drill(target="staging", cohort="rookies", max="1s")
        await eventually(lambda: is_phase(it, "ended"))
        assert (await it.api.drill(drill["id"]))["ended"] >= drill["deadline"]


async def test_without_redis_reads_answer_from_memory_and_writes_are_refused(
    stage: Any, redis_server: Any, eventually: Any
) -> None:
    async with stage() as it, it.node("p1"):
        before = await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        redis_server.stop()
        state = await it.api.state()
        assert (state["epoch"], state["mode"]) == (before["epoch"], "sandbox")
        with pytest.raises(Unavailable) as caught:
            await it.api.set_mode("live")
        assert caught.value.code == "redis_unavailable"
        await eventually(lambda: is_degraded(it))
        assert (await it.api.readiness())["ready"]
        redis_server.start()
        assert (await it.api.state())["mode"] == "sandbox"
        assert (await it.api.set_mode("live"))["mode"] == "live"


async def is_degraded(admin: Any) -> bool:
    return (await admin.api.readiness())["degraded"] is True


async def test_a_redis_that_lost_the_switch_gets_it_back_and_ends_nothing(stage: Any, eventually: Any) -> None:
    async with stage() as it, it.node("p1"):
        before = await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        await it.store._client.flushall()

        async def is_back() -> bool:
            found = await it.store.read_switch()
            return found is not None and (found.epoch, found.mode) == (before["epoch"], "sandbox")

        await eventually(is_back)
        assert await is_phase(it, "running")
