"""What the switchboard keeps for one client in one drill: its cookie jar and the twins it has learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import chain
from types import MappingProxyType

import orjson

from switchboard.jar import Jar

MOST_LEARNED = 100
MOST_LEARNED_CHARACTERS = 64 * 1024


class Written(IntEnum):
    """What became of a pocket that was to be stored."""

    DONE = 1
    CONFLICT = 0  # another worker stored one meanwhile
    ENDED = -1  # the drill is over: nothing is stored any more
    FULL = -2  # too many clients in this drill
    PLEDGED = -3  # workers that do not hear of it count on nothing being stored for a moment: try again soon


@dataclass(frozen=True, slots=True)
class Pocket:
    """`learned`: rule key -> sandbox credential, as `credentials` learned it; never shown in a repr."""

    jar: Jar = field(default_factory=Jar.empty)
    learned: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @staticmethod
    def empty() -> Pocket:
        return _EMPTY

    def with_jar(self, jar: Jar) -> Pocket:
        return self if jar is self.jar else replace(self, jar=jar)

    def with_learned(self, learned: Mapping[str, str]) -> Pocket:
        """Return a pocket that knows these twins too; the newest stay where they are too many or too long.

        Raises ValueError for a twin that no text coding carries.
        """
        if learned.items() <= self.learned.items():
            return self
        "".join(chain.from_iterable(learned.items())).encode()  # UnicodeEncodeError is a ValueError
        return replace(self, learned=_within_limits({**_without(self.learned, learned), **learned}))

    def rebased(self, *, old: Pocket, onto: Pocket) -> Pocket:
        """Return `onto` with what changed from `old` to this pocket done to it."""
        changed = {rule: twin for rule, twin in self.learned.items() if old.learned.get(rule) != twin}
        return onto.with_jar(self.jar.rebased(old=old.jar, onto=onto.jar)).with_learned(changed)

    def to_json(self, *, revision: int) -> bytes:
        """Return the pocket and how many times it was written before, in clear: for sealing only."""
        jar = orjson.Fragment(self.jar.to_json())
        return orjson.dumps({"revision": revision, "learned": dict(self.learned), "jar": jar})

    @staticmethod
    def from_json(data: bytes) -> tuple[Pocket, int]:
        """Return the pocket and its revision; raises ValueError for anything else, without quoting it."""
        try:
            document = orjson.loads(data)
            revision, learned = document["revision"], document["learned"]
            sound = isinstance(revision, int) and all(isinstance(twin, str) for twin in learned.values())
            jar = Jar.from_json(orjson.dumps(document["jar"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            sound = False
        if not sound:
            raise ValueError("not a pocket of this version") from None
        return Pocket(jar, MappingProxyType(learned)), revision


_EMPTY = Pocket()


def _without(all_of: Mapping[str, str], some: Mapping[str, str]) -> dict[str, str]:
    return {rule: twin for rule, twin in all_of.items() if rule not in some}


def _within_limits(learned: dict[str, str]) -> Mapping[str, str]:
    size = sum(len(rule) + len(twin) for rule, twin in learned.items())
    for rule in list(learned):
        if len(learned) <= MOST_LEARNED and size <= MOST_LEARNED_CHARACTERS:
            break
        size -= len(rule) + len(learned.pop(rule))
    return MappingProxyType(learned)
