"""Dates of cookies, in all the spellings that servers use (RFC 6265bis 5.1.1)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DELIMITER = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[^0-9]|\Z)")
_DAY = re.compile(r"([0-9]{1,2})(?:[^0-9]|\Z)")
_YEAR = re.compile(r"([0-9]{2,4})(?:[^0-9]|\Z)")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_date(text: str) -> float | None:
    """Return the Unix time of a cookie-date in any of its spellings (RFC 6265bis 5.1.1), None for no date."""
    found: dict[str, tuple[int, ...]] = {}
    for token in filter(None, _DELIMITER.split(text)):
        for part, pattern in (("time", _TIME), ("day", _DAY)):
            if part not in found and (match := pattern.match(token)):
                found[part] = tuple(map(int, match.groups()))
                break
        else:
            if "month" not in found and token[:3].lower() in _MONTHS:
                found["month"] = (_MONTHS.index(token[:3].lower()) + 1,)
            elif "year" not in found and (match := _YEAR.match(token)):
                found["year"] = (int(match[1]),)
    if len(found) < 4:
        return None
    (year,), (month,), (day,), (hour, minute, second) = (found[part] for part in ("year", "month", "day", "time"))
    year += 1900 if 70 <= year <= 99 else 2000 if year < 70 else 0
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp() if year >= 1601 else None
    except ValueError:
        return None
