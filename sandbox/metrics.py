"""Events and a dashboard (OPS), filed by environment: a drill never colours production's figures.

`POST /metrics/events` takes one `{"name", "value", "env"}`; without `env` it is filed under this side. A sandbox files
everything under sandbox, and production does so with what is marked (`X-HMS-Env`, `baggage`).
`GET /metrics/dashboard` shows `env=prod` unless asked for another.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sandbox.calls import Call, Handler, Refused, json
from sandbox.side import Side

LIMIT = 1_000


class Metrics:
    """Counts and sums of one side by environment and name."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._files: dict[tuple[Side, str], tuple[int, float]] = {}

    def find(self, method: str, path: str) -> Handler | None:
        table: dict[tuple[str, str], Handler] = {
            ("POST", "/metrics/events"): self._accept,
            ("GET", "/metrics/dashboard"): self._dashboard,
        }
        return table.get((method, path))

    async def _accept(self, call: Call) -> web.StreamResponse:
        event = await call.json_object()
        name, value = event.get("name"), event.get("value", 1)
        if not isinstance(name, str) or not 0 < len(name) <= 100:
            raise Refused(400, f"name: {name!r} is not a text of 1 to 100 characters")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(400, f"value: {value!r} is not a number")
        env = _env(event.get("env", self._side))
        if self._side is Side.SANDBOX or _is_marked(call.request):
            env = Side.SANDBOX
        self._file(env, name, float(value))
        return json({"accepted": True, "env": env, "side": self._side}, status=202)

    def _file(self, env: Side, name: str, value: float) -> None:
        if (env, name) not in self._files and len(self._files) >= LIMIT:
            raise Refused(507, f"more than {LIMIT} names: {name!r} is not filed")
        count, total = self._files.get((env, name), (0, 0.0))
        self._files[env, name] = count + 1, total + value

    async def _dashboard(self, call: Call) -> web.StreamResponse:
        env = _env(call.request.query.get("env", Side.PROD))
        figures = {
            name: {"count": count, "sum": total}
            for (filed, name), (count, total) in sorted(self._files.items())
            if filed is env
        }
        return json({"env": env, "side": self._side, "figures": figures})


def _is_marked(request: web.Request) -> bool:
    members = ",".join(request.headers.getall("baggage", [])).split(",")  # W3C Baggage 3.3
    marks = {request.headers.get("X-HMS-Env"), *(member.partition(";")[0].strip() for member in members)}
    return not marks.isdisjoint({Side.SANDBOX, f"env={Side.SANDBOX}"})


def _env(value: Any) -> Side:
    try:
        return Side(value)
    except ValueError:
        raise Refused(400, f"env: {value!r} is not 'prod' or 'sandbox'") from None
