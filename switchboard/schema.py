"""JSON Schema of the files that users write, for editors (`hms-esr schema estate|scenario`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from switchboard.errors import BadInput
from switchboard.estate import Estate, Value
from switchboard.scenario import Scenario

_MODELS: Mapping[str, type[Value]] = {"estate": Estate, "scenario": Scenario}
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# `title` repeats the key; `ge` and the like are pydantic's, left over on unions; a default is told by the docs,
# and pydantic writes those of parsed values in their parsed form, which the file would not take.
_DROPPED = frozenset({"title", "default", "gt", "ge", "lt", "le"})
_NAMES_TO_SCHEMAS = frozenset({"properties", "$defs"})


def schema_text(kind: str) -> str:
    """Return the JSON Schema (draft 2020-12) of an `estate` or `scenario` file; raises BadInput."""
    if kind not in _MODELS:
        raise BadInput(f"schema: {kind!r} is not one of {', '.join(_MODELS)}")
    schema = _cleaned(_MODELS[kind].model_json_schema(by_alias=True, mode="validation"))
    return json.dumps({"$schema": _DIALECT, **schema}, indent=2) + "\n"


def _cleaned(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_cleaned(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _cleaned(inner) for name, inner in value.items()} if key in _NAMES_TO_SCHEMAS else _cleaned(value)
        for key, value in schema.items()
        if key not in _DROPPED
    }
