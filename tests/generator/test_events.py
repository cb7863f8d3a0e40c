from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.entry import Entry, Reason
from generator.events import EventLog


def take(**event: Any) -> Entry:
    item = EventLog().read(orjson.dumps({"url": "/a"} | event))
    assert isinstance(item, Entry), item
    return item


def reason(text: bytes) -> object:
    return EventLog().read(text)


def test_an_event_has_url_method_headers_body_and_a_stamp() -> None:
    entry = take(url="/a?b=1", method="post", headers={"User-Agent": "ua", "X-A": ["1", "2"]}, body="hi", ts=7)
    assert entry == Entry(
        7.0, True, "", "ua", "POST", "/a?b=1", ((b"User-Agent", b"ua"), (b"X-A", b"1"), (b"X-A", b"2")), b"hi"
    )


def test_a_body_that_is_no_text_is_sent_as_json() -> None:
    entry = take(body={"a": [1]})
    assert (entry.body, entry.fields) == (b'{"a":[1]}', ((b"Content-Type", b"application/json"),))


@pytest.mark.parametrize(
    ("ts", "stamp", "whole"),
    [
        pytest.param(1584230400, 1584230400.0, True, id="seconds"),
        pytest.param(1584230400.25, 1584230400.25, False, id="fractions"),
        pytest.param(1584230400123, 1584230400.123, False, id="milliseconds"),
        pytest.param(1584230400123456, 1584230400.123456, False, id="microseconds"),
        pytest.param("2020-03-15T00:00:00Z", 1584230400.0, True, id="ISO 8601"),
        pytest.param("2020-03-14T19:00:00.5-05:00", 1584230400.5, False, id="ISO 8601 with zone and fraction"),
        pytest.param("2020-03-15 00:00:00", 1584230400.0, True, id="no zone means UTC"),
    ],
)
def test_stamps_come_in_many_units(ts: object, stamp: float, whole: bool) -> None:
    entry = take(ts=ts)
    assert entry.stamp == pytest.approx(stamp)
    assert entry.whole is whole


def test_delays_add_up_from_event_to_event() -> None:
    log = EventLog()
    items = [log.read(orjson.dumps({"url": "/", "delay": delay})) for delay in (1, 0.5, "120ms")]
    assert [item.stamp for item in items if isinstance(item, Entry)] == pytest.approx([1, 1.5, 1.62])
    assert not log.timed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(b"", Reason.BLANK, id="blank"),
        pytest.param(b'{"url": ', Reason.BAD_EVENT, id="cut off"),
        pytest.param(b'"/a"', Reason.BAD_EVENT, id="not an object"),
        pytest.param(b'{"method": "GET"}', Reason.BAD_EVENT, id="no url"),
        pytest.param(b'{"url": "ftp://a/"}', Reason.NO_PATH, id="not http"),
        pytest.param(b'{"url": "/", "ts": "yesterday"}', Reason.BAD_STAMP, id="no stamp"),
        pytest.param(b'{"url": "/", "delay": -1}', Reason.BAD_STAMP, id="delay before the event"),
        pytest.param(b'{"url": "/", "headers": {"a": "b\\r\\nc: d"}}', Reason.BAD_HEADER, id="CR LF in a header"),
        pytest.param(b'{"url": "/", "headers": {"a b": "c"}}', Reason.BAD_HEADER, id="space in a header name"),
        pytest.param(b'{"url": "/", "headers": 5}', Reason.BAD_HEADER, id="headers are a number"),
    ],
)
def test_what_is_no_event_has_a_reason(text: bytes, expected: Reason) -> None:
    assert reason(text) is expected


def test_who_it_was_is_told_by_user_client_or_forwarded_for() -> None:
    assert take(user="u1", client="10.0.0.1").client == "u1"
    assert take(client="10.0.0.1").client == "10.0.0.1"
    assert take(headers=[{"name": "X-Forwarded-For", "value": "10.0.0.2"}]).client == "10.0.0.2"


JSON = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), lambda inner: st.lists(inner))


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("url", "method", "headers", "body", "delay", "ts"), JSON)))
def test_no_event_upsets_the_reader(event: dict[str, Any]) -> None:
    assert isinstance(EventLog().read(json.dumps({"url": "/"} | event).encode()), Entry | Reason)


@given(st.binary(max_size=200))
def test_no_bytes_upset_the_reader(text: bytes) -> None:
    assert isinstance(EventLog().read(text), Entry | Reason)
