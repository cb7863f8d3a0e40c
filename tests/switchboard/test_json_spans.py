from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.json_spans import NotJson, find_spans, is_pointer, parse_pointer, read_json, replace_spans, wanted
from switchboard.twins import fold


def values(text: str, *pointers: str) -> list[Any]:
    data = text.encode()
    read_json(data)
    spans = find_spans(data, wanted({parse_pointer(pointer): pointer for pointer in pointers}))
    return [(span.leaf, json.loads(data[span.start : span.end])) for span in spans]


FOUND = {
    "a key": ('{"a": 1}', "/a", [1]),
    "a deeper key": ('{"x": {"y": [0]}, "a": {"b": "s"}}', "/a/b", ["s"]),
    "an index": ('[{"a": 1}, {"a": 2}]', "/1/a", [2]),
    "a whole value": ('{"a": {"b": [1, {}]}}', "/a", [{"b": [1, {}]}]),
    "a doubled key": ('{"a": {"b": 1}, "a": {"b": 2}}', "/a/b", [1, 2]),
    "an escaped key": (r'{"\u0061": 1}', "/a", [1]),
    "another spelling": (
        '{"Access-Token": 1, "access_token": 2, "ACCE\u017f\u017f_TOKEN": 3}',
        "/access_token",
        [1, 2, 3],
    ),
    "a slash and a tilde": ('{"a/b": {"c~d": 1}}', "/a~1b/c~0d", [1]),
    "an empty key": ('{"": 1}', "/", [1]),
    "quotes and brackets in text": (r'{"x": "\"}]{[\\", "a": 1}', "/a", [1]),
    "a byte order mark": ('\ufeff{"a": 1}', "/a", [1]),
    "nothing there": ('{"b": {"a": 1}}', "/a", []),
    "a scalar on the way": ('{"a": 1}', "/a/b", []),
    "empty ones": ('{"a": {}, "b": []}', "/a/b", []),
}


@pytest.mark.parametrize(("text", "pointer", "found"), FOUND.values(), ids=FOUND)
def test_every_value_that_a_server_may_take_for_the_pointers_is_found(
    text: str, pointer: str, found: list[Any]
) -> None:
    assert [value for _, value in values(text, pointer)] == found


def test_a_pointer_below_another_is_covered_by_it() -> None:
    assert values('{"a": {"b": 1}, "c": 2}', "/a", "/a/b", "/c") == [("/a", {"b": 1}), ("/c", 2)]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"{'a': 1}", b'{"a": NaN}', b"\xff", '{"a": 1}'.encode("utf-16"), b"[" * 5000 + b"]" * 5000]
)
def test_what_is_not_json_is_refused_without_repeating_it(text: bytes) -> None:
    with pytest.raises(NotJson, match=r"^not JSON in UTF-8$"):
        read_json(text)


@pytest.mark.parametrize(("text", "valid"), [("/a", True), ("/", True), ("", False), ("a", False), ("/a~2", False)])
def test_a_pointer_is_one_of_rfc_6901(text: str, valid: bool) -> None:
    assert is_pointer(text) == valid
    if not valid:
        with pytest.raises(ValueError, match="JSON pointer"):
            parse_pointer(text)


def test_deep_and_wide_texts_are_skipped() -> None:
    deep = "[" * 900 + "]" * 900
    wide = ",".join(['{"k": [[[["}"]]]]}'] * 20_000)
    assert values(f'{{"x": {deep}, "y": [{wide}], "a": 1}}', "/a") == [("/a", 1)]


_keys = st.sampled_from(["a", "A", "b", "c_d", "c-d", "", "0", "1", '"', "\\", "{"])
_documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=6), st.sampled_from(['"}', "\\", "[{"])),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_keys, inner, max_size=4)),
    max_leaves=25,
)


def along(found: list[Any], step: str) -> list[Any]:
    """What a parser that is lenient about keys finds one step further."""
    inner = [value for one in found if isinstance(one, dict) for key, value in one.items() if fold(key) == step]
    at = int(step) if step.isdecimal() else None
    return inner + [one[at] for one in found if isinstance(one, list) and at is not None and at < len(one)]


@settings(max_examples=200)
@given(_documents, st.lists(_keys.map(fold), min_size=1, max_size=3), st.booleans(), st.sampled_from([None, 1]))
def test_spans_are_what_a_parser_finds(document: Any, steps: list[str], ascii_only: bool, indent: int | None) -> None:
    data = json.dumps(document, ensure_ascii=ascii_only, indent=indent).encode()
    spans = find_spans(data, wanted({tuple(steps): True}))
    expected = [document]
    for step in steps:
        expected = along(expected, step)
    assert sorted(map(repr, (json.loads(data[s.start : s.end]) for s in spans))) == sorted(map(repr, expected))
    orjson.loads(replace_spans(data, [(s.start, s.end, b"null") for s in spans]))
