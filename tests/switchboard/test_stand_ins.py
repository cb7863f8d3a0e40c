from __future__ import annotations

import pytest

from switchboard.credentials import compile_rules
from switchboard.estate import Target
from switchboard.stand_ins import LEARNED_TWIN, fixed_stand_ins, learned_stand_ins
from switchboard.twins import twin_flaw
from tests.switchboard.twinned import BASIC, BEARER, LEARNED, METADATA, TOKEN, a_target, rules_of

PLACES = [
    *({"in": place, "name": "X-Name"} for place in ("header", "cookie", "query", "form")),
    {"in": "json", "pointer": "/a"},
    {"in": "basic"},
    {"in": "websocket", "name": "bearer."},
    {"in": "websocket", "name": "base64url.bearer."},
    {"in": "metadata", "name": "x-ticket-bin"},
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place['in']} {place.get('name', '')}")
def test_a_stand_in_may_stand_wherever_a_twin_may(place: dict[str, str]) -> None:
    target = Target.model_validate({"credentials": [{**place, "twin": {"env": "NOT_SET"}}]})
    values, known = fixed_stand_ins(target, {})
    assert twin_flaw(values[0], place=place["in"], name=place.get("name", "")) is None
    assert values[0] in known
    compile_rules(target, names=(), secrets=values)


def test_what_is_known_stays_and_has_no_text_of_its_own() -> None:
    values, known = fixed_stand_ins(a_target(BEARER, BASIC), {0: "sandbox-token"})
    assert values[0] == "sandbox-token"
    assert set(known.values()) == {"<twin of basic>"}


def test_targets_do_not_share_stand_ins() -> None:
    one, other = (fixed_stand_ins(a_target(BEARER), {}, number=number)[1] for number in range(2))
    assert one.keys().isdisjoint(other)


def test_learned_twins_have_one_by_rule() -> None:
    learn = {"learn": {"pointer": "/a"}}
    rules = rules_of({**BEARER, "twin": LEARNED}, {**TOKEN, "twin": LEARNED}, {**METADATA, "twin": LEARNED, **learn})
    values, known = learned_stand_ins(rules)
    assert values.keys() == {rule.key for rule in rules.learners}
    assert set(known.values()) == {LEARNED_TWIN}
    assert all(rule.twin(values) == values[rule.key] for rule in rules.learners)
