"""From stamps to instants on one clock. Nothing here sleeps: `Pacer.wait` returns the seconds to wait."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from generator.entry import Draw


class Pacer:
    """Place stamps on a monotonic clock: due = start + (stamp - first stamp) / speed - silence taken out.

    Every instant is computed from the start, so errors of single waits never add up. Silences longer than
    `gap_cap_s` (after the division by speed) are cut to it and reported in `gaps_capped` and `capped_s`.
    """

    def __init__(self, *, speed: float, gap_cap_s: float, start: float = 0.0, first: float | None = None) -> None:
        self._start = start
        self._speed = speed
        self._gap_cap_s = gap_cap_s
        self._first = first
        self._offset = 0.0
        self.gaps_capped = 0
        self.capped_s = 0.0

    def begin(self, start: float) -> None:
        """Set the instant at which the first stamp is due, before anything has been placed."""
        self._start = start

    def due(self, stamp: float) -> float:
        """Return when the next visit is due; stamps come in order, a step back counts as no time passed."""
        if self._first is None:
            self._first = stamp
        offset = (stamp - self._first) / self._speed - self.capped_s
        gap = offset - self._offset
        if gap > self._gap_cap_s:
            self.gaps_capped += 1
            self.capped_s += gap - self._gap_cap_s
            offset = self._offset + self._gap_cap_s
        self._offset = max(offset, self._offset)
        return self.last_due

    @property
    def last_due(self) -> float:
        """What `due` returned last."""
        return self._start + self._offset

    @property
    def offset_s(self) -> float:
        """How far into the drill the visit that `due` was last asked for lies, in seconds."""
        return self._offset

    def wait(self, now: float) -> float:
        """Return the seconds from `now` until the visit that `due` was last asked for; 0 when it is late."""
        return max(self.last_due - now, 0.0)


def spread(second: int, count: int, draw: Draw) -> Iterator[float]:
    """Yield `count` ascending stamps within one second: one in each `count`-th of it, at a drawn place."""
    for place in range(count):
        yield second + (place + draw()) / count


def fan(stamp: float, count: int) -> Sequence[float]:
    """Return `count` ascending stamps from an exact one on, evenly over what is left of its second."""
    left = stamp // 1 + 1 - stamp
    return [stamp + left * place / count for place in range(count)]
