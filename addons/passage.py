"""What the hooks of one flow tell each other: the verdict, and when the request came."""

from __future__ import annotations

from dataclasses import dataclass

from mitmproxy import http

from switchboard.verdict import Ask, Kind, Verdict

_KEY = "esr"


@dataclass(slots=True)
class Passage:
    """`started_at` is monotonic seconds. `local`: the answer was made here, nothing was dialled for it."""

    ask: Ask
    verdict: Verdict
    started_at: float
    local: bool = False
    counted: bool = False

    @property
    def forwarded(self) -> bool:
        return self.verdict.kind is Kind.FORWARD and not self.local


def note(flow: http.HTTPFlow, passage: Passage) -> None:
    flow.metadata[_KEY] = passage


def of(flow: http.HTTPFlow) -> Passage | None:
    """Return the passage of a flow, None where its request was never decided."""
    found = flow.metadata.get(_KEY)
    return found if isinstance(found, Passage) else None
