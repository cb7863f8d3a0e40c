from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.errors import InvalidFile
from switchboard.scenario_file import LATER_KEYS, parse_scenario

CONTRACT = """
id: stimulus_2020
source: replay_logs          # or "synthetic"
log_path: /lake/raw/events/2020/03/15/
speed: 2x
users: 50000
duration: 30m
"""


def test_the_example_of_the_contract_is_read_as_it_stands() -> None:
    scenario = parse_scenario(CONTRACT, "stimulus.yml")
    assert scenario.id == "stimulus_2020"
    assert scenario.log_path == "/lake/raw/events/2020/03/15/"
    assert (scenario.speed, scenario.users, scenario.duration) == (2.0, 50000, 1800.0)
    assert (scenario.format, scenario.gap_cap, scenario.seed) == ("auto", 60.0, 0)


def test_a_synthetic_scenario_is_read() -> None:
    profile = "profile: {pages: [{path: /, weight: 3}, {path: /apply, method: POST, json: {a: 1}}], think: 2s}"
    scenario = parse_scenario(f"id: rush\nsource: synthetic\nspeed: 1.5\nduration: 90\n{profile}\n", "f")
    assert scenario.profile is not None
    assert scenario.profile.pages[1].json_body == {"a": 1}
    assert (scenario.speed, scenario.duration, scenario.profile.think) == (1.5, 90.0, 2.0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("2x", "2y"), "f:5: speed: '2y' is not a number with an optional x like '2x'"),
        (("2x", "0x"), "f:5: speed: '0x' is not a number above 0"),
        (("50000", "0"), "f:6: users: 0 is not a number of at least 1"),
        (("50000", "many"), "f:6: users: 'many' is not a whole number"),
        (("30m", "half an hour"), "f:7: duration: 'half an hour' is not a duration like '120ms', '20s'"),
        (("replay_logs", "replay"), "f:3: source: 'replay' is not 'replay_logs' or 'synthetic'"),
        (("stimulus_2020", "a b"), "f:2: id: 'a b' is not a name of letters, digits,"),
        (("stimulus_2020", "2020"), "f:2: id: 2020 is not text (put it in quotes)"),
        (("users", "user"), "f:6: user: 'user' is not a key that is known here (did you mean 'users'?)"),
        (("log_path:", "title:"), "f:1: (file): a map with id, source, title, speed, users, duration is not complete: "
         "'source: replay_logs' needs 'log_path'"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_in_plain_words(change: tuple[str, str], expected: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_scenario(CONTRACT.replace(*change), "f")
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize("key", sorted(LATER_KEYS))
def test_a_key_that_the_contract_lists_for_later_is_told_so(key: str) -> None:
    with pytest.raises(InvalidFile, match=rf"f:8: {key}: '{key}' is not a key of this version \({key} come with"):
        parse_scenario(f"{CONTRACT}{key}: []\n", "f")


def test_all_problems_come_at_once() -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_scenario("id: 5\nsource: x\nspeed: y\nusers: z\n", "f")
    assert len(caught.value.problems) == 4


@given(st.text(max_size=40), st.sampled_from(["id", "source", "log_path", "speed", "users", "duration", "profile"]))
def test_any_value_gives_a_scenario_or_an_invalid_file(value: str, key: str) -> None:
    with contextlib.suppress(InvalidFile):
        parse_scenario(f"id: a\nsource: replay_logs\nlog_path: x\n{key}: {value}\n", "f")
