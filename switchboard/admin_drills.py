"""The calls that look at and change the switch: state, mode, drills, scenarios, targets."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from switchboard import steward
from switchboard.admin_bodies import ModeBody, StartBody, parse_body, parse_epoch
from switchboard.admin_choice import (
    chosen_cohort,
    chosen_scenario,
    new_drill,
    only,
    unknown,
)
from switchboard.admin_errors import problem_response
from switchboard.admin_score import Scenarios
from switchboard.admin_state import Decide, Desk
from switchboard.admin_views import describe_cohort, describe_scenario, describe_state, describe_target
from switchboard.drill import Drill, Event, Phase, SwitchDocument
from switchboard.errors import BadInput, Conflict
from switchboard.node import astray, why_astray
from switchboard.scenario import Scenario

# Raises BadInput where a scenario's source cannot be read; what reads logs is the generator's, so programs give it.
Examine = Callable[[Scenario], None]


class DrillCalls:
    """Everything below `/api/esr/` that reads or moves the switch."""

    def __init__(self, desk: Desk, scenarios: Scenarios, *, guard: str, examine: Examine) -> None:
        self._desk = desk
        self._scenarios = scenarios
        self._guard = guard
        self._examine = examine

    def routes(self) -> Iterable[web.RouteDef]:
        one = "/api/esr/drills/{id}"
        return (
            web.get("/api/esr/state", self.state),
            web.put("/api/esr/mode", self.mode),
            web.get("/api/esr/drills", self.drills),
            web.post("/api/esr/drills", self.start),
            web.get(one, self.drill),
            web.patch(one, self.patch),
            web.post(one + "/stop", self.stop),
            web.post(one + "/pause", self.pause),
            web.post(one + "/resume", self.resume),
            web.get("/api/esr/scenarios", self.scenarios),
            web.get("/api/esr/targets", self.targets),
        )

    # -- reading

    async def state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._state())

    async def drills(self, _request: web.Request) -> web.Response:
        return web.json_response({"drills": [one.model_dump(mode="json") for one in self._desk.document.drills]})

    async def drill(self, request: web.Request) -> web.Response:
        return web.json_response(self._known(request.match_info["id"]).model_dump(mode="json"))

    async def scenarios(self, _request: web.Request) -> web.Response:
        found = self._scenarios()
        return web.json_response({"scenarios": [describe_scenario(key, found[key]) for key in sorted(found)]})

    async def targets(self, _request: web.Request) -> web.Response:
        estate = self._desk.estate
        return web.json_response(
            {
                "targets": [describe_target(name, target) for name, target in sorted(estate.targets.items())],
                "cohorts": [describe_cohort(name, cohort) for name, cohort in sorted(estate.cohorts.items())],
            }
        )

    # -- changing

    async def mode(self, request: web.Request) -> web.Response:
        """The small toggle: a drill without traffic, or the end of all drills."""
        body = parse_body(ModeBody, await request.read())
        epoch = parse_epoch(request.headers.get("If-Match"))
        if body.mode == "live":
            if body.target is not None or body.cohort is not None:
                raise BadInput("body: mode 'live' ends every drill; it takes neither target nor cohort")
            return await self._end_all(epoch)
        target = only("target", body.target, self._desk.estate.targets)
        cohort = only("cohort", body.cohort, self._desk.estate.cohorts)
        wanted = new_drill(
            StartBody(), target=target, cohort=cohort, scenario=None, drill_id=_new_id(None), now=self._desk.clock()
        )

        def decide(document: SwitchDocument) -> SwitchDocument | None:
            _check_epoch(document, epoch)
            if _same_people(document, wanted) is not None:
                return None
            self._check_start()
            return steward.begin(document, wanted, estate=self._desk.estate, now=self._desk.clock())

        document = await self._desk.change(decide)
        drill = _same_people(document, wanted) or wanted
        done = await self._begun(drill.id)
        return web.json_response(self._state(), status=200 if done else 202)

    async def start(self, request: web.Request) -> web.Response:
        """Start a drill and answer when it is running."""
        body = parse_body(StartBody, await request.read())
        estate = self._desk.estate
        target = only("target", body.target, estate.targets)
        scenario = chosen_scenario(body.scenario, self._scenarios(), target=target, estate=estate)
        cohort = chosen_cohort(body, estate)
        if cohort is None and scenario is None:
            raise BadInput("body: a drill without a cohort needs a scenario, else nothing would happen")
        if scenario is not None:
            await asyncio.to_thread(self._examine, scenario)
        wanted = new_drill(
            body, target=target, cohort=cohort, scenario=scenario, drill_id=_new_id(scenario), now=self._desk.clock()
        )

        def decide(document: SwitchDocument) -> SwitchDocument:
            self._check_start()
            return steward.begin(document, wanted, estate=estate, now=self._desk.clock())

        await self._desk.change(decide)
        await self._begun(wanted.id)
        drill = self._desk.document.find(wanted.id) or wanted
        return web.json_response(
            drill.model_dump(mode="json"), status=201, headers={"Location": f"/api/esr/drills/{drill.id}"}
        )

    async def stop(self, request: web.Request) -> web.Response:
        """End one drill: 200 when it has ended, 202 while some node still drains."""
        drill_id = request.match_info["id"]
        self._known(drill_id)
        await self._desk.change(self._stepping(drill_id, Event.STOP))
        ended = await self._desk.until(lambda: self._known(drill_id).is_over, timeout_s=self._patience_s)
        done = ended and await self._applied(self._desk.document.epoch)
        drill = self._known(drill_id)
        return web.json_response(drill.model_dump(mode="json"), status=200 if done else 202)

    async def pause(self, request: web.Request) -> web.Response:
        return await self._steer(request, Event.PAUSE)

    async def resume(self, request: web.Request) -> web.Response:
        return await self._steer(request, Event.RESUME)

    async def _steer(self, request: web.Request, event: Event) -> web.Response:
        drill_id = request.match_info["id"]
        self._known(drill_id)
        document = await self._desk.change(self._stepping(drill_id, event))
        drill = document.find(drill_id)
        assert drill is not None
        return web.json_response(drill.model_dump(mode="json"))

    async def patch(self, request: web.Request) -> web.Response:
        self._known(request.match_info["id"])
        return problem_response(
            501, "not_in_this_version", "a running drill cannot be changed yet: stop it and start it anew"
        )

    # -- inside

    async def _end_all(self, epoch: int | None) -> web.Response:
        def decide(document: SwitchDocument) -> SwitchDocument | None:
            _check_epoch(document, epoch)
            # Nodes may obey a switch that nobody can read any more: the end is said above it.
            return steward.end_all(document, now=self._desk.clock(), above=self._desk.astray_epoch(document))

        await self._desk.listen()
        document = await self._desk.change(decide, overrule=True)
        ended = await self._desk.until(lambda: self._desk.document.mode == "live", timeout_s=self._patience_s)
        done = ended and await self._applied(max(document.epoch, self._desk.document.epoch))
        return web.json_response(self._state(), status=200 if done else 202)

    async def _begun(self, drill_id: str) -> bool:
        """Wait until a drill runs on every node; False when that takes too long.

        Raises Conflict when it failed to start (`node_silent` names the nodes) or was stopped meanwhile.
        """

        def has_left_arming() -> bool:
            drill = self._desk.document.find(drill_id)
            return drill is None or drill.phase is not Phase.ARMING

        await self._desk.until(has_left_arming, timeout_s=self._patience_s)
        drill = self._desk.document.find(drill_id)
        if drill is not None and drill.phase is Phase.FAILED:
            blamed = self._desk.blamed.get(drill_id) or self._desk.silent(drill.edge)
            self._check_astray(drill_id, blamed)
            names = ", ".join(blamed) or "unknown"
            raise Conflict(
                f"drill '{drill_id}' did not start: no answer from node {names} within "
                f"{self._desk.estate.arm_timeout:g} s. Nothing was let through; see that the node runs, or that "
                "it is taken off the register, and start again",
                code="node_silent",
            )
        if drill is None or drill.is_over or drill.phase is Phase.DRAINING:
            raise Conflict(f"drill '{drill_id}' was stopped while it started", code="stopped_meanwhile")
        return drill.phase is not Phase.ARMING and await self._applied(self._desk.document.epoch)

    def _stepping(self, drill_id: str, event: Event) -> Decide:
        move = steward.Move(drill_id, event)
        return lambda document: steward.make(document, move, now=self._desk.clock())

    def _check_astray(self, drill_id: str, blamed: Iterable[str]) -> None:
        document = self._desk.document
        for node in astray(self._desk.nodes, document.epoch, lineage=document.lineage):
            if node.id in blamed:
                raise Conflict(
                    f"drill '{drill_id}' did not start: node '{node.id}' {why_astray(node)}", code="switch_lost"
                )

    def _check_start(self) -> None:
        """Raise Conflict or Unavailable while no drill may begin at all."""
        self._desk.check_trusted()
        if self._desk.estate.require_guard and self._guard != "applied":
            raise Conflict(
                "the estate says 'require_guard: true' and the kernel rules are not applied: "
                "start 'hms-esr serve guard', or take the key out",
                code="guard_absent",
            )

    def _known(self, drill_id: str) -> Drill:
        drill = self._desk.document.find(drill_id)
        if drill is None:
            raise unknown("drill", drill_id, [one.id for one in self._desk.document.drills])
        return drill

    async def _applied(self, epoch: int) -> bool:
        """Wait until every registered node has applied an epoch; False when that takes too long."""
        return await self._desk.until(lambda: not self._desk.silent(epoch), timeout_s=self._patience_s)

    @property
    def _patience_s(self) -> float:
        return self._desk.estate.arm_timeout + 1.0

    def _state(self) -> dict[str, Any]:
        return describe_state(
            self._desk.document, self._desk.nodes, guard=self._guard, now_s=self._desk.clock().timestamp()
        )


def _same_people(document: SwitchDocument, wanted: Drill) -> Drill | None:
    """Return the drill that already has this cohort in this target, whatever traffic it has."""
    return next(
        (
            one
            for one in document.drills
            if not one.is_over
            and one.phase is not Phase.DRAINING
            and (one.target, one.cohort) == (wanted.target, wanted.cohort)
        ),
        None,
    )


def _new_id(scenario: Scenario | None) -> str:
    return f"{scenario.id if scenario else 'people'}-{secrets.token_hex(4)}"


def _check_epoch(document: SwitchDocument, epoch: int | None) -> None:
    if epoch is not None and document.epoch != epoch:
        raise Conflict(
            f"If-Match: {epoch} is not the epoch any more, it is {document.epoch}: look at the state again",
            code="epoch_moved",
        )
