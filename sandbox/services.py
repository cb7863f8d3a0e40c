"""JSON for the pages (SVC): profile, plans and the agency's status.

Pages of other origins may ask too, with a token (CORS): the answer names the Origin that asked.
"""

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
    """The services of one side; who asks is known by a bearer token or the session cookie, else a guest."""

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
        handler = self._table.get((method, path))
        if handler is not None:
            return _shared(handler)
        allowed = [known for known, place in self._table if place == path]
        return _preflight(allowed) if method == "OPTIONS" and allowed else None

    def _name(self, call: Call) -> str:
        return self._people.name(call.bearer or call.session) or GUEST

    async def _profile(self, call: Call) -> web.StreamResponse:
        return json({**self._people.profile(self._name(call)), "side": self._side})

    async def _save(self, call: Call) -> web.StreamResponse:
        return json({**self._people.save(self._name(call), await call.json_object()), "side": self._side})

    async def _plans(self, call: Call) -> web.StreamResponse:
        return json({"side": self._side, "items": _PLANS})

    async def _status(self, call: Call) -> web.StreamResponse:
        return json({"side": self._side, "enrollment": "open", "applications": len(self._applications)})


def _shared(handler: Handler) -> Handler:
    """Let pages of the origin that asked read the answer."""

    async def answer(call: Call) -> web.StreamResponse:
        found = await handler(call)
        if origin := call.request.headers.get("Origin"):
            found.headers["Access-Control-Allow-Origin"] = origin
            found.headers["Vary"] = "Origin"
        return found

    return answer


def _preflight(methods: list[str]) -> Handler:
    async def answer(call: Call) -> web.StreamResponse:
        headers = {
            "Access-Control-Allow-Methods": ", ".join(methods),
            "Access-Control-Allow-Headers": "authorization, content-type",
        }
        return web.Response(status=204, headers=headers)

    return _shared(answer)
