from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.admin_bodies import (
    MOST_LINES,
    ModeBody,
    StartBody,
    TooLarge,
    parse_body,
    parse_epoch,
    parse_outcomes,
)
from switchboard.errors import BadInput


def start(**keys: Any) -> StartBody:
    return parse_body(StartBody, json.dumps(keys).encode())


def test_a_start_reads_durations_and_factors_as_people_write_them() -> None:
    body = start(scenario="surge", max="1h30m", speed="2x", duration="20s", users=5, seed=-1, owner="me")
    assert (body.max, body.speed, body.duration, body.users, body.seed) == (5400.0, 2.0, 20.0, 5, -1)


def test_a_start_without_keys_may_take_eight_hours() -> None:
    assert start().max == 8 * 3600


def test_a_cohort_left_out_is_not_a_cohort_of_none() -> None:
    assert start().leaves_cohort_open
    assert not start(cohort=None).leaves_cohort_open


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"speed": "2y"}, "speed: '2y' is not a factor like '2x'"),
        ({"speed": 0}, "speed: 0 is not a factor like '2x'"),
        ({"users": "many"}, "users: 'many' is not a whole number from 1"),
        ({"users": "5"}, "users: '5' is not a whole number from 1"),
        ({"users": 0}, "users: 0 is not a whole number from 1"),
        ({"users": True}, "users: True is not a whole number"),
        ({"max": "soon"}, "max: 'soon' is not a duration like '8h'"),
        ({"max": True}, "max: True is not a duration"),
        ({"duration": -1}, "duration: -1 is not a duration"),
        ({"seed": 1.5}, "seed: 1.5 is not a whole number"),
        ({"cohort": ["a"]}, r"cohort: \['a'\] is not the name of a cohort"),
        ({"scenario": 7}, "scenario: 7 is not the id of a scenario"),
        ({"sped": "2x"}, "sped: '2x' has an unknown key; known are scenario, target"),
    ],
    ids=lambda value: (
        next(iter(value.items()))[0] + "=" + str(next(iter(value.values()))) if isinstance(value, dict) else ""
    ),
)
def test_a_wrong_key_is_named_with_value_and_expectation(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        start(**keys)


def test_all_problems_of_a_body_are_listed() -> None:
    with pytest.raises(BadInput) as caught:
        start(speed="fast", users=0, what=1)
    assert str(caught.value).count("\n") == 2


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"live"', b"null", b"\xff"])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(BadInput, match="body"):
        parse_body(ModeBody, raw)


def test_a_mode_is_live_or_sandbox() -> None:
    assert parse_body(ModeBody, b'{"mode":"live"}').mode == "live"
    with pytest.raises(BadInput, match="mode: 'off' is not 'live' or 'sandbox'"):
        parse_body(ModeBody, b'{"mode":"off"}')
    with pytest.raises(BadInput, match="mode: is missing; expected 'live' or 'sandbox'"):
        parse_body(ModeBody, b"{}")


@pytest.mark.parametrize(("text", "epoch"), [(None, None), ("*", None), ("7", 7), ('"7"', 7), (" 0 ", 0)], ids=str)
def test_if_match_is_an_epoch(text: str | None, epoch: int | None) -> None:
    assert parse_epoch(text) == epoch


@pytest.mark.parametrize("text", ["", "seven", "-1", "1.0", "\u0667", "9" * 30, "W/7"])
def test_if_match_that_is_no_epoch_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="If-Match"):
        parse_epoch(text)


def test_outcomes_are_read_line_by_line() -> None:
    found = parse_outcomes(
        b'{"user":"a","wait":0.5,"status":200}\r\n\n{"user":"b","wait":1,"status":0}\n'
        b'{"status":503,"wait":0,"user":"c"}'
    )
    assert [(one.user, one.wait_s, one.status, one.is_error) for one in found] == [
        ("a", 0.5, 200, False),
        ("b", 1.0, 0, True),
        ("c", 0.0, 503, True),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "line 2: nonsense is not JSON"),
        ("[]", r"line 2: \[\] is not an object"),
        ('{"user":"a","wait":1}', "line 2: .* is not an object with the keys user, wait and status"),
        ('{"user":"a","wait":1,"status":200,"more":1}', "line 2: .* is not an object with the keys"),
        ('{"user":"","wait":1,"status":200}', "line 2: user: '' is not a text"),
        ('{"user":7,"wait":1,"status":200}', "line 2: user: 7 is not a text"),
        ('{"user":"a","wait":-1,"status":200}', "line 2: wait: -1 is not a number of seconds"),
        ('{"user":"a","wait":"1","status":200}', "line 2: wait: '1' is not a number"),
        ('{"user":"a","wait":NaN,"status":200}', "line 2: .* is not JSON"),
        ('{"user":"a","wait":1,"status":99}', "line 2: status: 99 is not an HTTP status"),
        ('{"user":"a","wait":1,"status":true}', "line 2: status: True is not an HTTP status"),
    ],
)
def test_a_wrong_line_is_named_by_number_and_nothing_counts(line: str, message: str) -> None:
    raw = '{"user":"a","wait":1,"status":200}\n' + line
    with pytest.raises(BadInput, match=message) as caught:
        parse_outcomes(raw.encode())
    assert str(caught.value).endswith("nothing was counted")


def test_many_wrong_lines_are_cut_short() -> None:
    with pytest.raises(BadInput, match="and 80 more"):
        parse_outcomes(b"x\n" * 100)


def test_too_many_lines_and_no_lines_are_refused() -> None:
    with pytest.raises(TooLarge, match="in parts"):
        parse_outcomes(b"\n" * (MOST_LINES + 1))
    with pytest.raises(BadInput, match="no outcomes"):
        parse_outcomes(b"\n \n")


@given(st.binary(max_size=200))
def test_no_bytes_break_the_parsers(raw: bytes) -> None:
    with contextlib.suppress(BadInput):
        parse_outcomes(raw)
    with contextlib.suppress(BadInput):
        parse_body(StartBody, raw)


@given(st.text(max_size=30))
def test_no_text_breaks_the_epoch(text: str) -> None:
    with contextlib.suppress(BadInput):
        parse_epoch(text)
