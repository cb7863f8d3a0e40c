from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generator.entry import Entry
from generator.reorder import Window


def an_entry(stamp: float) -> Entry:
    return Entry(stamp, True, "c", "a", "GET", f"/{stamp}")


def through(window: Window, stamps: list[float]) -> list[tuple[int, list[float]]]:
    out = []
    for stamp in stamps:
        window.add(an_entry(stamp))
        while second := window.release():
            out.append(second)
    while second := window.release(everything=True):
        out.append(second)
    return [(second, [entry.stamp for entry in entries]) for second, entries in out]


def test_steps_back_within_the_window_are_put_in_order() -> None:
    late: list[int] = []
    window = Window(span_s=10, late=lambda: late.append(1))
    assert through(window, [5, 3, 4, 3, 20, 12]) == [(3, [3, 3]), (4, [4]), (5, [5]), (12, [12]), (20, [20])]
    assert not late


def test_what_comes_after_its_second_has_left_goes_to_the_edge_and_is_counted() -> None:
    late: list[int] = []
    window = Window(span_s=10, late=lambda: late.append(1))
    assert through(window, [3, 20, 1, 21]) == [(3, [3]), (4, [1]), (20, [20]), (21, [21])]
    assert len(late) == 1


def test_no_more_entries_wait_than_the_bound() -> None:
    window = Window(span_s=1e9, bound=100, late=lambda: None)
    most = 0
    for stamp in range(10_000):
        window.add(an_entry(stamp))
        while window.release():
            pass
        most = max(most, window.waiting)
    assert most == 100


@given(st.lists(st.integers(0, 10_000)), st.integers(0, 500), st.integers(1, 50))
def test_nothing_is_lost_and_seconds_only_rise(stamps: list[int], span_s: int, bound: int) -> None:
    seconds = through(Window(span_s=span_s, bound=bound, late=lambda: None), [float(stamp) for stamp in stamps])
    assert sorted(stamp for _, inside in seconds for stamp in inside) == sorted(stamps)
    order = [second for second, _ in seconds]
    assert order == sorted(set(order))
