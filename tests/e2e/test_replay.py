"""A month of a real site's log at 2000x: memory stays flat and every line is accounted for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from switchboard.demo import log_lines
from switchboard.roles import opened_store
from tests.e2e.town import Town, town

SCENARIO = """
id: a_month
source: replay_logs
log_path: {log}
origin: https://www.cms.example
speed: 2000x
duration: 30s
"""
LINES = 206_860
MOST_GROWTH_KIB = 64 * 1024


@pytest.fixture
def log(data: Path) -> Path:
    return data.resolve() / "logs" / "airisdata_combined_2016.log.gz"


@pytest.fixture
async def place(log: Path) -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        scenarios = Path(folder) / "scenarios"
        scenarios.mkdir()
        (scenarios / "a_month.yml").write_text(SCENARIO.format(log=log))
        async with town(Path(folder), scenarios=scenarios) as running:
            yield running


def resident_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


@pytest.mark.data
async def test_every_line_is_sent_or_skipped_for_a_reason_in_flat_memory(place: Town) -> None:
    (pid,) = place.pids("serve generator")
    drill = (await place.api.start_drill(scenario="a_month"))["id"]
    memory = []
    for _ in range(34):
        await asyncio.sleep(1)
        memory.append(resident_kib(pid))
    await place.api.stop_drill(drill)
    async with opened_store(place.settings) as store:
        for _ in range(100):
            counters = (await store.read_score(drill)).counters
            lines = log_lines(counters)
            if lines["read"] == lines["sent"] + sum(lines["skipped"].values()):
                break
            await asyncio.sleep(0.2)
    print(f"lines {lines}, memory {min(memory)} to {max(memory)} KiB")
    # 30 s at 2000x are a good sixteen hours of the log: it is read as far as it is due, never ahead of it.
    assert 0 < lines["read"] <= LINES
    assert lines["read"] == lines["sent"] + sum(lines["skipped"].values())
    assert lines["sent"] > 1000
    assert max(memory[5:]) - memory[4] < MOST_GROWTH_KIB, memory
