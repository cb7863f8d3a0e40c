"""What became of a visit, in three instants of one monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """One request that was sent. `status` 0: no answer, and `error` says why.

    Latency counts from `due_at`: a request that could not start in time because others were slow has waited too.
    """

    due_at: float
    started_at: float
    ended_at: float
    status: int = 0
    error: str = ""

    @property
    def wait_s(self) -> float:
        return self.ended_at - self.due_at

    @property
    def late_s(self) -> float:
        return max(self.started_at - self.due_at, 0.0)

    @property
    def is_error(self) -> bool:
        return self.status >= 500 or self.status == 0
