from __future__ import annotations

import json
from typing import Any

from switchboard.openapi import describe_api


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*map(references, value.values()))
    if isinstance(value, list):
        return set().union(*map(references, value))
    return set()


def test_every_reference_leads_somewhere() -> None:
    found = describe_api()
    known = {f"#/components/schemas/{name}" for name in found["components"]["schemas"]}
    assert references(found) <= known


def test_every_schema_is_used() -> None:
    found = describe_api()
    used = {one.rpartition("/")[2] for one in references(found)}
    assert used == set(found["components"]["schemas"])


def test_only_what_is_public_needs_no_token() -> None:
    paths = describe_api()["paths"]
    public = {path for path, calls in paths.items() if all(call.get("security") == [] for call in calls.values())}
    assert public == {"/", "/console/{name}", "/healthz", "/readyz", "/ca.pem", "/proxy.pac"}


def test_it_is_json() -> None:
    assert json.loads(json.dumps(describe_api()))["openapi"].startswith("3.1")
