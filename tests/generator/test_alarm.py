from __future__ import annotations

import asyncio
import sys
import time

import pytest

from generator.alarm import Alarm


@pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
async def test_an_alarm_is_closer_than_the_loops_own_timers() -> None:
    late = []
    with Alarm() as alarm:
        for _ in range(50):
            due = time.monotonic() + 0.0013
            await alarm.sleep(due - time.monotonic())
            late.append(time.monotonic() - due)
    assert min(late) >= 0
    assert sorted(late)[25] < 0.0005


async def test_a_wait_of_nothing_lets_others_run_once() -> None:
    ran: list[int] = []
    asyncio.get_running_loop().call_soon(ran.append, 1)
    with Alarm() as alarm:
        await alarm.sleep(0)
    assert ran == [1]


async def test_a_cancelled_wait_leaves_the_alarm_usable() -> None:
    with Alarm() as alarm:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alarm.sleep(30), 0.01)
        await alarm.sleep(0.001)


async def test_without_a_timer_file_the_loop_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
    with Alarm() as alarm:
        began = time.monotonic()
        await alarm.sleep(0.002)
    assert time.monotonic() - began >= 0.002
