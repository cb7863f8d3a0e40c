"""JSON for the pages (SVC): profile, plans and the agency's status."""

from __future__ import annotations

from aiohttp import web

from sandbox.calls import Call, Handler, json
from sandbox.people import People
from sandbox.side import Side
from sandbox.workflow import Applications

_PLANS = (
    {"id": "bronze-1", "name": "Harbor Bronze", "premium": 212},
    {"id": "silver-1", "name": "Meadow Silver", "premium": 308},
    {"id": "silver-2", "name": "Summit Silver", "premium": 334},
    {"id": "gold-1", "name": "Lakeside Gold", "premium": 421},
    {"id": "platinum-1", "name": "Orchard Platinum", "premium": 560},
)
GUEST = "guest"


class Services:
    """The services of one side; who asks is known by the session cookie, else a guest."""

    def __init__(self, side: Side, people: People, applications: Applications) -> None:
        self._side = side
        self._people = people
        self._applications = applications
        self._table: dict[tuple[str, str], Handler] = {
            ("GET", "/profile"): self._profile,
            ("PUT", "/profile"): self._save,
            ("GET", "/plans"): self._plans,
            ("GET", "/status"): self._status,
        }

    def find(self, method: str, path: str) -> Handler | None:
        return self._table.get((method, path))

    async def _profile(self, call: Call) -> web.StreamResponse:
        profile = self._people.profile(self._people.name(call.session) or GUEST)
        return json({**profile, "side": self._side})

    async def _save(self, call: Call) -> web.StreamResponse:
        name = self._people.name(call.session) or GUEST
        return json({**self._people.save(name, await call.json_object()), "side": self._side})

    async def _plans(self, call: Call) -> web.StreamResponse:
        return json({"side": self._side, "items": _PLANS})

    async def _status(self, call: Call) -> web.StreamResponse:
        return json({"side": self._side, "enrollment": "open", "applications": len(self._applications)})
