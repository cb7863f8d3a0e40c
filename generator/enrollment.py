"""Writes the bundled log: 24 hours of an enrolment site at the peak of its season, made up but shaped like life.

The weight of each hour follows public visit counts of health agencies in January (a peak at 13 h, a quarter of it at
3 h); pages, clients and everything else are invented. The same seed gives the same lines, byte for byte.

    python -m generator.enrollment [FILE]
"""

from __future__ import annotations

import gzip
import random
import sys
from bisect import bisect
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from math import log
from pathlib import Path
from typing import NamedTuple, TypeVar

from generator.entry import Draw

_Thing = TypeVar("_Thing")

LINES = 20_000
SEED = 2024
BUNDLED = Path(__file__).parents[1] / "scenarios" / "logs" / "enrollment_day.log.gz"

_MIDNIGHT = datetime(2024, 1, 9, tzinfo=UTC)
_FIRST_HOUR = 7  # the log begins in the morning rise, so that a short demo shows one
_HOURS = (39, 32, 28, 24, 23, 25, 31, 42, 59, 78, 87, 93, 93, 100, 98, 94, 87, 81, 69, 67, 65, 63, 57, 48)
_SESSION_PAGES = 7.0
_THINK_S = 38.0
_SLOW_S = 20.0  # the longest answer; lines are written when an answer is complete


class _Page(NamedTuple):
    method: str
    path: str
    weight: int
    size: int
    status: int = 200


_LANDING = (
    _Page("GET", "/", 60, 18_240),
    _Page("GET", "/see-plans", 18, 22_480),
    _Page("GET", "/apply", 12, 14_900),
    _Page("GET", "/subscribe", 25, 9_120),
)
_PAGES = (
    *_LANDING,
    _Page("GET", "/login", 34, 6_340),
    _Page("POST", "/login", 30, 0, 302),
    _Page("GET", "/profile", 26, 11_870),
    _Page("PUT", "/api/profile", 6, 412),
    _Page("GET", "/api/session", 40, 318),
    _Page("GET", "/apply/household", 16, 13_650),
    _Page("POST", "/apply/household", 12, 0, 302),
    _Page("GET", "/apply/income", 14, 12_980),
    _Page("POST", "/apply/income", 11, 0, 302),
    _Page("GET", "/apply/review", 10, 16_020),
    _Page("POST", "/api/applications", 8, 264, 201),
    _Page("GET", "/api/plans?state=FL&page=1", 22, 48_700),
    _Page("GET", "/api/plans?state=TX&page=1", 20, 47_300),
    _Page("GET", "/api/plans?state=TX&page=2", 9, 46_100),
    _Page("GET", "/plans/compare", 15, 27_560),
    _Page("GET", "/plans/silver-2400", 12, 19_330),
    _Page("GET", "/keep-or-update-plan", 9, 10_470),
    _Page("GET", "/dates-and-deadlines", 12, 8_830),
    _Page("GET", "/find-local-help", 7, 12_110),
    _Page("GET", "/messages", 6, 7_450),
    _Page("GET", "/assets/app.css", 26, 31_200),
    _Page("GET", "/assets/app.js", 26, 118_400),
    _Page("GET", "/documents/1095-a", 4, 86_000),
    _Page("GET", "/old-plans", 2, 512, 404),
)
_SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.2 Mobile/15E148 Safari/604.1"
_CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"
_AGENTS = (
    (38, f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME}"),
    (20, f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) {_SAFARI}"),
    (14, f"Mozilla/5.0 (Linux; Android 13; K) {_CHROME.replace('Safari', 'Mobile Safari')}"),
    (10, f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_CHROME}"),
    (8, f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROME} Edg/120.0.0.0"),
    (6, "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:121.0) Gecko/20100101 Firefox/121.0"),
    (4, f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_CHROME}"),
)


class _Line(NamedTuple):
    written: float  # seconds since midnight; a log is in this order
    number: int
    begun: int
    text: str


def make_lines(seed: int = SEED, lines: int = LINES) -> Iterator[str]:
    """Yield `lines` lines of combined format, in the order in which a server would have written them."""
    draw = random.Random(seed).random  # the one method whose sequence Python promises to keep
    made: list[_Line] = []
    while len(made) < lines:
        made.extend(_session(draw, len(made)))
    for line in sorted(made[:lines]):
        yield line.text


def _session(draw: Draw, number: int) -> Iterator[_Line]:
    client = f"10.{_up_to(draw, 256)}.{_up_to(draw, 256)}.{1 + _up_to(draw, 254)}"
    agent = _pick(draw, _AGENTS, [weight for weight, _ in _AGENTS])[1]
    hours = (*_HOURS[_FIRST_HOUR:], *_HOURS[:_FIRST_HOUR])
    hour = _FIRST_HOUR + _pick(draw, range(24), hours)
    at = (hour + draw()) * 3600
    referer = "-"
    for place in range(1 + int(log(1 - draw()) / log(1 - 1 / _SESSION_PAGES))):
        pages = _PAGES if place else _LANDING
        page = _pick(draw, pages, [page.weight for page in pages])
        if at >= (_FIRST_HOUR + 24) * 3600:
            return
        status, size = _answer(draw, page, hours[int(at // 3600) - _FIRST_HOUR])
        stamp = (_MIDNIGHT + timedelta(seconds=int(at))).strftime("%d/%b/%Y:%H:%M:%S +0000")
        request = f"{page.method} {page.path} HTTP/1.1"
        text = f'{client} - - [{stamp}] "{request}" {status} {size or "-"} "{referer}" "{agent}"'
        yield _Line(at + min(-0.4 * log(1 - draw()), _SLOW_S), number + place, int(at), text)
        if page.method == "GET" and not page.path.startswith(("/api", "/assets")):
            referer = f"https://www.cms.example{page.path}"
        at += -_THINK_S * log(1 - draw())


def _answer(draw: Draw, page: _Page, load: int) -> tuple[int, int]:
    """Return status and size: a few failures, more of them in busy hours; a few answers from the browser's cache."""
    luck = draw()
    if luck < 0.004 * load / 100:
        return (503 if luck < 0.003 * load / 100 else 500), 190
    if page.path.startswith("/assets") and luck > 0.6:
        return 304, 0
    return page.status, page.size


def _pick(draw: Draw, things: Sequence[_Thing], weights: Sequence[int]) -> _Thing:
    sums = list(accumulate(weights))
    return things[bisect(sums, draw() * sums[-1])]


def _up_to(draw: Draw, end: int) -> int:
    return int(draw() * end)


def write(path: Path) -> None:
    """Write the bundled log, with nothing in the file that changes from one writing to the next."""
    text = "".join(f"{line}\n" for line in make_lines())
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else BUNDLED)
