"""Ratios of rounds taken in turns, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from switchboard.errors import NotFound


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one side: requests a second, and the processor time that a request took.

    `cpu_us` is that of the side's own processes, `around_us` that of the load generator and the origin.
    """

    rate: float
    cpu_us: float
    around_us: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured against what, round by round. `least` is the budget: the lowest ratio that is enough."""

    what: str
    against: str
    least: float
    ours: tuple[Round, ...]
    theirs: tuple[Round, ...]
    note: str = ""

    @property
    def ratio(self) -> float:
        """The median of the ratios of neighbouring rounds: a slow spell of the machine hits both sides of one."""
        return median(self._ratios())

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest of these ratios."""
        ratios = self._ratios()
        return min(ratios), max(ratios)

    @property
    def is_met(self) -> bool:
        return self.ratio >= self.least

    def _ratios(self) -> list[float]:
        return [mine.rate / yours.rate for mine, yours in zip(self.ours, self.theirs, strict=True)]


_HEAD = ("what", "against", "ratio", "lowest - highest", "budget", "requests/s", "peer", "CPU us/request", "peer")


def _cells(row: Row) -> tuple[str, ...]:
    low, high = row.spread
    return (
        row.what,
        row.against,
        f"{row.ratio:.2f}x",
        f"{low:.2f} - {high:.2f}",
        f"{row.least:g}x {'met' if row.is_met else 'MISSED'}",
        f"{median(one.rate for one in row.ours):,.0f}",
        f"{median(one.rate for one in row.theirs):,.0f}",
        f"{median(one.cpu_us for one in row.ours):,.0f}",
        f"{median(one.cpu_us for one in row.theirs):,.0f}",
    )


def as_text(rows: Sequence[Row]) -> str:
    """Return the table for a terminal, notes below it."""
    lines = [_HEAD, *map(_cells, rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(_HEAD))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(text + _notes(rows))


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table for docs/benchmarks.md, notes below it."""
    lines = [_HEAD, ("---",) * len(_HEAD), *map(_cells, rows)]
    table = ["| " + " | ".join(line) + " |" for line in lines]
    notes = [f"\n{note}" for note in _notes(rows)]
    return "\n".join(table + notes)


def replaced(document: str, part: str, table: str) -> str:
    """Return a document with what stands between the marks of a part replaced; raises NotFound without marks."""
    start, end = f"<!-- bench:{part} -->\n", f"<!-- /bench:{part} -->"
    before, opened, rest = document.partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise NotFound(
            f"docs/benchmarks.md has no marks {start.strip()} and {end} to write between", code="bench_marks"
        )
    return f"{before}{start}{table}\n{end}{after}"


def _notes(rows: Sequence[Row]) -> list[str]:
    return [f"{row.what}: {row.note}" for row in rows if row.note]
