"""Applications as a state machine (ACT): a step is accepted first and confirmed by the next read.

`POST /workflow/applications` creates, `GET .../{id}` reads, `POST .../{id}/{action}` steps.
Two people on one application do not overwrite each other: `If-Match` with the version they saw, else 412.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from aiohttp import web

from sandbox.calls import Call, Handler, Refused, json
from sandbox.side import Side

ROOT = "/workflow/applications"
LIMIT = 10_000


class State(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    REVIEW = "review"
    APPROVED = "approved"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


STEPS: Mapping[tuple[State, str], State] = {
    (State.DRAFT, "submit"): State.SUBMITTED,
    (State.DRAFT, "withdraw"): State.WITHDRAWN,
    (State.SUBMITTED, "review"): State.REVIEW,
    (State.SUBMITTED, "withdraw"): State.WITHDRAWN,
    (State.REVIEW, "approve"): State.APPROVED,
    (State.REVIEW, "deny"): State.DENIED,
    (State.REVIEW, "withdraw"): State.WITHDRAWN,
}
ACTIONS = frozenset(action for _, action in STEPS)


@dataclass(frozen=True, slots=True)
class Application:
    id: str
    answers: Mapping[str, Any]
    state: State = State.DRAFT
    version: int = 1


class Applications:
    """The applications of one side, the newest 10,000 of them."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._numbers = itertools.count(1)
        self._all: OrderedDict[str, Application] = OrderedDict()

    def __len__(self) -> int:
        return len(self._all)

    def create(self, answers: Mapping[str, Any]) -> Application:
        made = Application(id=f"{self._side}-{next(self._numbers)}", answers=dict(answers))
        self._all[made.id] = made
        if len(self._all) > LIMIT:
            self._all.popitem(last=False)
        return made

    def get(self, number: str) -> Application:
        """Return the application `number`; raises Refused 404."""
        try:
            return self._all[number]
        except KeyError:
            raise Refused(404, f"there is no application {number!r} here ({self._side})") from None

    def step(self, number: str, action: str, *, version: int | None = None) -> Application:
        """Return the application after `action`; raises Refused 404, 409 (no such step), 412 (stale)."""
        known = self.get(number)
        if version not in (None, known.version):
            raise Refused(412, f"{number} is at version {known.version}, not {version}: read it again")
        state = STEPS.get((known.state, action))
        if state is None:
            raise Refused(409, f"{number} is {known.state}: it cannot {action}")
        self._all[number] = replace(known, state=state, version=known.version + 1)
        return self._all[number]


class Workflow:
    """HTTP in front of `Applications`."""

    def __init__(self, side: Side, applications: Applications) -> None:
        self._side = side
        self._applications = applications

    def find(self, method: str, path: str) -> Handler | None:
        if path == ROOT and method == "POST":
            return self._create
        number, _, action = path.removeprefix(ROOT + "/").partition("/")
        if not path.startswith(ROOT + "/") or not number:
            return None
        if method == "GET" and not action:
            return self._read
        return self._step if method == "POST" and action in ACTIONS else None

    async def _create(self, call: Call) -> web.StreamResponse:
        made = self._applications.create(await call.json_object())
        return self._answer(made, status=201, confirmed=True)

    async def _read(self, call: Call) -> web.StreamResponse:
        return self._answer(self._applications.get(call.path.rpartition("/")[2]), status=200, confirmed=True)

    async def _step(self, call: Call) -> web.StreamResponse:
        number, _, action = call.path.removeprefix(ROOT + "/").partition("/")
        version = _version(call.request.headers.get("If-Match"))
        return self._answer(self._applications.step(number, action, version=version), status=202, confirmed=False)

    def _answer(self, known: Application, *, status: int, confirmed: bool) -> web.Response:
        value = {
            "id": known.id,
            "state": known.state,
            "version": known.version,
            "confirmed": confirmed,
            "side": self._side,
        }
        headers = {"ETag": f'"{known.version}"', "Location": f"{ROOT}/{known.id}"}
        return json(value, status=status, headers=headers)


def _version(text: str | None) -> int | None:
    if text is None or text == "*":
        return None
    digits = text.strip('"')
    if not digits.isdecimal() or not digits.isascii():
        raise Refused(400, f'If-Match: {text} is not a version like "3"')
    return int(digits[:18])
