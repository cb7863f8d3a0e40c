"""Counters and histograms of a drill, and the scorecard object made of them.

Each writer (a proxy worker, a generator worker, the ingest call) accumulates in its own `Recorder` and
hands over deltas with a sequence number. Counters and users of a delta are new since the last one, so a
delta must be counted once; its histograms are the writer's whole history, so the newest one replaces the
one before. A delta is offered again, unchanged, until it is confirmed: a lost answer can then neither
lose nor double a request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram

from switchboard.drill import Drill

MAX_US = 3_600_000_000  # an hour; longer waits count as an hour
LATE_S = 1.0
_DIGITS = 3
_SUB_BUCKET_BITS = 11  # of a histogram with three significant digits: 2,048 sub-buckets
_FOLD_AT = 8_192
_MOST_NAMES = 2_000


def empty_histogram() -> HdrHistogram:
    """Return a histogram of microseconds up to an hour with three significant digits."""
    return HdrHistogram(1, MAX_US, _DIGITS, b64_wrap=False)


def merge(encoded: Iterable[bytes]) -> HdrHistogram:
    """Return the sum of encoded histograms; empty texts stand for empty histograms."""
    total = empty_histogram()
    for one in encoded:
        if one:
            total.decode_and_add(one)
    return total


@dataclass(frozen=True, slots=True)
class ScoreDelta:
    """What one writer counted since its last delta; histograms are cumulative, encoded, b"" when empty.

    With a `key` it is counted only if no delta with the same one was, whoever wrote that.
    """

    writer: str
    sequence: int
    counters: Mapping[str, int]
    users: frozenset[str]
    wait: bytes
    pacing: bytes
    key: str = ""


@dataclass(frozen=True, slots=True)
class ScoreTotals:
    """The sum over all writers of a drill; `users` are distinct, histograms are in microseconds."""

    counters: Mapping[str, int] = field(default_factory=dict)
    users: int = 0
    wait: HdrHistogram = field(default_factory=empty_histogram)
    pacing: HdrHistogram = field(default_factory=empty_histogram)


class _Microseconds:
    """A histogram that takes values in batches: one list append a value, numpy for the rest."""

    def __init__(self) -> None:
        self._histogram = empty_histogram()
        self._loose: list[float] = []

    def add(self, seconds: float) -> None:
        self._loose.append(seconds)
        if len(self._loose) >= _FOLD_AT:
            self.fold()

    def fold(self) -> None:
        if not self._loose:
            return
        values = np.clip(np.array(self._loose) * 1e6, 0, MAX_US).round().astype(np.int64)
        self._loose.clear()
        # Values that share a sub-bucket are recorded together: the low bits fall away just as they do inside.
        shift = np.maximum(np.frexp(values)[1] - _SUB_BUCKET_BITS, 0)
        buckets, counts = np.unique((values >> shift) << shift, return_counts=True)
        for bucket, count in zip(buckets.tolist(), counts.tolist(), strict=True):
            self._histogram.record_value(bucket, count)

    def encoded(self) -> bytes:
        self.fold()
        return bytes(self._histogram.encode()) if self._histogram.get_total_count() else b""


class Recorder:
    """Accumulate what one writer sees of one drill. No I/O and no clock.

    `writer` must be new for every process and every drill (add a random part): sequences start at 1.
    """

    def __init__(self, writer: str) -> None:
        self._writer = writer
        self._sequence = 0
        self._pending: ScoreDelta | None = None
        self._counters: Counter[str] = Counter()
        self._names: set[str] = set()
        self._known_users: set[str] = set()
        self._new_users: set[str] = set()
        self._wait = _Microseconds()
        self._pacing = _Microseconds()

    def outcome(self, user: str, *, wait_s: float, error: bool, status: int = 0) -> None:
        """Count one request of `user` that was answered `wait_s` after it was due; status 0: no answer."""
        self.count("requests")
        if error:
            self.count("errors")
        if status:
            self.count(f"status:{status}")
        self._counters["wait_us"] += round(max(wait_s, 0.0) * 1e6)
        self._wait.add(wait_s)
        if user and user not in self._known_users:
            self._known_users.add(user)
            self._new_users.add(user)

    def lateness(self, late_s: float) -> None:
        """Count how long after it was due a request was started; above a second it counts as `late`."""
        self._pacing.add(late_s)
        self.count("paced")
        if late_s > LATE_S:
            self.count("late")

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter. Names after a colon may come from outside: beyond 2,000 they become `(other)`."""
        if name not in self._names:
            if len(self._names) >= _MOST_NAMES and ":" in name:
                name = f"{name.partition(':')[0]}:(other)"
            self._names.add(name)
        self._counters[name] += by

    def take(self) -> ScoreDelta | None:
        """Return the delta that is not confirmed yet, else a new one, else None when there is nothing new."""
        if self._pending is None and (self._counters or self._new_users):
            self._sequence += 1
            self._pending = ScoreDelta(
                writer=self._writer,
                sequence=self._sequence,
                counters=dict(self._counters),
                users=frozenset(self._new_users),
                wait=self._wait.encoded(),
                pacing=self._pacing.encoded(),
            )
            self._counters.clear()
            self._new_users.clear()
        return self._pending

    def confirm(self, sequence: int) -> None:
        """Let go of the delta with this number: the store has counted it."""
        if self._pending is not None and self._pending.sequence == sequence:
            self._pending = None


def scorecard(
    drill: Drill | None, totals: ScoreTotals, *, elapsed_s: float, rps: float, speed: float
) -> dict[str, Any]:
    """Return the scorecard object (DESIGN 5.3): waits in seconds, pacing in milliseconds.

    Without a drill the names are None and the figures zeros.
    """
    counters = totals.counters
    requests = counters.get("requests", 0)
    return {
        "drill": drill.id if drill else None,
        "scenario": drill.scenario if drill else None,
        "target": drill.target if drill else None,
        "phase": drill.phase.value if drill else None,
        "elapsed_s": round(elapsed_s, 3),
        "speed": speed,
        "users": totals.users,
        "requests": requests,
        "rps": round(rps, 1),
        "avg_wait": round(counters.get("wait_us", 0) / requests / 1e6, 6) if requests else 0.0,
        "wait_p50": _percentile(totals.wait, 50) / 1e6,
        "wait_p95": _percentile(totals.wait, 95) / 1e6,
        "wait_p99": _percentile(totals.wait, 99) / 1e6,
        "error_pct": round(100 * counters.get("errors", 0) / requests, 3) if requests else 0.0,
        "accuracy_pct": None,
        "pacing": {
            "p50_ms": _percentile(totals.pacing, 50) / 1e3,
            "p99_ms": _percentile(totals.pacing, 99) / 1e3,
            "max_ms": _percentile(totals.pacing, 100) / 1e3,
            "late": counters.get("late", 0),
        },
        "leaks": {name: counters.get(name, 0) for name in ("production_dials", "blocked", "kernel_drops")},
        "env": "sandbox",
    }


def _percentile(histogram: HdrHistogram, percent: float) -> int:
    return int(histogram.get_value_at_percentile(percent)) if histogram.get_total_count() else 0
