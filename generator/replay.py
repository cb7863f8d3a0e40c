"""Entries of logs -> visits in the order in which they are due, with every line accounted for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from generator.entry import Count, Draw, Entry, Item, Visit
from generator.pacing import fan, spread
from generator.reorder import BOUND, SPAN_S, Second, Window
from generator.sessions import Cast

PAUSE_AFTER = 256  # lines between two points where the reader lets others run: about a millisecond


class Replay:
    """The visits of a log. `unsent` is what was read, or made by repeating, and not handed out yet."""

    def __init__(
        self,
        items: Iterable[Item],
        *,
        cast: Cast,
        draw: Draw,
        count: Count,
        span_s: float = SPAN_S,
        bound: int = BOUND,
    ) -> None:
        self._items = items
        self._cast = cast
        self._draw = draw
        self._count = count
        self._window = Window(span_s=span_s, bound=bound, late=lambda: count("late_stamp", 1))
        self._in_hand = 0

    @property
    def unsent(self) -> int:
        return self._window.waiting + self._in_hand

    def visits(self) -> Iterator[Visit | None]:
        """Yield visits in order; None is a pause point, where nothing is due but time has been spent."""
        window, copies, count = self._window, self._cast.copies, self._count
        for lines, item in enumerate(self._items, 1):
            count("read", 1)
            if not isinstance(item, Entry):
                count(f"skipped:{item}", 1)
            elif copies(item) == 0:
                count("skipped:not_sampled", 1)
            else:
                window.add(item)
                while (second := window.release()) is not None:
                    yield from self._visits_of(second)
            if lines % PAUSE_AFTER == 0:
                yield None
        while (second := window.release(everything=True)) is not None:
            yield from self._visits_of(second)

    def _visits_of(self, released: Second) -> Iterator[Visit]:
        second, entries = released
        copies = [self._cast.copies(entry) for entry in entries]
        total = sum(copies)
        if total > len(entries):
            self._count("repeated", total - len(entries))
        self._in_hand = total
        for visit in self._placed(second, entries, copies):
            self._in_hand -= 1
            yield visit

    def _placed(self, second: int, entries: list[Entry], copies: list[int]) -> Iterator[Visit]:
        """Yield every user's visit in one second: whole stamps spread within it, exact ones where they are."""
        user = self._cast.user
        whole = [pair for pair in zip(entries, copies, strict=True) if pair[0].whole or pair[0].stamp < second]
        stamps = spread(second, sum(number for _, number in whole), self._draw)
        placed = (Visit(next(stamps), user(entry, copy), entry) for entry, number in whole for copy in range(number))
        if len(whole) == len(entries):
            yield from placed
            return
        exact = [
            Visit(stamp, user(entry, copy), entry)
            for entry, number in zip(entries, copies, strict=True)
            if not (entry.whole or entry.stamp < second)
            for copy, stamp in enumerate(fan(entry.stamp, number))
        ]
        yield from sorted([*placed, *exact], key=lambda visit: visit.stamp)
