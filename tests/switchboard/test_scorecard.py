from __future__ import annotations

from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.drill import Drill, Phase
from switchboard.scorecard import (
    MAX_US,
    Recorder,
    ScoreDelta,
    ScoreTotals,
    empty_histogram,
    merge,
    scorecard,
)

DRILL = Drill(id="d1", scenario="surge", target="staging", phase=Phase.RUNNING, started="s", deadline="e", edge=1)

KEYS = [
    "drill",
    "scenario",
    "target",
    "phase",
    "elapsed_s",
    "speed",
    "users",
    "requests",
    "rps",
    "avg_wait",
    "wait_p50",
    "wait_p95",
    "wait_p99",
    "error_pct",
    "accuracy_pct",
    "pacing",
    "leaks",
    "env",
]


def taken(recorder: Recorder) -> ScoreDelta:
    delta = recorder.take()
    assert delta is not None
    return delta


def filled() -> Recorder:
    recorder = Recorder("w1")
    for number in range(100):
        recorder.outcome(f"user-{number % 4}", wait_s=0.01, error=number < 5, status=500 if number < 5 else 200)
    return recorder


def test_outcomes_are_counted_by_request_error_status_and_user() -> None:
    delta = taken(filled())
    assert delta.counters == {
        "requests": 100,
        "errors": 5,
        "status:500": 5,
        "status:200": 95,
        "wait_us": 1_000_000,
    }
    assert delta.users == {"user-0", "user-1", "user-2", "user-3"}
    assert merge([delta.wait]).get_total_count() == 100


def test_nothing_new_gives_no_delta() -> None:
    recorder = Recorder("w1")
    assert recorder.take() is None
    recorder.count("read")
    recorder.confirm(taken(recorder).sequence)
    assert recorder.take() is None


def test_a_delta_is_offered_unchanged_until_it_is_confirmed() -> None:
    recorder = filled()
    first = taken(recorder)
    recorder.outcome("late", wait_s=1.0, error=False)
    assert recorder.take() is first
    recorder.confirm(first.sequence + 7)
    assert recorder.take() is first
    recorder.confirm(first.sequence)
    second = taken(recorder)
    assert second.sequence == first.sequence + 1
    assert second.counters == {"requests": 1, "wait_us": 1_000_000}
    assert second.users == {"late"}


def test_histograms_hold_the_whole_history_of_the_writer() -> None:
    recorder = filled()
    recorder.confirm(taken(recorder).sequence)
    recorder.outcome("x", wait_s=2.0, error=False)
    assert merge([taken(recorder).wait]).get_total_count() == 101


def test_a_user_is_named_once() -> None:
    recorder = filled()
    recorder.confirm(taken(recorder).sequence)
    recorder.outcome("user-0", wait_s=0.1, error=False)
    assert taken(recorder).users == frozenset()


def test_only_a_start_more_than_a_second_late_counts_as_late() -> None:
    recorder = Recorder("w1")
    for late_s in (0.0, 0.5, 1.0, 1.001, 3.0):
        recorder.lateness(late_s)
    delta = taken(recorder)
    assert delta.counters["late"] == 2
    assert merge([delta.pacing]).get_total_count() == 5


def test_names_from_outside_cannot_grow_without_bound() -> None:
    recorder = Recorder("w1")
    for number in range(5_000):
        recorder.count(f"blocked:host {number} is not listed")
    counters = taken(recorder).counters
    assert len(counters) <= 2_001
    assert sum(counters.values()) == 5_000
    assert counters["blocked:(other)"] >= 3_000


@settings(max_examples=25)
@given(st.lists(st.floats(min_value=0, max_value=5_000), max_size=300))
def test_batches_fill_the_same_buckets_as_single_values(seconds: list[float]) -> None:
    recorder = Recorder("w1")
    single = empty_histogram()
    for value in seconds:
        recorder.outcome("u", wait_s=value, error=False)
        single.record_value(min(round(value * 1e6), MAX_US))
    delta = recorder.take()
    assert buckets(merge([delta.wait] if delta else [])) == buckets(single)


def buckets(histogram: HdrHistogram) -> dict[int, int]:
    return {step.value_iterated_to: step.count_added_in_this_iter_step for step in histogram.get_recorded_iterator()}


def test_merging_adds_writers_and_skips_empty_ones() -> None:
    one = taken(filled()).wait
    assert merge([one, b"", one]).get_total_count() == 200


def test_without_a_drill_every_key_is_there_and_zero() -> None:
    card = scorecard(None, ScoreTotals(), elapsed_s=0.0, rps=0.0, speed=1.0)
    assert list(card) == KEYS
    assert card["drill"] is None
    assert card["accuracy_pct"] is None
    assert card["users"] == card["requests"] == card["avg_wait"] == card["error_pct"] == card["wait_p95"] == 0
    assert card["pacing"] == {"p50_ms": 0, "p99_ms": 0, "max_ms": 0, "late": 0}
    assert card["leaks"] == {"production_dials": 0, "blocked": 0, "kernel_drops": 0}
    assert card["env"] == "sandbox"


def test_the_card_has_waits_in_seconds_and_pacing_in_milliseconds() -> None:
    recorder = filled()
    recorder.lateness(0.002)
    recorder.count("blocked", 3)
    recorder.count("production_dials")
    delta = taken(recorder)
    totals = ScoreTotals(delta.counters, users=4, wait=merge([delta.wait]), pacing=merge([delta.pacing]))
    card = scorecard(DRILL, totals, elapsed_s=12.3456, rps=8.26, speed=2.0)
    assert list(card) == KEYS
    assert (card["drill"], card["scenario"], card["phase"]) == ("d1", "surge", "running")
    assert (card["users"], card["requests"], card["rps"], card["elapsed_s"]) == (4, 100, 8.3, 12.346)
    assert card["avg_wait"] == 0.01
    assert 0.0099 < card["wait_p50"] <= card["wait_p95"] <= card["wait_p99"] < 0.0101
    assert card["error_pct"] == 5.0
    assert 1.99 < card["pacing"]["max_ms"] < 2.01
    assert card["leaks"] == {"production_dials": 1, "blocked": 3, "kernel_drops": 0}


def test_a_wait_of_more_than_an_hour_counts_as_an_hour_and_is_not_lost() -> None:
    recorder = Recorder("w1")
    recorder.outcome("u", wait_s=9_999.0, error=True)
    histogram = merge([taken(recorder).wait])
    assert histogram.get_total_count() == 1
    assert histogram.get_max_value() >= MAX_US
