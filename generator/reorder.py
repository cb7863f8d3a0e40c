"""A bounded window that puts entries back into the order of their stamps.

Theory: servers write a line when a request is finished and stamp it with when it began, so a log steps back by as
much as its longest request took; several machines' logs in one folder do so by as much as their clocks differ. Entries
wait here in one bucket a second, until the newest stamp is `span_s` ahead of their second (or `bound` entries wait).
An entry that comes after its second has left joins the oldest second that is still here: later than it should be,
never lost, always counted.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

from generator.entry import Entry

SPAN_S = 300.0
BOUND = 50_000

Second = tuple[int, list[Entry]]


class Window:
    """Entries in, whole seconds of entries out in order. `late` is told of each entry that came too late."""

    def __init__(self, *, span_s: float = SPAN_S, bound: int = BOUND, late: Callable[[], None]) -> None:
        self._span_s = span_s
        self._bound = bound
        self._late = late
        self._buckets: dict[int, list[Entry]] = {}
        self._seconds: list[int] = []
        self._newest = -inf
        self._edge = -inf
        self.waiting = 0

    def add(self, entry: Entry) -> None:
        stamp = entry.stamp
        second: int = int(stamp // 1)
        if second < self._edge:
            self._late()
            second = int(self._edge)
        bucket = self._buckets.get(second)
        if bucket is None:
            self._buckets[second] = [entry]
            heappush(self._seconds, second)
        else:
            bucket.append(entry)
        self.waiting += 1
        if stamp > self._newest:
            self._newest = stamp

    def release(self, *, everything: bool = False) -> Second | None:
        """Return the oldest second that need not wait any longer, or None."""
        if not self._seconds:
            return None
        oldest = self._seconds[0]
        if not everything and oldest > self._newest - self._span_s and self.waiting <= self._bound:
            return None
        heappop(self._seconds)
        bucket = self._buckets.pop(oldest)
        self.waiting -= len(bucket)
        self._edge = oldest + 1
        return oldest, bucket
