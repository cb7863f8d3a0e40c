"""Health, readiness and metrics over real HTTP."""

from __future__ import annotations

import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

HEADERS = {"Authorization": "Bearer a-token-of-the-tests"}
LOST = "applies epoch {}, which this switch does not know: end every drill first (mode live), then start again"


async def ready(it: Any) -> tuple[int, Any]:
    async with it.http.get(it.url + "/readyz") as answer:
        return answer.status, await answer.json()


async def test_without_nodes_the_switchboard_is_ready(stage: Any) -> None:
    async with stage() as it:
        assert await ready(it) == (200, {"ready": True, "epoch": 0, "degraded": False, "waiting": {}})


async def test_nodes_that_follow_are_ready_also_after_a_toggle(stage: Any) -> None:
    async with stage() as it, it.node("p1"), it.node("p2"):
        await it.api.set_mode("sandbox", cohort="rookies")
        assert (await ready(it))[0] == 200


async def test_who_is_not_ready_is_named_with_the_reason(stage: Any, eventually: Any) -> None:
    async with stage() as it, it.node("p1"):
        await it.api.set_mode("sandbox", cohort="rookies")
        await it.says("starting", ready=False, note="reads the estate")
        await it.says("quiet", seen=time.time() - 60)
        await it.says("behind", epoch=1)
        await it.says("late", epoch=1, lineage="")
        await it.says("fresh", epoch=0, lineage="", ready=False)
        await it.says("above", epoch=40)
        await it.says("stranger", lineage="another")

        async def are_told() -> bool:
            status, report = await ready(it)
            return status == 503 and report["waiting"] == {
                "behind": "applies epoch 1, not 2 yet",
                "late": "applies epoch 1, not 2 yet",
                "fresh": "applies epoch 0, not 2 yet",
                "above": LOST.format(40),
                "stranger": LOST.format(2),
                "quiet": "was not heard of for 60 s",
                "starting": "reads the estate",
            }

        await eventually(are_told)


async def test_an_admin_that_never_saw_redis_runs_but_is_not_ready(
    stage: Any, redis_server: Any, eventually: Any
) -> None:
    redis_server.stop()
    async with stage() as it:
        assert await it.api.health() == {"status": "ok"}
        status, report = await ready(it)
        assert (status, report["degraded"], list(report["waiting"])) == (503, True, ["admin"])
        redis_server.start()

        async def is_ready() -> bool:
            return (await ready(it))[0] == 200

        await eventually(is_ready)


async def test_while_it_listens_for_nodes_the_admin_is_not_ready(stage: Any, eventually: Any) -> None:
    async with stage(trust_after_s=1.0) as it:
        status, report = await ready(it)
        assert (status, report["degraded"], list(report["waiting"])) == (503, False, ["admin"])
        assert "listens for nodes" in report["waiting"]["admin"]
        assert await it.store.read_switch() is None

        async def is_ready() -> bool:
            return (await ready(it))[0] == 200

        await eventually(is_ready)
        assert await it.store.read_switch() is not None


async def test_metrics_tell_switch_nodes_and_figures(stage: Any, eventually: Any) -> None:
    async with stage() as it, it.node("p1"):
        drill = await it.api.start_drill(target="staging", cohort="rookies")
        await it.api.post_outcomes(b'{"user":"a","wait":0.5,"status":500}')

        async def are_there() -> bool:
            found = samples(await it.api.metrics())
            label = ("drill", drill["id"])
            return found.get(("esr_drill_requests_total", label)) == 1.0 and found == {
                **found,
                ("esr_epoch",): 2.0,
                ("esr_sandbox",): 1.0,
                ("esr_redis_up",): 1.0,
                ("esr_node_epoch", ("node", "p1"), ("role", "proxy")): 2.0,
                ("esr_drill_errors_total", label): 1.0,
                ("esr_drill_production_dials_total", label): 0.0,
                ("esr_drill_wait_seconds_total", label): 0.5,
                ("esr_drill_users", label): 1.0,
            }

        await eventually(are_there)


def samples(text: str) -> dict[tuple[Any, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_come_in_the_format_of_prometheus(stage: Any) -> None:
    async with stage() as it, it.http.get(it.url + "/metrics", headers=HEADERS) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
