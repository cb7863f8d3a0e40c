from __future__ import annotations

from pathlib import Path

import pytest

import scenarios
from generator.source import open_source
from switchboard.scenario import Scenario
from switchboard.scenario_file import parse_scenario

FOLDER = Path(scenarios.__file__).parent
FILES = sorted(FOLDER.glob("*.yml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_bundled_scenario_parses_and_is_named_as_its_file(path: Path) -> None:
    assert parse_scenario(path.read_text(), path.name).id == path.stem


def test_the_example_of_the_design_is_read_as_meant() -> None:
    text = (FOLDER / "stimulus_2020.yml").read_text()
    assert parse_scenario(text, "stimulus_2020.yml") == Scenario(
        id="stimulus_2020",
        source="replay_logs",
        log_path="/lake/raw/events/2020/03/15/",
        speed=2.0,
        users=50_000,
        duration=1800.0,
    )


def test_the_enrolment_day_plays_in_minutes() -> None:
    scenario = parse_scenario((FOLDER / "enrollment_day.yml").read_text(), "enrollment_day.yml")
    assert scenario.log_path is not None
    assert open_source(scenario.log_path, FOLDER).files
    assert 60 < 86_400 / scenario.speed < 600
