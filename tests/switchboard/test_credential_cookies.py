from __future__ import annotations

import pytest

from switchboard.credential_cookies import swap_cookies, with_jar
from tests.switchboard.twinned import SESSION, rules_of

RULES = rules_of(SESSION, {"in": "cookie", "name": "remember", "twin": "R"})
PASSING = rules_of(SESSION, {"in": "cookie", "name": "remember", "twin": "R"}, cookies="pass")
LEARNED = {"cookie:session": "T"}

ISOLATED = {
    "a rule": ([b"session=S"], b"session=T"),
    "among others": ([b"theme=dark; session=S; remember=S; lang=en"], b"session=T; remember=R"),
    "in two fields": ([b"theme=dark", b"session=S"], b"session=T"),
    "joined with a comma": ([b"theme=dark, session=S"], b"session=T"),
    "twice": ([b"session=S; session=S"], b"session=T"),
    "another spelling": ([b"SESSION=S"], b"session=T"),
    "encoded": ([b"%73ession=S"], b"session=T"),
    "behind an empty name": ([b"=session=S"], b"session=T"),
    "no rule": ([b"theme=dark"], None),
    "nothing": ([b""], None),
}


@pytest.mark.parametrize(("values", "sent"), ISOLATED.values(), ids=ISOLATED)
def test_isolated_cookies_are_twins_and_nothing_else(values: list[bytes], sent: bytes | None) -> None:
    found = swap_cookies(values, rules=RULES, learned=LEARNED)
    assert found.value == sent
    assert (b"theme" in b"".join(values)) == ("cookie" in found.removed)


PASSED = {
    "others cross": ([b"theme=dark; session=S; lang=en"], b"theme=dark; session=T; lang=en"),
    "first": ([b"session=S; lang=en"], b"session=T; lang=en"),
    "within quotes": ([b'a="x; session=S"; b=1'], b'a="x; session=T; b=1'),
    "in two fields": ([b"theme=dark", b"session=S"], b"theme=dark; session=T"),
    "the drill cookie stays": ([b"__Secure-esr=S; esr=S; a=1"], b"a=1"),
}


@pytest.mark.parametrize(("values", "sent"), PASSED.values(), ids=PASSED)
def test_passed_cookies_cross_but_for_those_with_a_rule(values: list[bytes], sent: bytes | None) -> None:
    assert swap_cookies(values, rules=PASSING, learned=LEARNED).value == sent


def test_a_cookie_whose_twin_is_not_known_yet_is_taken_out_and_named() -> None:
    found = swap_cookies([b"session=S; remember=S"], rules=RULES, learned={})
    assert (found.value, found.swapped, found.removed) == (b"remember=R", ("cookie remember",), ("cookie session",))


def test_a_cookie_of_the_jar_stands_for_its_twin() -> None:
    vouched = ((b"X-Key", b"k"), (b"Cookie", b"session=T; remember=R"))
    assert with_jar(vouched, b"session=J; other=1") == (
        (b"X-Key", b"k"),
        (b"Cookie", b"session=J; other=1; remember=R"),
    )
    assert with_jar((), b"session=J") == ((b"Cookie", b"session=J"),)
    assert with_jar(vouched, None) == vouched
