from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from generator.node import serve
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.ending import end
from switchboard.errors import Conflict, Unavailable
from switchboard.node import NodeState
from switchboard.scenario import Scenario
from switchboard.scorecard import ScoreTotals
from switchboard.store import Store
from tests.conftest import RedisServer
from tests.generator.stage import Sandbox, a_drill, a_line, a_scenario, an_estate

NODE = "generator-1"


class Desk:
    """What admin does in life: writes epochs, looks at nodes and scores."""

    def __init__(self, store: Store, stop: asyncio.Event) -> None:
        self.store = store
        self.stop = stop
        self.epoch = 0

    async def write(self, *drills: Drill) -> None:
        self.epoch += 1
        await self.store.write_switch(SwitchDocument(epoch=self.epoch, drills=drills))

    async def acknowledged(self) -> NodeState:
        async for nodes in self.store.watch_nodes(poll_s=0.02):
            for node in nodes:
                if node.id == NODE and node.epoch >= self.epoch:
                    return node
        raise AssertionError("the store ended")

    async def move(self, phase: Phase, **wishes: object) -> NodeState:
        await self.write(a_drill(phase, **wishes))
        return await self.acknowledged()

    async def score(self) -> ScoreTotals:
        return await self.store.read_score("d1")


async def until(condition: Callable[[], Awaitable[bool]], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not await condition():  # noqa: ASYNC110 - what is waited for lies in another process
            await asyncio.sleep(0.02)


@asynccontextmanager
async def a_node(url: str, sandbox: Sandbox, base: Path, **scenarios: Scenario) -> AsyncIterator[Desk]:
    stop = asyncio.Event()
    estate = an_estate(sandbox.url)
    async with Store.open(url) as store, Store.open(url) as desk_store, asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(estate, store=store, node_id=NODE, scenarios=lambda: scenarios, base=base, stop=stop))
        try:
            async with asyncio.timeout(30):
                yield Desk(desk_store, stop)
        finally:
            stop.set()


def write_log(folder: Path, lines: int) -> None:
    (folder / "a.log").write_text("".join(a_line(n, f"GET /{n}") for n in range(lines)))


async def test_a_drill_is_played_only_while_it_is_running(redis_url: str, sandbox: Sandbox, tmp_path: Path) -> None:
    write_log(tmp_path, 3000)
    async with a_node(redis_url, sandbox, tmp_path, surge=a_scenario(speed="100x")) as desk:
        await desk.write()
        node = await desk.acknowledged()
        assert (node.role, node.ready, node.note) == ("generator", True, "")
        await desk.move(Phase.ARMING)
        await asyncio.sleep(0.1)
        assert sandbox.seen == []
        await desk.move(Phase.RUNNING)
        await until(lambda: _true(len(sandbox.seen) > 20))
        began = time.monotonic()
        await desk.move(Phase.DRAINING)
        took = time.monotonic() - began
        sent = len(sandbox.seen)
        await asyncio.sleep(0.2)
        assert len(sandbox.seen) == sent
        assert took < 0.3  # switch noticed, traffic silent, figures handed over, acknowledged
        counters = (await desk.score()).counters
        assert counters["sent"] == counters["requests"] + counters.get("cut", 0) >= sent - 1
        skipped = sum(number for name, number in counters.items() if name.startswith("skipped:"))
        assert counters["read"] == counters["sent"] + skipped


async def _true(value: bool) -> bool:
    return value


