from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.mock_template import expression_flaw, is_escaped, template_flaw

GOOD = [
    "plain",
    "{{ json.id }}",
    "{% for item in json['items'] %}{{ item }}{% else %}none{% endfor %}",
    "{% set a = state.a | default(1) %}{{ a }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(query.q) }}",
    "{% for i in range(3) %}{{ loop.index }}{% endfor %}",
]
BAD = {
    "{{ json.id": "line 1: ",
    "a\n{% if %}": "line 2: ",
    "{{ jsn.id }}": "'jsn' is not known; known are method, url, ",
    "{{ text | shout }}": "line 1: No filter named 'shout'",
    "{{ text | random }}": "No filter named 'random'",
    "{% include 'a' %}": "it includes another template",
    "{% extends path %}": "it includes another template",
    "{{ lipsum() }}": "'lipsum' is not known",
}


@pytest.mark.parametrize("text", GOOD)
def test_a_template_that_can_be_rendered_has_no_flaw(text: str) -> None:
    assert template_flaw(text) is None


@pytest.mark.parametrize(("text", "words"), BAD.items(), ids=BAD)
def test_a_flaw_is_told_in_words(text: str, words: str) -> None:
    assert words in (template_flaw(text) or "")


@pytest.mark.parametrize("text", ["1", "state.a | default(0) + 1", "{'a': json.id}", "query.a if query.a else 'b'"])
def test_an_expression_has_no_flaw(text: str) -> None:
    assert expression_flaw(text) is None


@pytest.mark.parametrize("text", ["", "a b", "1 }} {{ 2", "{{ json.id }}", "stat.a", "(1"])
def test_what_is_no_single_expression_has_a_flaw(text: str) -> None:
    assert expression_flaw(text)


@pytest.mark.parametrize(
    ("content_type", "escaped"),
    [
        ("text/html; charset=utf-8", True),
        ("Application/XHTML+XML", True),
        ("image/svg+xml", True),
        ("text/xml", True),
        ("application/json", False),
        ("text/plain", False),
        ("", False),
    ],
)
def test_only_markup_is_escaped(content_type: str, escaped: bool) -> None:
    assert is_escaped(content_type) is escaped


@given(st.text(max_size=60))
def test_any_text_is_a_template_or_has_a_flaw(text: str) -> None:
    template_flaw(text)
    expression_flaw(text)
