from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.pacing import Pacer, fan, spread


def test_spacing_is_divided_by_speed_from_one_start() -> None:
    pacer = Pacer(start=100.0, speed=2.0, gap_cap_s=60.0)
    assert [pacer.due(stamp) for stamp in (5.0, 6.0, 9.0)] == [100.0, 100.5, 102.0]
    assert (pacer.wait(101.5), pacer.wait(103.0)) == (0.5, 0.0)


def test_a_million_visits_do_not_drift() -> None:
    pacer = Pacer(start=0.0, speed=3.0, gap_cap_s=60.0, first=0.0)
    for number in range(0, 1_000_001):
        due = pacer.due(number * 0.1)
    assert due == pytest.approx(100_000 / 3, abs=1e-9)


def test_silence_is_cut_after_the_division_by_speed_and_reported() -> None:
    pacer = Pacer(start=0.0, speed=10.0, gap_cap_s=60.0)
    assert [pacer.due(stamp) for stamp in (0.0, 600.0, 1300.0, 1310.0)] == [0.0, 60.0, 120.0, 121.0]
    assert (pacer.gaps_capped, pacer.capped_s) == (1, 10.0)


def test_a_step_back_takes_no_time() -> None:
    pacer = Pacer(start=0.0, speed=1.0, gap_cap_s=60.0)
    assert [pacer.due(stamp) for stamp in (10.0, 15.0, 12.0, 16.0)] == [0.0, 5.0, 5.0, 6.0]


@given(st.integers(-(10**10), 10**10), st.integers(1, 500), st.integers())
def test_events_of_one_second_are_spread_evenly_within_it(second: int, count: int, seed: int) -> None:
    stamps = list(spread(second, count, random.Random(seed).random))
    assert stamps == sorted(stamps)
    for place, stamp in enumerate(stamps):
        assert place / count - 1e-5 <= stamp - second <= (place + 1) / count + 1e-5


def test_the_same_seed_spreads_the_same_way() -> None:
    assert list(spread(5, 9, random.Random(1).random)) == list(spread(5, 9, random.Random(1).random))
    assert list(spread(5, 9, random.Random(1).random)) != list(spread(5, 9, random.Random(2).random))


def test_copies_of_an_exact_stamp_stay_in_its_second() -> None:
    assert fan(7.5, 2) == [7.5, 7.75]
    assert fan(7.5, 1) == [7.5]
