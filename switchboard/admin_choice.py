"""Names in a request -> what they mean in this estate; where one is left out, the only one is meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from switchboard.admin_bodies import NO_COHORT, StartBody
from switchboard.drill import Drill
from switchboard.errors import BadInput, InvalidFile, NotFound
from switchboard.estate import Estate
from switchboard.scenario import Scenario


def unknown(kind: str, name: str, known: Iterable[str]) -> NotFound:
    """Return the error for a name that is not known, with those that are."""
    listed = ", ".join(sorted(known)) or "none"
    return NotFound(f"{kind} '{name[:80]}' is not known; known are: {listed}", code=f"unknown_{kind}")


def only(kind: str, name: str | None, known: Mapping[str, object]) -> str:
    """Return `name` if it is known, or without one the only known name; raises NotFound or BadInput."""
    if name is not None:
        if name not in known:
            raise unknown(kind, name, known)
        return name
    if len(known) != 1:
        raise BadInput(
            f"body: {kind}: is missing, and there is not just one to mean; "
            f"choose one of: {', '.join(sorted(known)) or 'none'}"
        )
    return next(iter(known))


def chosen_cohort(body: StartBody, estate: Estate) -> str | None:
    """Return the cohort that a start means, None for traffic only."""
    if body.leaves_cohort_open:
        return only("cohort", None, estate.cohorts)
    if body.cohort is None or (body.cohort == NO_COHORT and NO_COHORT not in estate.cohorts):
        return None
    return only("cohort", body.cohort, estate.cohorts)


def chosen_scenario(
    name: str | None, scenarios: Mapping[str, Scenario | InvalidFile], *, target: str, estate: Estate
) -> Scenario | None:
    """Return the scenario that a start means; raises NotFound, BadInput for a broken or unfitting one."""
    if name is None:
        return None
    found = scenarios.get(name)
    if found is None:
        raise unknown("scenario", name, scenarios)
    if isinstance(found, InvalidFile):
        raise found
    services = [route.name for route in estate.targets[target].routes if route.name]
    if found.target is not None and found.target not in services:
        raise BadInput(
            f"scenario '{name}': target: '{found.target}' is not a route of target '{target}'; "
            f"named routes are: {', '.join(services) or 'none'}",
            code="route_missing",
        )
    return found


def new_drill(
    body: StartBody,
    *,
    target: str,
    cohort: str | None,
    scenario: Scenario | None,
    drill_id: str,
    now: datetime,
) -> Drill:
    """Return the drill that a start asks for; its edge is set when it begins."""
    return Drill(
        id=drill_id,
        scenario=scenario.id if scenario else None,
        target=target,
        cohort=cohort,
        owner=body.owner,
        started=now.isoformat(timespec="milliseconds"),
        deadline=(now + timedelta(seconds=body.max)).isoformat(timespec="milliseconds"),
        edge=0,
        speed=body.speed,
        users=body.users,
        duration=body.duration,
        seed=body.seed,
    )
