"""Play one scenario for one drill. Cancelling `play` is how it is stopped: what is on the way is cut off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from generator.entry import Draw, Entry, Visit
from generator.pacing import Pacer
from generator.player import Limits, Player
from generator.replay import PAUSE_AFTER, Replay
from generator.request import Sanitiser, take_aim
from generator.sessions import Cast, fill_cast, identity
from generator.source import Source, open_source
from generator.visitors import synthesise
from generator.wire import Resolve, Wire, resolve
from switchboard.drill import Drill
from switchboard.scenario import Scenario
from switchboard.scorecard import Recorder
from switchboard.switch import Switch

DEFAULT_USERS = 10
CENSUS_LINES = 1_000_000


def as_drilled(scenario: Scenario, drill: Drill) -> Scenario:
    """Return the scenario with what the drill overrides."""
    wishes = {"speed": drill.speed, "users": drill.users, "duration": drill.duration, "seed": drill.seed}
    return scenario.model_copy(update={key: value for key, value in wishes.items() if value is not None})


async def play(
    drill: Drill,
    scenario: Scenario,
    *,
    switch: Callable[[], Switch],
    recorder: Recorder,
    base: Path,
    played_s: float = 0.0,
    limits: Limits | None = None,
    resolve: Resolve = resolve,
) -> None:
    """Play a scenario until it is exhausted, its duration is over, or the task is cancelled.

    `switch` returns the newest switch; `base` is the folder that a relative `log_path` starts from. The first
    `played_s` seconds are passed over (`skipped:already_played`), for a drill that goes on after a break.
    Raises BadInput for a log, origin, route or locale that cannot be used. Failed requests are outcomes.
    """
    limits = limits or Limits()
    scenario = as_drilled(scenario, drill)
    target = switch().estate.targets[drill.target]
    aim = take_aim(scenario, drill.id, target)
    draw = random.Random(scenario.seed).random
    if scenario.source == "replay_logs":
        visits, unsent = await _recorded(scenario, recorder, base=base, draw=draw, limits=limits)
    else:
        visits, unsent = _synthetic(scenario, recorder, draw=draw), _nothing
    async with Wire(
        sandbox=drill.target,
        switch=switch,
        dialled=lambda place: recorder.count(f"dial:{place}"),
        ca=target.ca,
        connections=limits.in_flight,
        resolve=resolve,
    ) as wire:
        sanitiser = Sanitiser(drill.id, target.credentials)
        player = Player(aim, sanitiser, wire, switch=switch, recorder=recorder, in_flight=limits.in_flight)
        pacer = Pacer(
            speed=scenario.speed,
            gap_cap_s=scenario.gap_cap,
            first=0.0 if scenario.source == "synthetic" else None,
        )
        await player.perform(visits, unsent, pacer=pacer, duration=scenario.duration, played_s=played_s)


def _nothing() -> int:
    return 0


def _synthetic(scenario: Scenario, recorder: Recorder, *, draw: Draw) -> Iterator[Visit]:
    assert scenario.profile is not None
    return synthesise(
        scenario.profile,
        users=scenario.users or DEFAULT_USERS,
        seed=scenario.seed,
        draw=draw,
        count=recorder.count,
    )


async def _recorded(
    scenario: Scenario, recorder: Recorder, *, base: Path, draw: Draw, limits: Limits
) -> tuple[Iterator[Visit | None], Callable[[], int]]:
    """Return the visits of a log, and how many of them were read but not handed out yet."""
    assert scenario.log_path is not None
    source = await asyncio.to_thread(open_source, scenario.log_path, base, format=scenario.format)
    cast = await _cast(source, scenario)
    replay = Replay(
        source.items(), cast=cast, draw=draw, count=recorder.count, span_s=limits.span_s, bound=limits.bound
    )
    return replay.visits(), lambda: replay.unsent


async def _cast(source: Source, scenario: Scenario) -> Cast:
    """Return who plays; where users are asked for, the clients of the part that will be played are counted first."""
    if scenario.users is None:
        return Cast(seed=scenario.seed)
    census: set[int] = set()
    pacer = Pacer(speed=scenario.speed, gap_cap_s=scenario.gap_cap)
    for lines, item in enumerate(source.items()):
        if lines % PAUSE_AFTER == 0:
            await asyncio.sleep(0)
        if lines >= CENSUS_LINES:
            break
        if isinstance(item, Entry):
            pacer.due(item.stamp)
            if scenario.duration is not None and pacer.offset_s > scenario.duration:
                break
            census.add(identity(scenario.seed, item.client, item.agent))
    return fill_cast(census, users=scenario.users, seed=scenario.seed)
