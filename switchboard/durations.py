"""Durations and factors as people write them: `120ms`, `30m`, `1h30m`, `2x`."""

from __future__ import annotations

import re

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Return seconds of `120ms`, `2s`, `30m`, `8h`, `1h30m`; raises ValueError that says what was expected."""
    if not re.fullmatch(rf"(?:{_PART.pattern})+", text.strip()):
        raise ValueError("a duration like '120ms', '20s', '30m' or '1h30m'")
    return sum(float(number) * _UNITS_S[unit] for number, unit in _PART.findall(text))


def parse_factor(text: str) -> float:
    """Return the number of `2x`, `0.5x`, `2`; raises ValueError that says what was expected."""
    if not re.fullmatch(r"\d+(?:\.\d+)?x?", text.strip()):
        raise ValueError("a number with an optional x like '2x'")
    return float(text.strip().removesuffix("x"))
