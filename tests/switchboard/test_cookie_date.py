from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.cookie_date import parse_date

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "6 nov 1994 8:49:37",
        "1994 06 November 08:49:37.25 UTC",
        "08:49:37 06 NOV 94",
    ],
)
def test_dates_are_read_in_every_spelling(text: str) -> None:
    assert parse_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text", ["", "1994", "6 Nov 1994", "31 Feb 2020 1:1:1", "1 Jan 1600 1:1:1", "1 Jan 2020 24:0:0"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.datetimes(datetime(1601, 1, 1), datetime(9999, 12, 31)))
def test_any_date_as_http_writes_it_is_read(at: datetime) -> None:
    at = at.replace(microsecond=0, tzinfo=UTC)
    month = MONTHS[at.month - 1]
    assert parse_date(f"Mon, {at.day:02} {month} {at.year:04} {at:%H:%M:%S} GMT") == at.timestamp()


@given(st.text())
def test_any_text_is_a_date_or_none(text: str) -> None:
    parse_date(text)
