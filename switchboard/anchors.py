"""Where in a text a host of a set may stand: what `bytes.find` looks for before any pattern is tried.

Theory: `bytes.find` runs at the speed of memory, once for each text it looks for. Hosts of one sandbox mostly have
something in common, so a few short *anchors* lead to all of them. Where they have not (services called by plain
words), the ends of the slashes in front of a host are looked for instead, and the letters behind them compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

_LENGTH = 6
_LEAST = 4
_MOST = 8
_MARKS = (b"//", b"\\/", b"2f", b"47;", b"2f;", b"sol;")


@dataclass(frozen=True, slots=True)
class Anchors:
    """Texts to find; with `behind`, only where one of its texts of `length` bytes follows.

    A hit is a place in a host's name, or its beginning.
    """

    texts: tuple[bytes, ...]
    behind: frozenset[bytes] | None = None
    length: int = 0

    @classmethod
    def of(cls, hosts: Collection[bytes], *, others: Iterable[bytes] = ()) -> Anchors:
        """Return what leads to every host. Texts that also stand in `others` are avoided: they would be common."""
        texts = _cover(hosts, b" ".join(others))
        if len(texts) <= _MOST:
            return cls(texts)
        length = min(_LEAST, *map(len, hosts))
        return cls(_MARKS, frozenset(host[:length] for host in hosts), length)

    def hits(self, lower: bytes, start: int, end: int) -> Iterator[int]:
        """Yield the hits between two places of a text in lower case, in order."""
        if len(self.texts) == 1:
            yield from self._find(self.texts[0], lower, start=start, end=end)
            return
        found = {text: self._find(text, lower, start=start, end=end) for text in self.texts}
        nexts = {text: at for text, places in found.items() if (at := next(places, -1)) >= 0}
        while nexts:
            text = min(nexts, key=nexts.__getitem__)
            yield nexts[text]
            nexts[text] = next(found[text], -1)
            if nexts[text] < 0:
                del nexts[text]

    def are_in(self, lower: bytes) -> bool:
        """Return whether a text in lower case has a hit."""
        if self.behind is None:
            return any(text in lower for text in self.texts)
        return next(self.hits(lower, 0, len(lower)), -1) >= 0

    def _find(self, text: bytes, lower: bytes, *, start: int, end: int) -> Iterator[int]:
        behind, length, skip = self.behind, self.length, len(text)
        at = lower.find(text, start, end)
        while at >= 0:
            if behind is None:
                yield at
            elif lower[at + skip : at + skip + length] in behind:
                yield at + skip
            at = lower.find(text, at + 1, end)


def _cover(hosts: Iterable[bytes], avoided: bytes) -> tuple[bytes, ...]:
    left = {host: _candidates(host) for host in hosts}
    found: list[bytes] = []
    while left:
        counts: dict[bytes, int] = {}
        for candidates in left.values():
            for text in candidates:
                counts[text] = counts.get(text, 0) + 1
        # Ties go to the text that comes first in its host: patterns are quickest where the host begins with it.
        best = max(counts, key=lambda text: (text not in avoided, counts[text]))
        found.append(best)
        left = {host: candidates for host, candidates in left.items() if best not in host}
    return tuple(found)


def _candidates(host: bytes) -> dict[bytes, None]:
    parts = [part for part in host.split(b"-") if len(part) >= _LEAST] or [host]  # scripts may escape hyphens
    found: dict[bytes, None] = {}
    for part in parts:
        for at in range(max(1, len(part) - _LENGTH + 1)):
            found[part[at : at + _LENGTH]] = None
    return found
