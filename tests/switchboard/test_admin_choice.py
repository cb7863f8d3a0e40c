from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from switchboard.admin_bodies import StartBody
from switchboard.admin_choice import chosen_cohort, chosen_scenario, new_drill, only
from switchboard.errors import BadInput, InvalidFile, NotFound, Problem
from switchboard.estate import Estate
from switchboard.scenario import Scenario

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_only_one_is_meant_where_none_is_named() -> None:
    assert only("target", None, {"staging": 1}) == "staging"
    assert only("target", "b", {"a": 1, "b": 2}) == "b"


def test_without_a_name_and_with_a_choice_the_choice_is_shown() -> None:
    with pytest.raises(BadInput, match=r"target: is missing.*a, b"):
        only("target", None, {"b": 1, "a": 2})
    with pytest.raises(BadInput, match="none"):
        only("cohort", None, {})


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match="target 'x' is not known; known are: a, b") as caught:
        only("target", "x", {"b": 1, "a": 2})
    assert caught.value.code == "unknown_target"


@pytest.mark.parametrize(
    ("keys", "cohort"),
    [({"cohort": None}, None), ({"cohort": "none"}, None), ({"cohort": "agents"}, "agents")],
    ids=["null", "none", "named"],
)
def test_a_cohort_may_be_none(estate: Estate, keys: dict[str, Any], cohort: str | None) -> None:
    assert chosen_cohort(StartBody(**keys), estate) == cohort


def test_a_scenario_is_found_whole_and_fitting_or_refused(estate: Estate) -> None:
    whole = Scenario(id="a", source="replay_logs", log_path="x", target="portal")
    stray = Scenario(id="b", source="replay_logs", log_path="x", target="svc-x")
    broken = InvalidFile([Problem("c.yml", 1, "id", "''", "a name")])
    known: dict[str, Scenario | InvalidFile] = {"a": whole, "b": stray, "c": broken}

    def chosen(name: str | None) -> Scenario | None:
        return chosen_scenario(name, known, target="staging", estate=estate)

    assert chosen(None) is None
    assert chosen("a") is whole
    with pytest.raises(NotFound, match="scenario 'd' is not known; known are: a, b, c"):
        chosen("d")
    with pytest.raises(BadInput, match=r"target: 'svc-x' is not a route of target 'staging'.*portal"):
        chosen("b")
    with pytest.raises(InvalidFile, match=r"c\.yml:1"):
        chosen("c")


def test_a_new_drill_ends_at_its_deadline_in_utc() -> None:
    body = StartBody(max=60, owner="me")
    drill = new_drill(body, target="staging", cohort=None, scenario=None, drill_id="people-1", now=NOW)
    assert drill.started == "2026-01-02T03:04:05.000+00:00"
    assert drill.deadline == "2026-01-02T03:05:05.000+00:00"
    assert (drill.scenario, drill.cohort, drill.owner) == (None, None, "me")
