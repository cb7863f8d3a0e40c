from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.estate import Mock
from switchboard.mock_request import MockRequest
from switchboard.mocks import MOST_STATE, Rendered, needs_body, render, type_of

URL = "https://payments.example/v1/charges"
FILES = {
    Path("a.json"): b'{"a": 1}',
    Path("page.html.j2"): b"<p>{{ query.name }}</p>\n",
    Path("broken.txt.j2"): b"\xff",
}


def mock(**keys: Any) -> Mock:
    return Mock.model_validate({"match": f"* {URL}", **keys})


def answer(
    made: Mock, url: str = URL, *, method: str = "GET", state: dict[str, Any] | None = None, **request: Any
) -> Rendered:
    return render(made, MockRequest.of(method, url, **request), state or {}, files=FILES)


BODIES: dict[str, tuple[dict[str, Any], bytes, str | None]] = {
    "nothing": ({}, b"", None),
    "JSON": ({"json": {"accepted": True}}, b'{"accepted":true}', "application/json"),
    "text": ({"text": "ok"}, b"ok", "text/plain; charset=utf-8"),
    "a file": ({"file": "a.json"}, b'{"a": 1}', "application/json"),
    "a template": ({"template": "{{ method }} {{ path }}"}, b"GET /v1/charges", "text/plain; charset=utf-8"),
    "a template in a file": ({"template": {"file": "page.html.j2"}}, b"<p>A &amp; B</p>\n", "text/html; charset=utf-8"),
    "a type of its own": (
        {"template": '{"n": {{ query.name | tojson }}}', "headers": {"content-type": "application/json"}},
        rb'{"n": "A \u0026 B"}',
        "application/json",
    ),
    "HTML inline": (
        {"template": "{{ query.name }}", "headers": {"Content-Type": "text/html"}},
        b"A &amp; B",
        "text/html",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("keys", "body", "content_type"), BODIES.values(), ids=BODIES)
def test_a_mock_answers_with_its_one_body(keys: dict[str, Any], body: bytes, content_type: str | None) -> None:
    got = answer(mock(**keys), f"{URL}?name=A+%26+B")
    assert (got.status, got.body, got.failure) == (200, body, None)
    types = [value.decode() for name, value in got.fields if name.lower() == b"content-type"]
    assert types == ([content_type] if content_type else [])


def test_headers_of_a_mock_are_sent_as_they_stand() -> None:
    got = answer(mock(headers={"X-Ray": "1", "Location": "/a"}, status=201))
    assert (got.status, got.fields) == (201, ((b"X-Ray", b"1"), (b"Location", b"/a")))


def test_a_template_reads_everything_of_a_request() -> None:
    made = mock(
        template="{{ url }}|{{ host }}|{{ path }}|{{ query.a }}|{{ headers['x-b'] }}|{{ json.c[0] }}|{{ drill }}"
    )
    fields = [(b"X-B", b"two"), (b"Content-Type", b"application/json")]
    got = answer(made, f"{URL}?a=1&a=2", method="POST", fields=fields, body=b'{"c": [3]}', drill="d-1")
    assert got.body.decode() == f"{URL}?a=1&a=2|payments.example|/v1/charges|1|two|3|d-1"


def test_a_request_cannot_bring_a_template_along() -> None:
    got = answer(mock(template="{{ query.q }}"), f"{URL}?q=" + "%7B%7B7*7%7D%7D")
    assert got.body == b"{{7*7}}"


ESCAPES = {
    "an attribute of a class": "{{ ''.__class__.__mro__ }}",
    "globals of a function": "{{ drill.upper.__globals__ }}",
    "a filter to an attribute": "{{ ''|attr('__class__') }}",
    "subclasses by format": "{{ '{0.__class__.__mro__}'.format('') }}",
    "change of what it was given": "{% set x = state.update({'a': 1}) %}",
    "a huge repetition": "{{ 'a' * 1000000000 }}",
    "a repetition from the request": "{{ query.n | int * [1] }}",
    "a huge power": "{{ 9 ** 99999999 }}",
    "a huge range": "{% for i in range(10 ** 9) %}{{ i }}{% endfor %}",
    "too long an answer": "{% for i in range(90000) %}{{ 'a' * 100 }}{% endfor %}",
    "a name without value": "{{ json.id }}",
    "a division by zero": "{{ 1 / 0 }}",
    "a wrong type": "{{ query.n + 1 }}",
    "an include": "{% include query.n %}",
}


@pytest.mark.parametrize("template", ESCAPES.values(), ids=ESCAPES)
def test_a_template_that_goes_too_far_gives_500_and_no_value_of_the_request(template: str) -> None:
    got = answer(mock(template=template, status=202, state=True), f"{URL}?n=77777777")
    assert (got.status, got.state_after) == (500, None)
    assert got.failure is not None
    assert got.failure.encode() in got.body
    assert b"7777" not in got.body
    assert len(got.body) < 300


@pytest.mark.parametrize("keys", [{"file": "gone"}, {"template": {"file": "broken.txt.j2"}}], ids=str)
def test_a_file_that_cannot_be_used_gives_500(keys: dict[str, Any]) -> None:
    assert answer(mock(**keys)).status == 500


def test_state_is_remembered_from_one_request_to_the_next() -> None:
    made = mock(
        template="{{ state.count }}: {{ state.names | join(' ') }}",
        state=True,
        set={"count": "state.count | default(0) + 1", "names": "(state.names | default([])) + [query.name]"},
    )
    first = answer(made, f"{URL}?name=ann")
    assert (first.body, first.state_after) == (b"1: ann", {"count": 1, "names": ["ann"]})
    assert first.state_after is not None
    second = answer(made, f"{URL}?name=bob", state=dict(first.state_after))
    assert (second.body, second.state_after) == (b"2: ann bob", {"count": 2, "names": ["ann", "bob"]})


def test_every_set_reads_the_state_as_it_was_before() -> None:
    made = mock(state=True, set={"a": "state.b", "b": "state.a"})
    assert answer(made, state={"a": 1, "b": 2, "c": 3}).state_after == {"a": 2, "b": 1, "c": 3}


def test_a_mock_that_only_reads_state_leaves_it_alone() -> None:
    got = answer(mock(state=True, template="{{ state.a }}"), state={"a": 1})
    assert (got.body, got.state_after) == (b"1", None)


def test_a_mock_without_state_sees_none() -> None:
    assert answer(mock(template="{{ state | length }}"), state={"a": 1}).body == b"0"


UNSTORABLE = {
    "no value": "json.id",
    "a function": "drill.upper",
    "a set too large": "'a' * 60000 ~ 'a' * 60000",
    "a huge number": "10 ** 40",
}


@pytest.mark.parametrize("expression", UNSTORABLE.values(), ids=UNSTORABLE)
def test_state_that_cannot_be_kept_is_not_changed_at_all(expression: str) -> None:
    got = answer(mock(state=True, set={"a": "1", "b": expression}), state={"a": 0})
    assert (got.status, got.state_after) == (500, None)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=4))
