"""The description of the HTTP API (OpenAPI 3.1), written by hand; a test holds it against the router."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from switchboard import __version__
from switchboard.drill import Phase

_Schema = dict[str, Any]


def _object(required: Iterable[str] | None = None, /, **properties: Any) -> _Schema:
    """Describe an object; without `required` all its keys are."""
    return {"type": "object", "properties": properties, "required": list(properties if required is None else required)}


def _body(required: Iterable[str], /, **properties: Any) -> _Schema:
    schema = {**_object(required, **properties), "additionalProperties": False}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _list(of: _Schema) -> _Schema:
    return {"type": "array", "items": of}


def _ref(name: str) -> _Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: _Schema = {"type": "string"}
_COUNT: _Schema = {"type": "integer", "minimum": 0}
_WHOLE: _Schema = {"type": "integer"}
_NUMBER: _Schema = {"type": "number", "minimum": 0}
_YES: _Schema = {"type": "boolean"}
_TIME: _Schema = {"type": "string", "format": "date-time"}
_MAYBE_TEXT: _Schema = {"type": ["string", "null"]}
_MAYBE_NUMBER: _Schema = {"type": ["number", "null"]}
_MAYBE_WHOLE: _Schema = {"type": ["integer", "null"]}
_DURATION: _Schema = {"type": ["string", "number"], "examples": ["30m"], "description": "Text, or seconds."}
_SPEED: _Schema = {"type": ["string", "number"], "examples": ["2x"]}
_COUNTS: _Schema = {"type": "object", "additionalProperties": _COUNT}

_DRILL_IN_STATE = _object(
    id=_TEXT,
    scenario=_MAYBE_TEXT,
    target=_TEXT,
    cohort=_MAYBE_TEXT,
    phase={"type": "string", "enum": [phase.value for phase in Phase]},
    owner=_TEXT,
    started=_TIME,
    deadline=_TIME,
)
_ROUTE: _Schema = {
    "type": "object",
    "properties": {"name": _TEXT, "from": _TEXT, "to": _TEXT},
    "required": ["name", "from", "to"],
}
_HOSTS = _list(_TEXT)

SCHEMAS: dict[str, _Schema] = {
    "OutboxEntry": _object(
        time=_TIME,
        method=_TEXT,
        url=_TEXT,
        kind=_TEXT,
        mock=_TEXT,
        status=_WHOLE,
        content_type=_TEXT,
        size=_COUNT,
        body={},
        shortened=_YES,
    ),
    "Drill": _object(
        **_DRILL_IN_STATE["properties"],
        ended=_MAYBE_TEXT,
        rules=_TEXT,
        edge=_COUNT,
        speed=_MAYBE_NUMBER,
        users=_MAYBE_WHOLE,
        duration=_MAYBE_NUMBER,
        seed=_MAYBE_WHOLE,
    ),
    "State": _object(
        epoch=_COUNT,
        mode={"type": "string", "enum": ["live", "sandbox"]},
        drills=_list(_DRILL_IN_STATE),
        nodes=_list(
            _object(
                id=_TEXT, role=_TEXT, epoch=_COUNT, ready=_YES, last_seen_s=_NUMBER, note=_TEXT, problem=_MAYBE_TEXT
            )
        ),
        guard={"type": "string", "enum": ["absent", "applied"]},
    ),
    "Score": _object(
        drill=_MAYBE_TEXT,
        scenario=_MAYBE_TEXT,
        target=_MAYBE_TEXT,
        phase=_MAYBE_TEXT,
        elapsed_s=_NUMBER,
        speed=_NUMBER,
        users=_COUNT,
        requests=_COUNT,
        rps=_NUMBER,
        avg_wait=_NUMBER,
        wait_p50=_NUMBER,
        wait_p95=_NUMBER,
        wait_p99=_NUMBER,
        error_pct=_NUMBER,
        accuracy_pct=_MAYBE_NUMBER,
        pacing=_object(p50_ms=_NUMBER, p99_ms=_NUMBER, max_ms=_NUMBER, late=_COUNT),
        leaks=_object(production_dials=_COUNT, blocked=_COUNT, kernel_drops=_COUNT),
        env=_TEXT,
    ),
    "Outcome": _object(user=_TEXT, wait=_NUMBER, status={"type": "integer", "minimum": 0, "maximum": 599}),
    "Leaks": _object(
        drill=_MAYBE_TEXT,
        production_dials=_COUNT,
        kernel_drops=_COUNT,
        blocked=_object(total=_COUNT, reasons=_COUNTS),
        dials=_COUNTS,
    ),
    "Scenario": _object(["id"], id=_TEXT, title=_TEXT, source=_TEXT, error=_TEXT),
    "Target": _object(name=_TEXT, routes=_list(_ROUTE), mocks=_HOSTS, block=_HOSTS, allow=_HOSTS, unlisted=_TEXT),
    "Cohort": _object(name=_TEXT, clients=_HOSTS, users=_HOSTS, gate=_TEXT),
    "Readiness": _object(ready=_YES, epoch=_COUNT, degraded=_YES, waiting={"type": "object"}),
    "Problem": _object(
        ["type", "title", "status", "detail", "code"], type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT, code=_TEXT
    ),
}

_ID = {"name": "id", "in": "path", "required": True, "schema": _TEXT}
_DRILL = {"name": "drill", "in": "query", "schema": _TEXT, "description": "Default: the newest that is not ended."}
_PROBLEMS = {
    "4XX": {"description": "refused", "content": {"application/problem+json": {"schema": _ref("Problem")}}},
    "503": {"description": "Redis is away", "content": {"application/problem+json": {"schema": _ref("Problem")}}},
}


def _header(name: str, text: str) -> _Schema:
    return {"name": name, "in": "header", "schema": _TEXT, "description": text}


def _answers(*codes: int, schema: _Schema | None = None, media: str = "application/json") -> _Schema:
    content = {"content": {media: {"schema": schema or _TEXT}}}
    return {**{str(code): {"description": _SAYS[code], **content} for code in codes}, **_PROBLEMS}


_SAYS = {200: "done", 201: "started", 202: "under way, not every node has acknowledged", 503: "not ready"}


def _call(summary: str, answers: _Schema, **more: Any) -> _Schema:
    return {"summary": summary, "responses": answers, **more}


def _public(summary: str, media: str, **more: Any) -> _Schema:
    return _call(summary, _answers(200, media=media), security=[], **more)


def _switch_paths() -> dict[str, _Schema]:
    state = _answers(200, 202, schema=_ref("State"))
    mode = _body(["mode"], mode={"type": "string", "enum": ["live", "sandbox"]}, target=_TEXT, cohort=_TEXT)
    return {
        "/api/esr/state": {"get": _call("Read switch and nodes", _answers(200, schema=_ref("State")))},
        "/api/esr/mode": {
            "put": _call(
                "Turn the small toggle: a drill without traffic, or the end of all drills",
                state,
                requestBody=mode,
                parameters=[_header("If-Match", "The epoch that the change builds upon.")],
            )
        },
        "/api/esr/scenarios": {
            "get": _call("List scenarios", _answers(200, schema=_object(scenarios=_list(_ref("Scenario")))))
        },
        "/api/esr/targets": {
            "get": _call(
                "List targets and cohorts",
                _answers(200, schema=_object(targets=_list(_ref("Target")), cohorts=_list(_ref("Cohort")))),
            )
        },
    }


def _drill_paths() -> dict[str, _Schema]:
    drill = _answers(200, schema=_ref("Drill"))
    start = _body(
        (),
        scenario=_MAYBE_TEXT,
        target=_TEXT,
        cohort=_MAYBE_TEXT,
        owner=_TEXT,
        max=_DURATION,
        speed=_SPEED,
        users=_COUNT,
        duration=_DURATION,
        seed=_WHOLE,
    )
    return {
        "/api/esr/drills": {
            "get": _call("List drills", _answers(200, schema=_object(drills=_list(_ref("Drill"))))),
            "post": _call("Start a drill", _answers(201, schema=_ref("Drill")), requestBody=start),
        },
        "/api/esr/drills/{id}": {
            "get": _call("Read a drill", drill, parameters=[_ID]),
            "patch": _call("Change a running drill (501 in this version)", drill, parameters=[_ID]),
        },
        "/api/esr/drills/{id}/stop": {
            "post": _call("End a drill", _answers(200, 202, schema=_ref("Drill")), parameters=[_ID])
        },
        "/api/esr/drills/{id}/pause": {"post": _call("Pause its traffic", drill, parameters=[_ID])},
        "/api/esr/drills/{id}/resume": {"post": _call("Resume its traffic", drill, parameters=[_ID])},
    }


def _figure_paths() -> dict[str, _Schema]:
    return {
        "/api/esr/score": {
            "get": _call(
                "Follow the scorecard: one object a second",
                _answers(200, schema=_ref("Score"), media="text/event-stream"),
                parameters=[_DRILL, _header("Last-Event-ID", "Resume after this event.")],
            )
        },
        "/api/esr/outbox": {
            "get": _call(
                "List what mocks swallowed, the newest first",
                _answers(200, schema=_object(drill=_MAYBE_TEXT, entries=_list(_ref("OutboxEntry")))),
                parameters=[_DRILL, {"name": "limit", "in": "query", "schema": {**_COUNT, "maximum": 1000}}],
            )
        },
        "/api/esr/score/events": {
            "post": _call(
                "Count outcomes from outside: all lines or none",
                _answers(200, schema=_object(drill=_TEXT, counted=_COUNT)),
                parameters=[_DRILL, _header("Idempotency-Key", "The same lines sent again under it count once.")],
                requestBody={"required": True, "content": {"application/x-ndjson": {"schema": _ref("Outcome")}}},
            )
        },
        "/api/esr/leaks": {
            "get": _call("Read the leak report", _answers(200, schema=_ref("Leaks")), parameters=[_DRILL])
        },
        "/metrics": {"get": _call("Scrape metrics", _answers(200, media="text/plain"))},
    }


def _page_paths() -> dict[str, _Schema]:
    return {
        "/api/esr/openapi.json": {"get": _call("Read this description", _answers(200, schema={"type": "object"}))},
        "/healthz": {"get": _public("Tell that the admin runs", "application/json")},
        "/readyz": {
            "get": _call(
                "Tell whether every node applies the switch",
                {**_PROBLEMS, **{k: v for k, v in _answers(200, 503, schema=_ref("Readiness")).items() if k != "4XX"}},
                security=[],
            )
        },
        "/ca.pem": {"get": _public("Fetch the CA certificate", "application/x-x509-ca-cert")},
        "/proxy.pac": {"get": _public("Fetch the proxy configuration", "application/x-ns-proxy-autoconfig")},
        "/": {
            "get": _public(
                "Open the console", "text/html", parameters=[{"name": "token", "in": "query", "schema": _TEXT}]
            )
        },
        "/logout": {
            "post": _call(
                "End the session of the cookie and delete it", {"204": {"description": "logged out"}, **_PROBLEMS}
            )
        },
        "/console/{name}": {
            "get": _public("Fetch a file of the console", "text/css", parameters=[{**_ID, "name": "name"}])
        },
    }


def describe_api() -> dict[str, Any]:
    """Return the OpenAPI document of the calls that this version answers."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "HMS-ESR", "version": __version__},
        "security": [{"token": []}, {"session": []}],
        "paths": {**_switch_paths(), **_drill_paths(), **_figure_paths(), **_page_paths()},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "hms_esr_session"},
            },
        },
    }
