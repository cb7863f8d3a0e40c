"""Drills: their phases as a table, and the document of all of them that every node compiles."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from switchboard.errors import Conflict
from switchboard.estate import Value


class Phase(StrEnum):
    ARMING = "arming"
    RUNNING = "running"
    PAUSED = "paused"
    DRAINING = "draining"
    ENDED = "ended"
    FAILED = "failed"


class Event(StrEnum):
    ACKNOWLEDGED = "acknowledged"  # every registered node has applied the epoch
    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    FAIL = "fail"  # a node stayed silent while arming


TABLE: Mapping[tuple[Phase, Event], Phase] = {
    (Phase.ARMING, Event.ACKNOWLEDGED): Phase.RUNNING,
    (Phase.ARMING, Event.STOP): Phase.DRAINING,
    (Phase.ARMING, Event.FAIL): Phase.FAILED,
    (Phase.RUNNING, Event.PAUSE): Phase.PAUSED,
    (Phase.RUNNING, Event.STOP): Phase.DRAINING,
    (Phase.PAUSED, Event.RESUME): Phase.RUNNING,
    (Phase.PAUSED, Event.STOP): Phase.DRAINING,
    (Phase.DRAINING, Event.ACKNOWLEDGED): Phase.ENDED,
}

OVER = frozenset({Phase.ENDED, Phase.FAILED})
IN_SANDBOX = frozenset({Phase.RUNNING, Phase.PAUSED})
HOLDING = frozenset({Phase.ARMING, Phase.DRAINING})


class Drill(Value):
    """One run of a scenario (None: people only) against a target for a cohort (None: traffic only).

    `edge` is the epoch at which its clients last changed sides; steering does not change it.
    Times are ISO 8601 in UTC. `rules` is the digest of the estate it was begun with ("": not compared).
    """

    id: str
    scenario: str | None = None
    target: str
    cohort: str | None = None
    phase: Phase = Phase.ARMING
    owner: str = ""
    started: str
    deadline: str
    ended: str | None = None
    edge: int
    speed: float | None = None
    users: int | None = None
    duration: float | None = None
    seed: int | None = None
    rules: str = ""

    @property
    def is_over(self) -> bool:
        return self.phase in OVER


class SwitchDocument(Value):
    """What Redis holds at `esr:switch`: every drill that is not long over, and the epoch.

    Epochs count within one `lineage`, a random name that the first document gets and every later one keeps: after
    a loss of data the same number may mean something else.
    """

    epoch: Annotated[int, Field(ge=0)] = 0
    drills: tuple[Drill, ...] = ()
    lineage: str = ""

    @property
    def mode(self) -> str:
        return "live" if all(drill.is_over for drill in self.drills) else "sandbox"

    def find(self, drill_id: str) -> Drill | None:
        return next((drill for drill in self.drills if drill.id == drill_id), None)


def advance(phase: Phase, event: Event) -> Phase:
    """Return the phase that follows; raises Conflict (409) for a move the table does not know."""
    try:
        return TABLE[phase, event]
    except KeyError:
        possible = sorted(e for p, e in TABLE if p is phase)
        raise Conflict(
            f"a drill that is {phase} cannot {event}; it can {' or '.join(possible) or 'only be left as it is'}",
            code="illegal_move",
        ) from None


def step(document: SwitchDocument, drill_id: str, event: Event) -> SwitchDocument:
    """Return the next epoch's document in which one drill has made one move; raises Conflict."""
    epoch = document.epoch + 1
    edges = {Event.STOP, Event.FAIL}

    def moved(drill: Drill) -> Drill:
        if drill.id != drill_id:
            return drill
        edge = epoch if event in edges else drill.edge
        return drill.model_copy(update={"phase": advance(drill.phase, event), "edge": edge})

    return document.model_copy(update={"epoch": epoch, "drills": tuple(map(moved, document.drills))})
