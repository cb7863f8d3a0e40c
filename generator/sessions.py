"""Which users a recorded client stands for.

A client is told by its address and user agent. To reach the number of users that a scenario asks for, a drill takes
a census of the clients in the part of the log it will play. With more users than clients every client stands for
several users, who all do what it did; with fewer, a seeded sample of the clients is played.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from hashlib import blake2b
from heapq import nsmallest

from generator.entry import Entry


@lru_cache(maxsize=32_768)
def identity(seed: int, client: str, agent: str) -> int:
    """Return a 64-bit number for a client that depends on nothing but the seed."""
    text = f"{seed}\0{client}\0{agent}".encode("utf-8", "replace")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


class Cast:
    """Every client stands for `each` users, those with a number of at most `threshold` for one more."""

    def __init__(self, *, seed: int, each: int = 1, threshold: int = -1) -> None:
        self._seed = seed
        self._each = each
        self._threshold = threshold

    def copies(self, entry: Entry) -> int:
        """Return how many users this entry's client stands for; 0: it is not in the sample."""
        if self._threshold < 0:
            return self._each
        return self._each + (identity(self._seed, entry.client, entry.agent) <= self._threshold)

    def user(self, entry: Entry, copy: int) -> str:
        """Return the id of the client's user number `copy` (from 0); no address can be read from it."""
        number = identity(self._seed, entry.client, entry.agent)
        return f"{number:016x}.{copy}" if copy else f"{number:016x}"


def fill_cast(census: Collection[int], *, users: int | None, seed: int) -> Cast:
    """Return the cast in which the clients of `census` (numbers of `identity`) make exactly `users` users."""
    if users is None or not census:
        return Cast(seed=seed)
    each, more = divmod(users, len(census))
    threshold = nsmallest(more, census)[-1] if more else -1
    return Cast(seed=seed, each=each, threshold=threshold)