def test_any_values_are_data_in_a_template(query: dict[str, str]) -> None:
    request = MockRequest.of("POST", URL, fields=[(b"content-type", b"application/json")], body=orjson.dumps(query))
    made = mock(template="{{ json | tojson }}", state=True, set={"last": "json"})
    got = render(made, request, {}, files={})
    assert got.failure is None
    assert orjson.loads(got.body) == request.body.json
    assert got.state_after == {"last": request.body.json}
    assert len(orjson.dumps(got.state_after)) < MOST_STATE


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_answers_that_have_no_content_get_none(method: str, status: int) -> None:
    assert answer(mock(text="body", status=status), method=method).body == b""


KEPT: dict[str, tuple[str, dict[str, Any], bool]] = {
    "a POST": ("POST", {}, True),
    "a DELETE": ("DELETE", {}, True),
    "a GET": ("GET", {}, False),
    "a HEAD": ("HEAD", {}, False),
    "a preflight": ("OPTIONS", {}, False),
    "a POST that is not wanted": ("POST", {"outbox": False}, False),
    "a GET that is wanted": ("GET", {"outbox": True}, True),
    "a GET with a kind": ("GET", {"outbox": "payment"}, True),
}


@pytest.mark.parametrize(("method", "keys", "kept"), KEPT.values(), ids=KEPT)
def test_the_outbox_keeps_what_was_meant_to_change_something(method: str, keys: dict[str, Any], kept: bool) -> None:
    made = mock(**keys)
    assert (answer(made, method=method).outbox_entry is not None) is kept
    assert needs_body(made, method) is kept


def test_what_a_failing_mock_swallowed_is_kept_too() -> None:
    got = answer(mock(template="{{ nothing.here }}"), method="POST")
    assert got.outbox_entry is not None
    assert got.outbox_entry.status == 500


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.json", "application/json"),
        ("a.HTML", "text/html; charset=utf-8"),
        ("a.xml.j2", "application/xml"),
        ("a.j2", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
def test_a_file_has_the_type_of_its_name(name: str, expected: str) -> None:
    assert type_of(Path(name)) == expected
