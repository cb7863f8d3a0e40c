from __future__ import annotations

import pytest

from generator.outcome import Outcome


def test_latency_counts_from_the_instant_it_was_due() -> None:
    outcome = Outcome(due_at=10.0, started_at=10.25, ended_at=11.0, status=200)
    assert (outcome.wait_s, outcome.late_s, outcome.is_error) == (1.0, 0.25, False)


@pytest.mark.parametrize(
    ("status", "is_error"), [(200, False), (302, False), (404, False), (500, True), (503, True), (0, True)]
)
def test_an_error_is_a_server_error_or_no_answer(status: int, is_error: bool) -> None:
    assert Outcome(0, 0, 0, status).is_error is is_error