async def test_a_slow_sandbox_does_not_delay_the_stop(redis_url: str, sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.delay_s = 10.0
    write_log(tmp_path, 3000)
    async with a_node(redis_url, sandbox, tmp_path, surge=a_scenario(speed="100x")) as desk:
        await desk.acknowledged()
        await desk.move(Phase.RUNNING)
        await until(lambda: _true(len(sandbox.seen) > 20))
        began = time.monotonic()
        await desk.move(Phase.DRAINING)
        assert time.monotonic() - began < 0.3


async def test_a_pause_goes_on_where_it_was(redis_url: str, sandbox: Sandbox, tmp_path: Path) -> None:
    write_log(tmp_path, 100)
    async with a_node(redis_url, sandbox, tmp_path, surge=a_scenario(speed="100x")) as desk:
        await desk.acknowledged()
        await desk.move(Phase.RUNNING)
        await until(lambda: _true(len(sandbox.seen) > 20))
        await desk.move(Phase.PAUSED)
        before = len(sandbox.seen)
        await asyncio.sleep(0.3)
        assert len(sandbox.seen) == before
        await desk.move(Phase.RUNNING)
        await until(lambda: _true(sandbox.paths[-1] == "/99"))
        assert len(set(sandbox.paths)) >= 95
        assert len(sandbox.paths) <= 105


async def test_a_finished_scenario_is_not_begun_again(redis_url: str, sandbox: Sandbox, tmp_path: Path) -> None:
    write_log(tmp_path, 5)
    async with a_node(redis_url, sandbox, tmp_path, surge=a_scenario()) as desk:
        await desk.acknowledged()
        await desk.move(Phase.RUNNING)
        await until(lambda: _requests(desk, 5))
        await desk.move(Phase.RUNNING)
        await asyncio.sleep(0.2)
        assert len(sandbox.seen) == 5
        assert (await desk.score()).users == 1


async def _requests(desk: Desk, number: int) -> bool:
    return (await desk.score()).counters.get("requests", 0) >= number


async def test_while_redis_is_away_traffic_goes_on_and_nothing_counts_twice(
    redis_server: RedisServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_log(tmp_path, 300)
    async with a_node(redis_server.url, sandbox, tmp_path, surge=a_scenario(speed="100x")) as desk:
        await desk.acknowledged()
        await desk.move(Phase.RUNNING)
        await until(lambda: _requests(desk, 20))
        redis_server.stop()
        before = len(sandbox.seen)
        await until(lambda: _true(len(sandbox.seen) > before + 60))
        await asyncio.to_thread(redis_server.start)
        await until(lambda: _all_counted(desk, 300), 10)
        score = await desk.score()
        assert len(sandbox.seen) == score.counters["requests"] == 300
        assert score.wait.get_total_count() == score.pacing.get_total_count() == 300
        assert score.counters["read"] == 300


async def _all_counted(desk: Desk, number: int) -> bool:
    with suppress(Unavailable):
        return await _requests(desk, number)
    return False


@pytest.mark.parametrize(
    ("drill", "said"),
    [
        pytest.param({"scenario": "none"}, "scenario 'none' is not there", id="scenario that is not there"),
        pytest.param({"scenario": "broken"}, "log_path: none.log is not a file", id="log that is not there"),
    ],
)
async def test_a_drill_that_cannot_be_played_is_told_by_the_node(
    redis_url: str, sandbox: Sandbox, tmp_path: Path, drill: dict[str, str], said: str
) -> None:
    async with a_node(redis_url, sandbox, tmp_path, broken=a_scenario(log_path="none.log")) as desk:
        await desk.acknowledged()
        await desk.move(Phase.RUNNING, **drill)

        async def told() -> bool:
            return any(said in node.note for node in await desk.store.nodes())

        await until(told)


async def test_an_epoch_that_cannot_be_applied_is_not_acknowledged(
    redis_url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with a_node(redis_url, sandbox, tmp_path) as desk:
        await desk.acknowledged()
        await desk.write(a_drill(target="elsewhere"))

        async def told() -> bool:
            nodes = await desk.store.nodes()
            return any("'elsewhere' is not in the estate" in node.note and not node.ready for node in nodes)

        await until(told)
        assert [node.epoch for node in await desk.store.nodes()] == [0]  # nothing was applied before it either
        await desk.write()
        assert (await desk.acknowledged()).ready


async def test_with_nothing_in_the_store_a_node_registers_and_waits_for_the_switch(
    redis_url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with a_node(redis_url, sandbox, tmp_path) as desk:
        node = await desk.acknowledged()
        assert (node.epoch, node.lineage, node.ready, node.note) == (0, "", False, "waits for the switch")
        await desk.store.restore_switch(SwitchDocument(epoch=0, lineage="ours"))

        async def is_ready() -> bool:
            [node] = await desk.store.nodes()
            return (node.epoch, node.lineage, node.ready, node.note) == (0, "ours", True, "")

        await until(is_ready)


async def test_a_node_is_registered_before_it_reads_the_switch(
    redis_url: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered: list[tuple[str, bool]] = []
    read_switch = Store.read_switch

    async def read(self: Store) -> SwitchDocument | None:
        registered.extend((node.id, node.ready) for node in await self.nodes() if not registered)
        return await read_switch(self)

    monkeypatch.setattr(Store, "read_switch", read)
    async with a_node(redis_url, sandbox, tmp_path) as desk:
        await desk.acknowledged()
    assert registered == [(NODE, False)]


async def test_an_epoch_is_told_only_once_what_it_ends_is_silent(
    redis_url: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.node.BEAT_S", 0.02)
    silent = asyncio.Event()

    async def stubborn(*_: object, **__: object) -> None:
        while not silent.is_set():  # whatever is still on the way comes to its end, cancelled or not
            with suppress(asyncio.CancelledError):
                await silent.wait()

    monkeypatch.setattr("generator.node.play", stubborn)
    async with a_node(redis_url, sandbox, tmp_path, surge=a_scenario()) as desk:
        running = await desk.move(Phase.RUNNING)
        await desk.write(a_drill(Phase.DRAINING))
        before = time.time()

        async def beats() -> bool:
            [node] = await desk.store.nodes()
            assert node.epoch == running.epoch
            return node.seen > before + 0.4

        await until(beats)
        silent.set()
        assert (await desk.acknowledged()).epoch == running.epoch + 1


async def test_a_second_process_with_the_same_id_does_not_start(
    redis_url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    async with a_node(redis_url, sandbox, tmp_path) as desk:
        first = await desk.acknowledged()
        estate = an_estate(sandbox.url)
        with pytest.raises(Conflict, match="another process") as caught:
            await serve(estate, store=desk.store, node_id=NODE, scenarios=dict, base=tmp_path, stop=asyncio.Event())
        assert caught.value.code == "node_taken"
        assert [node.incarnation for node in await desk.store.nodes()] == [first.incarnation]


async def test_a_node_whose_id_was_taken_over_falls_silent_and_ends(
    redis_url: str, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("generator.node.BEAT_S", 0.02)
    write_log(tmp_path, 3000)

    async def taken_over() -> None:
        async with a_node(redis_url, sandbox, tmp_path, surge=a_scenario(speed="100x")) as desk:
            await desk.move(Phase.RUNNING)
            await until(lambda: _true(len(sandbox.seen) > 20))
            other = (await desk.store.nodes())[0].model_copy(update={"incarnation": "other"})
            # At once: a beat between a goodbye and a registration would take the id back.
            await desk.store._client.set(f"esr:node:{NODE}", other.model_dump_json())
            await asyncio.sleep(30)

    with pytest.raises(ExceptionGroup) as caught:
        await taken_over()
    assert caught.group_contains(Conflict, match="another process")
    sent = len(sandbox.seen)
    await asyncio.sleep(0.2)
    assert len(sandbox.seen) == sent
    async with Store.open(redis_url) as store:
        assert [node.incarnation for node in await store.nodes()] == ["other"]


async def test_a_node_says_goodbye(redis_url: str, sandbox: Sandbox, tmp_path: Path) -> None:
    async with a_node(redis_url, sandbox, tmp_path) as desk:
        await desk.acknowledged()
    async with Store.open(redis_url) as store:
        assert await store.nodes() == ()


async def test_a_generator_that_takes_over_passes_over_what_was_played(
    redis_url: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    write_log(tmp_path, 100)
    async with Store.open(redis_url) as store:
        started = "2020-01-01T00:00:00+00:00"  # the whole log has been played since then
        await store.write_switch(SwitchDocument(epoch=1, drills=(a_drill(started=started),)))
    async with a_node(redis_url, sandbox, tmp_path, surge=a_scenario()) as desk:

        async def passed() -> bool:
            return (await desk.score()).counters.get("skipped:already_played", 0) == 100

        await until(passed)
    assert sandbox.seen == []


async def test_a_task_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    async def stubborn() -> None:
        for _ in range(2):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(30)
        await asyncio.sleep(30)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(stubborn())
        await asyncio.sleep(0)
        await end([task])
    assert task.cancelled()
