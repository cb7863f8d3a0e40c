from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from switchboard import yaml_lines
from switchboard.errors import InvalidFile
from switchboard.yaml_lines import Finding, Loc, dotted, parse_yaml, shorten


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-3", -3),
        ("010", 10),
        ("0x1F", 31),
        ("2.5", 2.5),
        ("2x", "2x"),
        ("1:30", "1:30"),
        ("2020-03-15", "2020-03-15"),
        (".inf", ".inf"),
        ("1.0e999", "1.0e999"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("9" * 30, "9" * 30),
    ],
)
def test_a_scalar_is_what_it_looks_like(text: str, value: Any) -> None:
    read = parse_yaml(f"key: {text}\n", "f").data["key"]
    assert read == value
    assert type(read) is type(value)


def test_every_place_has_its_line() -> None:
    document = parse_yaml("a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n", "f")
    places: list[tuple[Loc, int]] = [(("a",), 1), (("b",), 2), (("b", 0), 3), (("b", 1, "c"), 4), (("b", 1, "d"), 5)]
    assert [(place, document.line(place)) for place, _ in places] == places


def test_a_place_that_is_missing_has_the_line_of_what_is_around_it() -> None:
    document = parse_yaml("\na:\n  b: 1\n", "f")
    assert document.line(("a", "c", "d")) == 2
    assert document.line(("z",)) == 1


def test_a_key_that_is_written_twice_is_a_problem_on_its_own_line() -> None:
    document = parse_yaml("a: 1\nb: 2\na: 3\n", "f")
    assert document.data == {"a": 1, "b": 2}
    [problem] = document.problems(document.findings)
    assert str(problem) == "f:3: a: a second 'a' is not a key that is written once; it stands on line 1 already"


def test_aliases_and_merge_keys_are_followed_and_what_is_written_wins() -> None:
    document = parse_yaml("base: &base {x: 1, y: 2}\nuse:\n  <<: *base\n  y: 3\nagain: *base\n", "f")
    assert document.data["use"] == {"x": 1, "y": 3}
    assert document.data["again"] == {"x": 1, "y": 2}
    assert document.findings == ()


@pytest.mark.parametrize(
    "text", ["a: !!python/object:os.system {}", "a: !mine x", "a: !!set {x, y}", "a: !!binary aGk="]
)
def test_a_tag_builds_nothing_and_is_a_problem(text: str) -> None:
    [finding] = parse_yaml(text, "f").findings
    assert "the tag" in finding.value


@pytest.mark.parametrize("text", ["? [a]\n: 1", "? {a: b}\n: 1"])
def test_a_key_that_is_no_text_is_a_problem(text: str) -> None:
    [finding] = parse_yaml(text, "f").findings
    assert finding.expected == "text, as a key must be"


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("a: 1\nb: [1\nc: 2", 3, "expected ',' or ']'", id="syntax"),
        pytest.param("a: 1\n---\nb: 2", 2, "single document", id="two-documents"),
        pytest.param("a: *nowhere", 1, "undefined alias", id="alias-of-nothing"),
        pytest.param("a: &a [*a]", 1, "unfold to too many", id="alias-in-itself"),
        pytest.param("a: &a {<<: *a}", 1, "unfold to too many", id="merge-of-itself"),
        pytest.param(LAUGHS, 1, "unfold to too many", id="billion-laughs"),
        pytest.param("[" * 5000, 1, "nested deeper than", id="deep"),
        pytest.param("a: 1\nb: \x01", 2, "U+0001 is not allowed", id="control-character"),
        pytest.param("a: 1\nb: \ud800", 2, "U+D800 is not allowed", id="half-a-pair"),
        pytest.param('a: "\\U00ffffff"', 1, "character of Unicode", id="escape-beyond-unicode"),
        pytest.param("#" * (yaml_lines.MOST_CHARACTERS + 1), 1, "shorter than", id="too-long"),
    ],
)
def test_what_cannot_be_read_is_one_problem_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        parse_yaml(text, "f")
    [problem] = caught.value.problems
    assert problem.line == line
    assert words in str(problem)


@pytest.mark.parametrize(
    ("loc", "text"),
    [
        ((), "(file)"),
        (("targets", "staging", "routes", 0, "to"), "targets.staging.routes[0].to"),
        (("connect", "www.cms.example:443"), "connect['www.cms.example:443']"),
    ],
)
def test_a_place_is_written_as_people_do(loc: Loc, text: str) -> None:
    assert dotted(loc) == text


def test_a_long_value_is_shortened() -> None:
    assert len(shorten("x" * 500)) == 60
    assert shorten("x" * 500).endswith("...'")


def test_problems_come_in_the_order_of_the_file_and_once_each() -> None:
    document = parse_yaml("a: 1\nb: 2\n", "f")
    findings = (Finding(("b",), "2", "x"), Finding(("a",), "1", "y"), Finding(("b",), "2", "x"))
    assert [problem.key for problem in document.problems(findings)] == ["a", "b"]


@given(st.text(alphabet=st.characters(), max_size=200) | st.text(alphabet="ab:-[]{}&*!<? \n\"'#|>%\\u0", max_size=60))
@example("\ufeffa: 1")
@example('"\\ud800": "\\ud800"')
def test_any_text_gives_data_or_an_invalid_file(text: str) -> None:
    with contextlib.suppress(InvalidFile):
        document = parse_yaml(text, "f")
        assert all(line >= 1 for line in document.lines.values())
