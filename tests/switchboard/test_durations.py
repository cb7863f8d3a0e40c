from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.durations import parse_duration, parse_factor


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("120ms", 0.12), ("2s", 2), ("30m", 1800), ("8h", 28800), ("1h30m", 5400), ("1d", 86400), ("0.5s", 0.5)],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-1s", "1h-", "1y", "1:30", "infs"])
def test_what_is_no_duration_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="a duration like"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "factor"), [("2x", 2), ("0.5x", 0.5), ("2", 2), (" 2000x ", 2000)])
def test_a_factor_is_read_with_or_without_its_x(text: str, factor: float) -> None:
    assert parse_factor(text) == factor


@pytest.mark.parametrize("text", ["", "x", "2y", "-2x", "1e3", "2xx", "nan"])
def test_what_is_no_factor_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="a number with an optional x"):
        parse_factor(text)


@given(st.text(max_size=30))
def test_any_text_is_a_positive_number_or_a_value_error(text: str) -> None:
    for parse in (parse_duration, parse_factor):
        with contextlib.suppress(ValueError):
            assert parse(text) >= 0
