"""Access logs of Apache and nginx, common and combined, line by line.

Theory: what a request line holds was sent by a stranger and only then escaped by the server, so a line is split at
what the server wrote (brackets, quotes, status, size), never by counting spaces. The fast pattern expects quotes
inside a field to be escaped; servers that do not escape are read by the slow one, which looks for the first quote
that is followed by a status and a size. What cannot be read with certainty is a `Reason`, not a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from urllib.parse import quote_from_bytes

from generator.entry import Entry, Item, Reason

MOST_BYTES = 1024 * 1024

_HEAD = r'(\S+) ([^"\[]*)\[([^\]"]*)\] "'
_TAIL = r'" (?:\d{3}|-) (?:\d+|-)(?=\s|$)(?: "[^"\\]*+(?:\\.[^"\\]*+)*+" "([^"\\]*+(?:\\.[^"\\]*+)*+)")?'
_ESCAPED = re.compile(_HEAD + r'([^"\\]*+(?:\\.[^"\\]*+)*+)' + _TAIL)
_UNESCAPED = re.compile(_HEAD + r"(.*?)" + _TAIL)
_STAMP = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2})(?: ([+-])(\d{2})(\d{2}))?\Z")
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_EPOCH = date(1970, 1, 1).toordinal()

_JSON = re.compile(rb"\s*(?:\{|\[\s*(?:\{|\Z))")
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}\Z|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*\Z")
# What cannot stand in a request target as it is: not visible ASCII, `"`, `#`, `<`, `>` and, for escapes, a backslash.
_DIRTY = re.compile(r"[^!$%&-;=?-\[\]-~]")
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.))")
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "v": "\v", "f": "\f"}
_SAFE = "!$%&'()*+,-./0123456789:;=?@[]\\^_`{|}~"


def parse_stamp(text: str) -> float | None:
    """Return Unix seconds of `22/Jan/2019:03:56:14 +0330` (no zone: UTC), or None."""
    found = _STAMP.match(text)
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, zone_h, zone_m = found.groups()
    try:
        days = date(int(year), _MONTHS[month], int(day)).toordinal() - _EPOCH
    except (KeyError, ValueError):
        return None
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:  # 60: a leap second
        return None
    zone = (int(zone_h) * 60 + int(zone_m)) * 60 if sign else 0
    local = days * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    return float(local + zone if sign == "-" else local - zone)


def clean_target(target: str) -> str:
    """Return a request target with percent-encoding for all that cannot stand in a request line (RFC 3986 2.1)."""
    if _DIRTY.search(target) is None:
        return target
    return quote_from_bytes(target.encode("utf-8", "surrogateescape"), safe=_SAFE)


def _unescape(text: str) -> str:
    """Return a field (bytes as latin-1) as it was before the server escaped it."""

    def plain(found: re.Match[str]) -> str:
        code, character = found.groups()
        return chr(int(code, 16)) if code else _CONTROLS.get(character, character)

    return _ESCAPE.sub(plain, text)


class AccessLog:
    """Read one log. Remembers the last stamp, since neighbours mostly share it."""

    def __init__(self) -> None:
        self._text = ""
        self._stamp: float | None = None

    def read(self, line: bytes) -> Item:
        """Return the entry of one line (with or without its line end), or why there is none."""
        if len(line) > MOST_BYTES:
            return Reason.TOO_LONG
        text = line.decode("latin-1")
        found = _ESCAPED.match(text) or _UNESCAPED.match(text)
        if found is None:
            return Reason.UNKNOWN_FORMAT if text.strip() else Reason.BLANK
        client, between, stamp_text, request, agent = found.groups()
        if stamp_text != self._text:
            self._text, self._stamp = stamp_text, parse_stamp(stamp_text)
        if self._stamp is None:
            return Reason.BAD_STAMP
        asked = _split_request(request)
        if isinstance(asked, Reason):
            return asked
        if len(between) > 4:
            client = _client(client, between)
        return Entry(self._stamp, True, client, agent or "-", *asked)


def _client(first: str, between: str) -> str:
    """Return the client's address; logs of several virtual hosts have the host in front of it."""
    second = between.split(" ", 1)[0]
    return second if _ADDRESS.match(second) and not _ADDRESS.match(first) else first


def _split_request(request: str) -> tuple[str, str] | Reason:
    """Return method and target of a request line as logged."""
    parts = request.split(" ")
    if len(parts) == 3 and parts[2].startswith("HTTP/"):
        method, target = parts[0], parts[1]
    elif request in ("", "-"):
        return Reason.NO_REQUEST
    else:
        if parts[-1].startswith("HTTP/"):
            parts.pop()
        method, target = parts[0], " ".join(parts[1:]).strip()
    if not target or not _METHOD.match(method):
        return Reason.NOT_A_REQUEST
    if target[0] != "/" and target[:7].lower() != "http://" and target[:8].lower() != "https://":
        return Reason.NO_PATH if method in ("CONNECT", "OPTIONS") else Reason.NOT_A_REQUEST
    if _DIRTY.search(target) is not None:
        raw = _unescape(target).encode("latin-1", "replace")
        return method, quote_from_bytes(raw, safe=_SAFE)
    return method, target


def detect(lines: Iterable[bytes]) -> str | None:
    """Return the format of a file by its first lines: "events", "combined" (common included), or None."""
    log = AccessLog()
    for line in lines:
        if _JSON.match(line):
            return "events"
        if log.read(line) not in (Reason.BLANK, Reason.UNKNOWN_FORMAT, Reason.TOO_LONG):
            return "combined"
    return None
