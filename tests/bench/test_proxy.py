from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.child import child, module
from bench.estates import BARE, RICH
from bench.peers import WITH_KEY, WITH_TWINS, mitmdump, over_tls, without_policy, workers
from bench.proxy import Field, Pace, least_against_mitmdump, room_note
from bench.scene import scene
from bench.table import Round
from switchboard.errors import Unavailable

SHORT = Pace(rounds=1, seconds=0.3, warm_s=0.3)


@pytest.mark.parametrize(("version", "least"), [("11.0.2", 2.0), ("12.2.3", 1.4)])
def test_the_budget_against_mitmdump_depends_on_its_version(version: str, least: float) -> None:
    assert least_against_mitmdump(version) == least


def test_a_machine_with_few_cores_says_how_much_can_be_seen() -> None:
    note = room_note((Round(5000, 250, 150),), (Round(3000, 250, 150),), on_cores=2)
    assert "at most 1.67x" in note
    assert room_note((Round(5000, 250, 150),), (Round(3000, 250, 150),), on_cores=8) == ""


def test_every_side_answers_every_request_as_it_must(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = stack.enter_context(scene(tmp_path))
        field = Field(stage.origin, stack.enter_context(child(module("load"))), SHORT)
        stock = stack.enter_context(mitmdump(stage, "stock"))
        two = stack.enter_context(workers(stage, "two", count=2))
        for side in (
            stock,
            two,
            stack.enter_context(without_policy(stage, "no policy")),
            stack.enter_context(workers(stage, "rich", estate=RICH, asked=WITH_TWINS)),
            stack.enter_context(workers(stage, "bare", estate=BARE, asked=WITH_KEY)),
            over_tls(stock, "stock, TLS", ca=tmp_path / "mitmdump" / "mitmproxy-ca-cert.pem"),
            over_tls(two, "two, TLS", ca=tmp_path / "state" / "ca" / "hms-esr-ca-cert.pem"),
        ):
            assert field.round(side).rate > 0


def test_a_side_that_leads_astray_gives_no_figures(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stage = stack.enter_context(scene(tmp_path))
        field = Field(stage.origin, stack.enter_context(child(module("load"))), SHORT)
        side = stack.enter_context(workers(stage, "one"))
        astray = type(side)("astray", side.children, side.port, side.head, marker="another side")
        with pytest.raises(Unavailable, match="wrong"):
            field.round(astray)


def test_a_program_that_does_not_start_is_said_so() -> None:
    with pytest.raises(Unavailable, match="ended before it answered"), child([sys.executable, "-c", "pass"]):
        pass
