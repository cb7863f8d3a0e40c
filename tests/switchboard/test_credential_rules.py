from __future__ import annotations

import pytest

from switchboard.credentials import compile_rules
from switchboard.errors import BadInput
from tests.switchboard.twinned import (
    API_KEY,
    BASIC,
    BEARER,
    FIELD,
    KEY,
    MESSAGE,
    METADATA,
    NOTHING,
    SESSION,
    TOKEN,
    a_target,
    rules_of,
)

ALL = (BEARER, BASIC, KEY, SESSION, API_KEY, TOKEN, FIELD, MESSAGE, METADATA)


def test_rules_tell_what_they_need() -> None:
    assert (NOTHING.is_empty, NOTHING.body_kinds, NOTHING.learns) == (True, frozenset(), False)
    rules = rules_of(*ALL)
    assert (rules.is_empty, rules.learns, rules.learns_bodies) == (False, True, False)
    assert rules.body_kinds == {"json", "text", "form", "multipart"}
    assert rules_of(TOKEN | {"twin": "learned"}).learns_bodies


def test_keys_are_the_same_for_every_worker_and_hold_no_value() -> None:
    first, second = rules_of(*ALL), rules_of(*ALL)
    assert [rule.key for rule in first.learners] == [rule.key for rule in second.learners] == ["cookie:session"]


def test_no_twin_is_shown() -> None:
    shown = repr(rules_of(*ALL))
    assert not [one for one in ALL if one["twin"] != "learned" and str(one["twin"]) in shown]


@pytest.mark.parametrize("credential", [one for one in ALL if one is not SESSION], ids=lambda one: one["in"])
def test_a_twin_that_would_end_a_field_is_refused_without_being_shown(credential: dict[str, str]) -> None:
    with pytest.raises(
        BadInput, match=r"credentials\[0\] \(.*\): the twin cannot be used: it holds a control"
    ) as error:
        compile_rules(a_target(credential | {"twin": "hush"}), names=(), secrets={0: "hush\r\nX-Admin: 1"})
    assert "hush" not in str(error.value)


def test_a_fixed_twin_without_a_value_is_refused() -> None:
    with pytest.raises(BadInput, match="there is none"):
        compile_rules(a_target(KEY), names=(), secrets={})


def test_a_twin_that_cannot_be_learned_in_its_place_needs_to_be_told_where() -> None:
    with pytest.raises(BadInput, match="needs 'learn'"):
        rules_of(API_KEY | {"twin": "learned"})
