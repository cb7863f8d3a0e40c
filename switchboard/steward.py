"""What has to happen next to the drills, given who has acknowledged what and what time it is.

Whoever runs these decisions may die at any point: they depend on the stored document and the registered nodes
only, so that the next admin goes on where the last one stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from switchboard.drill import HOLDING, Drill, Event, Phase, SwitchDocument, step
from switchboard.errors import Conflict
from switchboard.estate import Cohort, Estate
from switchboard.node import NodeState, astray, behind
from switchboard.switch import rules_digest

KEEP_ENDED = timedelta(hours=1)
KEEP_AT_LEAST = 20


@dataclass(frozen=True, slots=True)
class Move:
    """One event for one drill; `silent` names the nodes that made a start fail."""

    drill_id: str
    event: Event
    silent: tuple[str, ...] = ()


def next_move(
    document: SwitchDocument,
    nodes: Iterable[NodeState],
    *,
    now: datetime,
    waited_s: Mapping[str, float],
    arm_timeout_s: float,
) -> Move | None:
    """Return the most urgent move, None when there is nothing to do but wait.

    `waited_s` says for each drill that is arming or draining how long its epoch has been waiting.
    A drill that drains waits for a silent node for ever: its clients must not be let out half. A node that obeys
    another history counts as silent, however high its epoch.
    """
    nodes = tuple(nodes)
    for drill in document.drills:
        silent = unsettled(document, nodes, drill.edge)
        if drill.phase in HOLDING and not silent:
            return Move(drill.id, Event.ACKNOWLEDGED)
        if drill.phase is Phase.ARMING and waited_s.get(drill.id, 0.0) >= arm_timeout_s:
            return Move(drill.id, Event.FAIL, silent)
        if _can_stop(drill) and now >= datetime.fromisoformat(drill.deadline):
            return Move(drill.id, Event.STOP)
    return None


def unsettled(document: SwitchDocument, nodes: Iterable[NodeState], epoch: int) -> tuple[str, ...]:
    """Return the ids of the nodes that do not apply this document from `epoch` on, sorted."""
    nodes = tuple(nodes)
    lost = (node.id for node in astray(nodes, document.epoch, lineage=document.lineage))
    return tuple(sorted({*behind(nodes, epoch, lineage=document.lineage), *lost}))


def next_look_s(
    document: SwitchDocument, *, now: datetime, waited_s: Mapping[str, float], arm_timeout_s: float
) -> float | None:
    """Return in how many seconds time alone can bring a move; None: it cannot."""
    waits = [
        (datetime.fromisoformat(drill.deadline) - now).total_seconds() for drill in document.drills if _can_stop(drill)
    ]
    waits += [arm_timeout_s - waited_s.get(drill.id, 0.0) for drill in document.drills if drill.phase is Phase.ARMING]
    return max(min(waits), 0.0) if waits else None


def make(document: SwitchDocument, move: Move, *, now: datetime) -> SwitchDocument:
    """Return the next epoch's document after a move, stamped and tidied; raises Conflict."""
    return _tidied(step(document, move.drill_id, move.event), now)


def begin(document: SwitchDocument, drill: Drill, *, estate: Estate, now: datetime) -> SwitchDocument:
    """Return the next epoch's document with one more drill arming; raises Conflict when cohorts overlap."""
    for other in document.drills:
        if not other.is_over and _overlap(drill.cohort, other.cohort, estate.cohorts):
            raise Conflict(
                f"cohort '{drill.cohort}' has clients in drill '{other.id}' (cohort '{other.cohort}', "
                f"{other.phase}): stop that one first, or choose another cohort",
                code="cohort_in_drill",
            )
    epoch = document.epoch + 1
    fresh = drill.model_copy(update={"phase": Phase.ARMING, "edge": epoch, "rules": rules_digest(estate)})
    return _tidied(document.model_copy(update={"epoch": epoch, "drills": (*document.drills, fresh)}), now)


def end_all(document: SwitchDocument, *, now: datetime, above: int = -1) -> SwitchDocument | None:
    """Return the next document, in which every drill drains; None when nobody has to be told.

    `above` is the highest epoch that a node obeys without this document knowing it (-1: none): the end is written
    above it, whether or not drills are known here.
    """
    if above < document.epoch and not any(map(_can_stop, document.drills)):
        return None
    epoch = max(document.epoch, above) + 1
    drills = tuple(
        drill.model_copy(update={"phase": Phase.DRAINING, "edge": epoch}) if _can_stop(drill) else drill
        for drill in document.drills
    )
    return _tidied(document.model_copy(update={"epoch": epoch, "drills": drills}), now)


def newest(document: SwitchDocument, *, over_too: bool = False) -> Drill | None:
    """Return the drill that was started last and is not over; with `over_too` else the last one at all."""
    active = [drill for drill in document.drills if not drill.is_over]
    if active:
        return active[-1]
    return document.drills[-1] if over_too and document.drills else None


def _can_stop(drill: Drill) -> bool:
    return not drill.is_over and drill.phase is not Phase.DRAINING


def _tidied(document: SwitchDocument, now: datetime) -> SwitchDocument:
    """Stamp drills that are over, and drop those that are long over but for the last 20."""
    stamped = [
        drill.model_copy(update={"ended": now.isoformat(timespec="milliseconds")})
        if drill.is_over and drill.ended is None
        else drill
        for drill in document.drills
    ]
    recent = {drill.id for drill in [drill for drill in stamped if drill.is_over][-KEEP_AT_LEAST:]}
    kept = tuple(
        drill
        for drill in stamped
        if drill.ended is None or drill.id in recent or now - datetime.fromisoformat(drill.ended) < KEEP_ENDED
    )
    return document.model_copy(update={"drills": kept})


def _overlap(first: str | None, second: str | None, cohorts: Mapping[str, Cohort]) -> bool:
    if first is None or second is None:
        return False
    if first == second:
        return True
    one, two = cohorts.get(first), cohorts.get(second)
    if one is None or two is None:
        return False
    return bool(set(one.users) & set(two.users)) or any(
        net.version == other.version and net.overlaps(other) for net in one.clients for other in two.clients
    )
