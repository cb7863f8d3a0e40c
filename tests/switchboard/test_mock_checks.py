from __future__ import annotations

from typing import Any

import pytest

from switchboard.estate import Mock
from switchboard.mock_checks import mock_findings

MATCH = "POST https://payments.example/*"


def findings(**keys: Any) -> list[str]:
    made = Mock.model_validate({"match": MATCH, **keys})
    return [
        f"{'.'.join(map(str, one.loc))}: {one.value} is not {one.expected}" for one in mock_findings(made, ("mock",))
    ]


SOUND: dict[str, dict[str, Any]] = {
    "nothing": {},
    "JSON with headers": {"json": {"a": 1}, "headers": {"X-Ray": "on\toff", "Content-Type": "application/hal+json"}},
    "a file": {"file": "a.json"},
    "a template with state": {"template": "{{ state.a }}", "state": True, "set": {"a": "json.id", "b2": "1 + 1"}},
    "a template in a file": {"template": {"file": "a.html.j2"}, "outbox": "letter"},
}


@pytest.mark.parametrize("keys", SOUND.values(), ids=SOUND)
def test_a_sound_mock_gives_no_finding(keys: dict[str, Any]) -> None:
    assert findings(**keys) == []


FLAWED: dict[str, tuple[dict[str, Any], str]] = {
    "JSON and text": ({"json": 1, "text": "b"}, "mock.text: 'b' is not possible beside 'json': a mock has one body"),
    "a file and a template": (
        {"file": "a", "template": "b"},
        "mock.template: a template is not possible beside 'file': a mock has one body",
    ),
    "a template that cannot be read": (
        {"template": "{{ a"},
        "mock.template: '{{ a' is not a Jinja2 template (line 1: ",
    ),
    "a name that a template does not know": ({"template": "{{ jsn }}"}, "('jsn' is not known; known are method, "),
    "set without state": ({"set": {"a": "1"}}, "mock.set: a map is not possible without 'state: true'"),
    "set with a statement": (
        {"state": True, "set": {"a": "{{ 1 }}"}},
        "mock.set.a: '{{ 1 }}' is not a Jinja2 expression like 'json.id' (",
    ),
    "set with a strange name": ({"state": True, "set": {"1-a": "1"}}, "mock.set.1-a: '1-a' is not a name of letters"),
    "a header that breaks a line": (
        {"headers": {"X": "a\r\nB: c"}},
        r"mock.headers.X: 'a\r\nB: c' is not the value of a header: printable ASCII",
    ),
    "a header name with a space": ({"headers": {"X Y": "a"}}, "mock.headers.X Y: 'X Y' is not the name of a header"),
    "a header that frames": (
        {"headers": {"content-Length": "3"}},
        "mock.headers.content-Length: 'content-Length' is not a header that a mock may set: the switchboard does",
    ),
}


@pytest.mark.parametrize(("keys", "expected"), FLAWED.values(), ids=FLAWED)
def test_a_mock_that_cannot_be_is_found(keys: dict[str, Any], expected: str) -> None:
    (found,) = findings(**keys)
    assert expected in found
