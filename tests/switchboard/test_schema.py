from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from switchboard.errors import BadInput
from switchboard.schema import schema_text
from switchboard.yaml_lines import parse_yaml

ROOT = Path(__file__).parents[2]
SCENARIO = "id: a\nsource: synthetic\nspeed: 2x\nduration: 30\nusers: 5\nprofile: {pages: [{path: /}], think: 2s}\n"
EXAMPLES = {"estate": (ROOT / "switchboard.yml").read_text(), "scenario": SCENARIO}
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def complaints(value: Any, schema: dict[str, Any], *, root: dict[str, Any], at: str = "") -> Iterator[str]:
    """What a validator of the used part of JSON Schema says."""
    if ref := schema.get("$ref"):
        yield from complaints(value, root["$defs"][ref.removeprefix("#/$defs/")], root=root, at=at)
        return
    if options := schema.get("anyOf"):
        if not any(not list(complaints(value, option, root=root, at=at)) for option in options):
            yield f"{at}: none of anyOf"
        return
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{at}: not {kind}"
    elif value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: another value"
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: pattern"
    elif isinstance(value, list):
        for item in value:
            yield from complaints(item, schema.get("items", {}), root=root, at=f"{at}[]")
    elif isinstance(value, dict):
        yield from complaints_of_keys(value, schema, root=root, at=at)


def complaints_of_keys(
    value: dict[str, Any], schema: dict[str, Any], *, root: dict[str, Any], at: str
) -> Iterator[str]:
    known = schema.get("properties", {})
    other = schema.get("additionalProperties", True)
    yield from (f"{at}: {key} is missing" for key in schema.get("required", []) if key not in value)
    for key, inner in value.items():
        if key not in known and other is False:
            yield f"{at}: {key} is unknown"
        rule = known.get(key, other if isinstance(other, dict) else {})
        yield from complaints(inner, rule, root=root, at=f"{at}.{key}")


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_examples_satisfy_the_schema(kind: str) -> None:
    schema = json.loads(schema_text(kind))
    assert list(complaints(parse_yaml(EXAMPLES[kind], "f").data, schema, root=schema)) == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("estate", ("guard: off", "guard: maybe")),
        ("estate", ("hosts:", "host:")),
        ("estate", ("to:", "two:")),
        ("estate", ("version: 1", "version: '1'")),
        ("scenario", ("synthetic", "dreams")),
        ("scenario", ("{path: /}", "/")),
        ("scenario", ("30", "[]")),
    ],
)
def test_a_wrong_file_does_not_satisfy_the_schema(kind: str, change: tuple[str, str]) -> None:
    schema = json.loads(schema_text(kind))
    assert change[0] in EXAMPLES[kind]
    assert list(complaints(parse_yaml(EXAMPLES[kind].replace(*change), "f").data, schema, root=schema))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_schema_speaks_of_keys_as_files_write_them(kind: str) -> None:
    text = schema_text(kind)
    schema = json.loads(text)
    assert schema["$schema"].endswith("2020-12/schema")
    assert "title" not in schema
    assert "$id" not in schema
    assert "json_body" not in text
    assert ("title" in schema["properties"]) == (kind == "scenario"), "a key called title stays"


def test_another_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match="'drill' is not one of estate, scenario"):
        schema_text("drill")
