"""A real sandbox server on loopback, and an estate, a switch and a drill that lead to it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from generator.player import Limits
from generator.run import play
from generator.wire import Resolve, resolve
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.estate import Estate
from switchboard.estate_file import parse_estate
from switchboard.scenario import Scenario
from switchboard.scorecard import Recorder
from switchboard.switch import Switch, compile_switch

ESTATE = """
version: 1
production:
  hosts: [www.cms.example, api.cms.example, old.cms.example]
  networks: [127.0.1.0/24]
targets:
  staging:
    routes:
      - {{from: "https://www.cms.example", to: "{www}"}}
      - {{from: "https://api.cms.example/profile", to: "{api}/sandbox", name: svc-profile, methods: [GET, PUT]}}
      - {{from: "https://api.cms.example", to: "{api}"}}
    block: [old.cms.example]
    allow: [fonts.example.net]
    credentials:
      - {{in: header, name: X-Agency-Pass, twin: {{value: demo}}}}
      - {{in: query, name: ticket, twin: {{value: demo}}}}
    mocks:
      - {{match: "POST https://www.cms.example/pay", status: 202, json: {{accepted: true}}}}
listeners: {{proxy: ["regular@127.0.0.1:0"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}}
"""


@dataclass
class Sandbox:
    """What the server received, and how it answers."""

    url: str = ""
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    text: str = "sandbox"
    keep: bool = True
    count: int = 0

    @property
    def paths(self) -> list[str]:
        return [request.raw_path for request in self.seen]

    async def answer(self, request: web.Request) -> web.Response:
        self.count += 1
        if self.keep:
            self.seen.append(request)
            self.bodies.append(await request.read())
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return web.Response(status=self.status, text=self.text, headers=self.headers)


def an_estate(url: str) -> Estate:
    return parse_estate(ESTATE.format(www=url, api=url), "switchboard.yml")


def a_drill(phase: Phase = Phase.RUNNING, **wishes: object) -> Drill:
    now = "2030-01-01T00:00:00+00:00"  # never past: a generator that takes over does not pass anything over
    values: dict[str, object] = {"scenario": "surge", **wishes}
    return Drill.model_validate(
        {"id": "d1", "target": "staging", "started": now, "deadline": now, "edge": 1} | values
    ).model_copy(update={"phase": phase})


def a_switch(estate: Estate, drill: Drill, epoch: int = 1) -> Switch:
    return compile_switch(estate, SwitchDocument(epoch=epoch, drills=(drill,)))


class Score:
    """The counters of a finished play, and whether every line is accounted for."""

    def __init__(self, recorder: Recorder) -> None:
        self.delta = recorder.take()
        self.counters: Counter[str] = Counter(self.delta.counters if self.delta else {})
        self.users = self.delta.users if self.delta else frozenset()

    def __getitem__(self, name: str) -> int:
        return self.counters[name]

    @property
    def skipped(self) -> dict[str, int]:
        return {name[8:]: number for name, number in self.counters.items() if name.startswith("skipped:")}

    def check(self) -> None:
        assert self["read"] + self["repeated"] == self["sent"] + sum(self.skipped.values())
        assert self["sent"] == self["requests"] + self["cut"]


async def played(
    sandbox: Sandbox,
    scenario: Scenario,
    base: Path,
    *,
    estate: Estate | None = None,
    stop_after_s: float | None = None,
    played_s: float = 0.0,
    limits: Limits | None = None,
    resolve: Resolve = resolve,
) -> Score:
    """Play a scenario against the sandbox (cancelled after `stop_after_s`) and return its accounted score."""
    drill = a_drill()
    switch = a_switch(estate or an_estate(sandbox.url), drill)
    recorder = Recorder("test")
    playing = play(
        drill,
        scenario,
        switch=lambda: switch,
        recorder=recorder,
        base=base,
        played_s=played_s,
        limits=limits,
        resolve=resolve,
    )
    if stop_after_s is None:
        await playing
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(playing, stop_after_s)
    score = Score(recorder)
    score.check()
    return score


def a_line(second: float = 0, request: str = "GET / HTTP/1.1", client: str = "10.0.0.1", agent: str = "tests") -> str:
    minute, second = divmod(int(second), 60)
    hour, minute = divmod(minute, 60)
    return f'{client} - - [22/Jan/2019:{3 + hour:02}:{minute:02}:{second:02} +0000] "{request}" 200 5 "-" "{agent}"\n'


def a_scenario(**values: object) -> Scenario:
    return Scenario.model_validate(
        {"id": "surge", "source": "replay_logs", "log_path": "a.log", "speed": "1000x"} | values
    )
