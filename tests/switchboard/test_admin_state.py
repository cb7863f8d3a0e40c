"""Nodes that obey another history than this admin's: what it writes, refuses and says, over real HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from switchboard.errors import Conflict, Unavailable
from switchboard.store import Store

HEADERS = {"Authorization": "Bearer a-token-of-the-tests"}


async def is_phase(admin: Any, phase: str) -> bool:
    return [drill["phase"] for drill in (await admin.api.state())["drills"]] == [phase]


async def obeys(admin: Any, epoch: int) -> bool:
    return [node["epoch"] for node in (await admin.api.state())["nodes"]] == [epoch]


@pytest.mark.parametrize("more", [{}, {"lineage": "another"}], ids=["same-lineage", "another-lineage"])
async def test_what_nodes_obey_but_nobody_knows_any_more_ends_only_when_told(
    stage: Any, eventually: Any, more: dict[str, str]
) -> None:
    async with stage() as it:
        await it.says("p1", epoch=40, note="as before", **more)
        await eventually(lambda: obeys(it, 40))
        with pytest.raises(Conflict, match=r"node 'p1' applies epoch 40.*end every drill first") as caught:
            await it.api.start_drill(target="staging", cohort="rookies")
        assert caught.value.code == "switch_lost"
        [node] = (await it.api.state())["nodes"]
        assert (node["note"], node["problem"][:16]) == ("as before", "applies epoch 40")
        async with it.http.put(it.url + "/api/esr/mode", json={"mode": "live"}, headers=HEADERS) as answer:
            assert (answer.status, (await answer.json())["epoch"]) == (202, 41)
        async with it.node("p1"):
            assert (await it.api.set_mode("live"))["epoch"] == 41
            assert (await it.api.start_drill(target="staging", cohort="rookies"))["phase"] == "running"


async def test_an_admin_that_found_nothing_listens_before_a_drill_may_begin(stage: Any, eventually: Any) -> None:
    async with stage(trust_after_s=0.5) as it:
        for start in (it.api.start_drill, it.api.set_mode):
            with pytest.raises(Unavailable, match="listened for") as caught:
                await start(*(["sandbox"] if start == it.api.set_mode else []), target="staging", cohort="rookies")
            assert caught.value.code == "not_trusted_yet"
        await eventually(lambda: is_written(it))
        assert (await it.api.start_drill(target="staging", cohort="rookies"))["phase"] == "running"


async def is_written(admin: Any) -> bool:
    return await admin.store.read_switch() is not None


async def lose_everything(redis_url: str) -> None:
    async with Store.open(redis_url) as store:
        await store._client.flushall()


async def test_a_restart_with_data_loss_starts_nothing_beside_what_nodes_obey(stage: Any, redis_url: str) -> None:
    async with stage() as it, it.node("p1"):
        await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        before = (await it.store.nodes())[0]
    await lose_everything(redis_url)
    async with stage(trust_after_s=0.5) as it:
        await asyncio.sleep(0.2)
        await it.store.acknowledge(before)  # its beat, once a second
        await asyncio.sleep(0.6)
        assert await it.store.read_switch() is None  # a fresh node must find nothing to let its clients through by
        with pytest.raises(Conflict) as caught:
            await it.api.set_mode("sandbox", target="staging", cohort="rookies")
        assert caught.value.code == "switch_lost"
        report = await it.api.readiness()
        assert (report["ready"], list(report["waiting"])) == (False, ["p1", "admin"])
        async with asyncio.TaskGroup() as tasks:
            ending = tasks.create_task(it.api.set_mode("live"))
            async with it.node("p1"):
                state = await ending
                assert (state["epoch"], state["nodes"][0]["epoch"]) == (before.epoch + 1, before.epoch + 1)
                assert (await it.store.nodes())[0].lineage not in ("", before.lineage)
                assert (await it.api.readiness())["ready"]


async def test_the_end_of_all_drills_waits_until_nodes_were_listened_to(stage: Any) -> None:
    async with stage(trust_after_s=0.6) as it, asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(it.api.set_mode("live"))
        await asyncio.sleep(0.2)
        await it.says("p1", epoch=40, lineage="another")
        async with it.node("p1"):
            assert (await ending)["epoch"] == 41


async def test_an_admin_that_stops_does_not_wait_for_nodes_to_be_heard(stage: Any) -> None:
    async with asyncio.timeout(4), stage(trust_after_s=60.0) as it, asyncio.TaskGroup() as tasks:
        ending = tasks.create_task(it.http.put(it.url + "/api/esr/mode", json={"mode": "live"}, headers=HEADERS))
        await asyncio.sleep(0.1)
        ending.cancel()


async def test_nodes_of_a_lost_switch_without_drills_need_nobody_to_tell_them(stage: Any, redis_url: str) -> None:
    async with stage() as it, it.node("p1"):
        before = (await it.store.nodes())[0]
        assert before.epoch == 0
    await lose_everything(redis_url)
    async with stage(trust_after_s=0.3) as it:
        await it.store.acknowledge(before)
        async with it.node("p1"):
            [node] = await it.store.nodes()
            assert (node.epoch, node.lineage != before.lineage) == (1, True)
            assert (await it.api.start_drill(target="staging", cohort="rookies"))["phase"] == "running"


async def test_a_start_that_meets_a_node_of_another_history_fails_and_names_it(stage: Any, eventually: Any) -> None:
    async with stage() as it, it.node("p1"), asyncio.TaskGroup() as tasks:
        await it.silent_node("p2")
        start = tasks.create_task(refused(it))
        await eventually(lambda: is_phase(it, "arming"))
        await it.says("p2", epoch=40, lineage="another")
        assert "node 'p2' applies epoch 40" in await start
        await eventually(lambda: is_phase(it, "failed"))


async def refused(admin: Any) -> str:
    with pytest.raises(Conflict) as caught:
        await admin.api.start_drill(target="staging", cohort="rookies")
    assert caught.value.code == "switch_lost"
    return str(caught.value)
