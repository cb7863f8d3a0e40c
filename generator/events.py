"""Recorded events as JSON: `{"url", "method", "headers", "body", "delay" | "ts"}`, one a line or one a file.

`url` is a path or an absolute URL. `ts` is Unix seconds (milli-, micro- and nanoseconds are told by their size) or
ISO 8601; `delay` is seconds, or a duration like "120ms", after the event before. `user` or `client` may say who
it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from generator.entry import Entry, Item, Reason
from generator.readers import clean_target
from switchboard.durations import parse_duration
from switchboard.headers import Field, screen

MOST_BYTES = 8 * 1024 * 1024

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class EventLog:
    """Read events in their order. `timed` turns True once one had its own `ts`."""

    def __init__(self) -> None:
        self.timed = False
        self._last = 0.0

    def read(self, text: bytes) -> Item:
        """Return the entry of one JSON object, or why there is none."""
        if len(text) > MOST_BYTES:
            return Reason.TOO_LONG
        try:
            event = orjson.loads(text)
        except orjson.JSONDecodeError:
            return Reason.BAD_EVENT if text.strip() else Reason.BLANK
        return self._take(event)

    def read_document(self, text: bytes) -> Iterator[Item] | None:
        """Return the entries of a whole file that is one object or a list of them; None where it is neither."""
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            return None
        events = found if isinstance(found, list) else [found]
        return (self._take(event) for event in events)

    def _take(self, event: Any) -> Item:
        if not isinstance(event, Mapping):
            return Reason.BAD_EVENT
        url, method = event.get("url"), event.get("method", "GET")
        if not isinstance(url, str) or not isinstance(method, str) or not url or not method:
            return Reason.BAD_EVENT
        if url[0] != "/" and not url.lower().startswith(("http://", "https://")):
            return Reason.NO_PATH
        placed = self._place(event)
        if placed is None:
            return Reason.BAD_STAMP
        fields = _fields(event.get("headers"))
        if fields is None or screen(fields) is not None:
            return Reason.BAD_HEADER
        body, typed = _body(event.get("body"))
        if typed and not any(name.lower() == b"content-type" for name, _ in fields):
            fields = (*fields, (b"Content-Type", b"application/json"))
        target = clean_target(url.partition("#")[0])
        who = _text(event.get("user")) or _text(event.get("client")) or _value(fields, b"x-forwarded-for")
        agent = _value(fields, b"user-agent") or "-"
        kept = tuple(field for field in fields if field[0].lower() not in _FRAMING)
        return Entry(*placed, who, agent, method.upper(), target, kept, body)

    def _place(self, event: Mapping[str, Any]) -> tuple[float, bool] | None:
        """Return stamp and whether it is in whole seconds."""
        if event.get("ts") is None:
            delay = _seconds(event.get("delay", 0))
            if delay is None:
                return None
            self._last += delay
            return self._last, False
        stamp = _instant(event["ts"])
        if stamp is None:
            return None
        self.timed = True
        self._last = stamp
        return stamp, stamp == int(stamp) and not isinstance(event["ts"], float)


def _seconds(value: Any) -> float | None:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError:
            return None
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and 0 <= value < math.inf else None


def _instant(value: Any) -> float | None:
    """Return Unix seconds; a zone that is left out is UTC."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    seconds = _seconds(value)
    if seconds is None:
        return None
    while seconds > 1e11:  # the year 5138: it is in thousandths of the unit we took it for
        seconds /= 1000
    return seconds


def _fields(headers: Any) -> tuple[Field, ...] | None:
    """Return header fields of a mapping, of pairs or of HAR's name and value objects; None where they are neither."""
    if headers is None:
        return ()
    if isinstance(headers, Mapping):
        pairs = list(headers.items())
    elif isinstance(headers, list):
        pairs = [_pair(item) for item in headers]
    else:
        return None
    fields: list[Field] = []
    for name, value in pairs:
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(name, str) or not isinstance(one, str | int | float):
                return None
            if not name.startswith(":"):  # pseudo-header fields of HTTP/2 recordings
                fields.append((name.encode("utf-8", "replace"), str(one).encode("utf-8", "replace")))
    return tuple(fields)


def _pair(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        return item.get("name"), item.get("value")
    return (item[0], item[1]) if isinstance(item, list) and len(item) == 2 else (None, None)


def _body(body: Any) -> tuple[bytes, bool]:
    """Return the bytes to send, and whether they were made as JSON."""
    if body is None:
        return b"", False
    if isinstance(body, str):
        return body.encode("utf-8", "replace"), False
    return orjson.dumps(body), True


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _value(fields: tuple[Field, ...], name: bytes) -> str:
    return next((value for key, value in fields if key.lower() == name), b"").decode("utf-8", "replace")
