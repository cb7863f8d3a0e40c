from __future__ import annotations

import random
from collections import Counter
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from generator.entry import Entry, Item, Reason
from generator.replay import PAUSE_AFTER, Replay
from generator.sessions import Cast


def an_entry(stamp: float, *, whole: bool = True, client: str = "c") -> Entry:
    return Entry(stamp, whole, client, "a", "GET", "/")


def a_replay(items: list[Item], counts: Counter[str], cast: Cast | None = None) -> Replay:
    def count(name: str, by: int) -> None:
        counts[name] += by

    return Replay(items, cast=cast or Cast(seed=0), draw=random.Random(0).random, count=count, span_s=10)


ITEMS = st.lists(
    st.sampled_from(list(Reason))
    | st.builds(an_entry, st.floats(0, 500), whole=st.booleans(), client=st.sampled_from("abcdefgh"))
)


@given(ITEMS, st.integers(0, 3), st.integers(0, 100))
def test_every_line_is_accounted_for_wherever_it_stops(items: list[Item], each: int, stop: int) -> None:
    counts: Counter[str] = Counter()
    replay = a_replay(items, counts, Cast(seed=0, each=each, threshold=2**63))
    sent = sum(visit is not None for visit in islice(replay.visits(), stop))
    skipped = sum(number for name, number in counts.items() if name.startswith("skipped:"))
    assert counts["read"] + counts["repeated"] == sent + skipped + replay.unsent


@given(ITEMS, st.integers(1, 3))
def test_visits_come_in_the_order_of_their_stamps(items: list[Item], each: int) -> None:
    visits = [visit for visit in a_replay(items, Counter(), Cast(seed=0, each=each)).visits() if visit is not None]
    stamps = [visit.stamp for visit in visits]
    assert stamps == sorted(stamps)
    assert len(visits) == each * sum(isinstance(item, Entry) for item in items)


def test_whole_stamps_are_spread_and_exact_ones_stay() -> None:
    items: list[Item] = [an_entry(5.0), an_entry(5.0), an_entry(5.25, whole=False)]
    stamps = [visit.stamp for visit in a_replay(items, Counter()).visits() if visit is not None]
    assert 5.25 in stamps
    assert any(5.0 <= stamp < 5.5 for stamp in stamps)
    assert any(5.5 <= stamp < 6.0 for stamp in stamps)


def test_a_client_that_stands_for_three_users_is_repeated_twice() -> None:
    counts: Counter[str] = Counter()
    visits = list(a_replay([an_entry(1.0)], counts, Cast(seed=0, each=3)).visits())
    assert len({visit.user for visit in visits if visit is not None}) == 3
    assert counts == {"read": 1, "repeated": 2}


def test_long_stretches_without_a_visit_have_pause_points() -> None:
    items: list[Item] = [Reason.BLANK] * (3 * PAUSE_AFTER)
    assert list(a_replay(items, Counter()).visits()) == [None, None, None]
