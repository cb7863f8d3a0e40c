from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.estate import Estate
from switchboard.expectations import describe, read_model
from switchboard.scenario import Scenario
from switchboard.yaml_lines import Document, parse_yaml

MINIMAL = {"version": 1, "production": {"hosts": ["a.example"]}, "targets": {"t": {}}}


def problems(text: str) -> list[str]:
    document = parse_yaml("version: 1\nproduction: {hosts: [a.example]}\n" + text, "f")
    value, findings = read_model(Estate, document)
    assert value is None
    return [str(problem).removeprefix("f:3: ") for problem in document.problems(findings)]


ROWS = [
    ("targets: {t: {cookies: no}}", "targets.t.cookies: 'no' is not 'isolate' or 'pass'"),
    ("targets: {t: }", "targets.t: nothing is not a map with keys from: routes, block, "),
    ("targets: [t]", "targets: a list of 1 is not a map of names to values"),
    ("targets: {}", "targets: an empty map is not long enough: it needs at least 1 entry"),
    ("targets: {t: {routes: x}}", "targets.t.routes: 'x' is not a list"),
    ("targets: {t: {routes: [{from: a.b}]}}", "targets.t.routes[0].to: nothing is not enough: this key is required"),
    ("targets: {t: {route: []}}", "targets.t.route: 'route' is not a key that is known here (did you mean 'routes'?)"),
    ("targets: {t: {mocks: [{match: GET}]}}", "targets.t.mocks[0].match: 'GET' is not a method (or *), a space and"),
    ("targets: {t: {expose: [5]}}", "targets.t.expose[0]: 5 is not text (put it in quotes)"),
    ("targets: {t: {}}\nworkers: 0", "f:4: workers: 0 is not a number of at least 1 or 'auto'"),
    ("targets: {t: {}}\nworkers: 2.5", "f:4: workers: 2.5 is not a whole number or 'auto'"),
    ("targets: {t: {}}\ndrain: 2y", "f:4: drain: '2y' is not a duration like"),
    ("targets: {t: {}}\ndrain: true", "f:4: drain: true is not a duration like"),
    ("targets: {t: {}}\nrequire_guard: 1", "f:4: require_guard: 1 is not true or false"),
    ("targets: {t: {}}\nlisteners: {dns: 53}", "f:4: listeners.dns: 53 is not an address and a port like"),
    ("targets: {t: {}}\nlisteners: {proxy: ['x@127.0.0.1:1']}", "f:4: listeners.proxy[0]: 'x@127.0.0.1:1' is not"),
    ("targets: {t: {}}\ncohorts: {c: {gate: door}}", "f:4: cohorts.c.gate: 'door' is not 'browser' or 'connection'"),
    ("targets: {t: {}}\ncohorts: {c: {clients: [10.0.0.1/8]}}", "f:4: cohorts.c.clients[0]: '10.0.0.1/8' is not"),
    ("targets: {t: {}}\nsomething_else: 1", "f:4: something_else: 'something_else' is not a key that is known here"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), ROWS, ids=[text.replace("\n", " ") for text, _ in ROWS])
def test_a_wrong_value_is_told_in_plain_words(text: str, expected: str) -> None:
    [problem] = problems(text)
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("twin", "expected"),
    [
        ("hunter2", "twin: the value (not shown, it may be a secret) is not 'learned' or a map with keys from: env,"),
        ("{value: 99}", "twin.value: the value (not shown, it may be a secret) is not text (put it in quotes)"),
        ("{value: hunter2, env: A}", "twin: a map with value, env is not exactly one of 'env', 'file' and 'value'"),
        ("{valu: hunter2}", "twin.valu: 'valu' is not a key that is known here (did you mean 'value'?)"),
    ],
)
def test_a_twin_is_one_problem_that_does_not_repeat_the_secret(twin: str, expected: str) -> None:
    [problem] = problems(f"targets: {{t: {{credentials: [{{in: header, name: A, twin: {twin}}}]}}}}")
    assert problem.startswith(f"targets.t.credentials[0].{expected}")
    assert "hunter2" not in problem
    assert "99" not in problem


def test_all_problems_of_a_file_come_at_once() -> None:
    assert len(problems("targets: {t: {routes: [{from: 'x://y'}], ca: 5}}\nworkers: no\nzz: 1")) == 5


def test_a_key_of_a_later_version_is_told_so() -> None:
    document = parse_yaml("id: a\nsource: replay_logs\nlog_path: x\nstorms: []\n", "f")
    value, findings = read_model(Scenario, document, later={"storms"})
    assert value is None
    assert [finding.expected for finding in findings] == ["a key of this version (storms come with a later one)"]


def test_a_sound_document_becomes_the_value() -> None:
    value, findings = read_model(Estate, Document("f", MINIMAL, {}))
    assert findings == ()
    assert value is not None
    assert str(value.production.hosts[0]) == "a.example"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "nothing"), (True, "true"), (1.5, "1.5"), ("x", "'x'"), ([], "an empty list"), ({"a": 1}, "a map with a")],
)
def test_a_value_is_described_by_its_outline(value: object, words: str) -> None:
    assert describe(value) == words


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARTS = ["routes", "block", "networks", "ca", "credentials", "expose", "allow", "mocks", "compose", "cookies"]


@given(st.sampled_from(PARTS), JSON)
def test_any_data_is_a_value_or_findings_without_jargon(key: str, value: object) -> None:
    data = {**MINIMAL, "targets": {"t": {key: value}}, "workers": value}
    estate, findings = read_model(Estate, Document("f", data, {}))
    assert (estate is None) == bool(findings)
    for finding in findings:
        assert "Input should" not in finding.expected
        assert "pydantic" not in finding.expected
