"""What the API shows of drills, nodes, scenarios, targets and cohorts. Pure; secrets stay out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard.drill import SwitchDocument
from switchboard.errors import InvalidFile
from switchboard.estate import Cohort, Target
from switchboard.node import NodeState, astray, why_astray
from switchboard.scenario import Scenario

_IN_STATE = {"id", "scenario", "target", "cohort", "phase", "owner", "started", "deadline"}


def describe_state(document: SwitchDocument, nodes: Iterable[NodeState], *, guard: str, now_s: float) -> dict[str, Any]:
    """Return the state object (DESIGN 5.2); `now_s` is in Unix seconds, as nodes write it.

    `problem` of a node says that it obeys what this switch does not know, else None.
    """
    nodes = tuple(nodes)
    problems = {one.id: why_astray(one) for one in astray(nodes, document.epoch, lineage=document.lineage)}
    return {
        "epoch": document.epoch,
        "mode": document.mode,
        "drills": [one.model_dump(mode="json", include=_IN_STATE) for one in document.drills],
        "nodes": [
            {
                "id": node.id,
                "role": node.role,
                "epoch": node.epoch,
                "ready": node.ready,
                "last_seen_s": round(max(now_s - node.seen, 0.0), 3),
                "note": node.note,
                "problem": problems.get(node.id),
            }
            for node in nodes
        ],
        "guard": guard,
    }


def describe_cohort(name: str, cohort: Cohort) -> dict[str, Any]:
    """Return a cohort as the API shows it, without passwords."""
    return {
        "name": name,
        "clients": [str(net) for net in cohort.clients],
        "users": sorted(cohort.users),
        "gate": cohort.gate.value,
    }


def describe_scenario(key: str, found: Scenario | InvalidFile) -> dict[str, Any]:
    """Return a scenario as the API shows it; a broken one with its error."""
    if isinstance(found, InvalidFile):
        return {"id": key, "error": str(found)}
    shown = {"id", "title", "source", "target", "speed", "users", "duration", "seed"}
    return found.model_dump(mode="json", include=shown)


def describe_target(name: str, target: Target) -> dict[str, Any]:
    """Return a target as the API shows it, without its credentials."""
    return {
        "name": name,
        "routes": [
            {"name": route.name or str(route.origin), "from": str(route.origin), "to": str(route.to)}
            for route in target.routes
        ],
        "mocks": [mock.match for mock in target.mocks],
        "block": [str(host) for host in target.block],
        "allow": [str(host) for host in target.allow],
        "unlisted": target.unlisted,
    }
