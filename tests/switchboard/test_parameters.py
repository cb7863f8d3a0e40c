from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.headers import clean_query
from switchboard.parameters import swap_form, swap_query
from tests.switchboard.twinned import API_KEY, FIELD, rules_of

RULES = rules_of(API_KEY, FIELD)
TWIN = "api_key=sandbox%20key%26more"

QUERIES = {
    "no rule, no suspect": ("a=1&&b;c", "a=1&&b;c"),
    "a rule": ("a=1&api_key=S&b=2", f"a=1&{TWIN}&b=2"),
    "another spelling": ("API-KEY=S", TWIN),
    "encoded": ("%61pi%5Fkey=S", TWIN),
    "encoded twice": ("%2561pi_key=S", TWIN),
    "with a subscript": ("api_key[S]=S", TWIN),
    "after a semicolon": ("a=1;api_key=S", f"a=1;{TWIN}"),
    "twice": ("api_key=S&api_key=S", f"{TWIN}&{TWIN}"),
    "without a value": ("api_key", TWIN),
    "a suspect": ("a=1&token=S&b=2", "a=1&b=2"),
    "a name of the estate": ("a=1&Partner_Key=S&b=2", "a=1&b=2"),
}


@pytest.mark.parametrize(("query", "sent"), QUERIES.values(), ids=QUERIES)
def test_a_query_gets_twins_and_loses_suspects(query: str, sent: str) -> None:
    found = swap_query(query, rules=RULES.query, names=frozenset({"partner-key"}), learned={})
    assert found.text == sent
    assert (found.text == query) == (not found.swapped and not found.removed)


def test_a_form_gets_twins_and_keeps_the_rest() -> None:
    found = swap_form("user=u&password=p&token=S&api_key=k", rules=RULES.form, learned={})
    assert found.text == "user=u&password=p&token=sandbox%20form%26more&api_key=k"
    assert found.swapped == ("form token",)


def test_a_twin_not_known_yet_leaves_nothing() -> None:
    rules = rules_of({"in": "query", "name": "ticket", "twin": "learned", "learn": {"pointer": "/t"}})
    found = swap_query("a=1&ticket=S", rules=rules.query, names=frozenset(), learned={})
    assert (found.text, found.swapped, found.removed) == ("a=1", (), ("?ticket",))


@given(st.text(max_size=40))
def test_without_rules_a_query_is_cleaned_as_ever(query: str) -> None:
    found = swap_query(query, rules={}, names=frozenset(), learned={})
    cleaned, removed = clean_query(f"/x?{query}")
    assert found.removed == removed
    assert not removed or (f"/x?{found.text}" if found.text else "/x") == cleaned
