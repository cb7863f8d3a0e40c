from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.jar import Jar
from switchboard.pocket import MOST_LEARNED, MOST_LEARNED_CHARACTERS, Pocket

NOW = 1_700_000_000.0
JAR = Jar.empty().store([b"sid=1"], url="https://www.cms.example/", now=NOW)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def test_twins_are_added_and_replaced() -> None:
    pocket = Pocket.empty().with_learned({"a": "1", "b": "2"}).with_learned({"a": "3"})
    assert dict(pocket.learned) == {"a": "3", "b": "2"}
    assert pocket.with_learned({"b": "2"}) is pocket
    assert pocket.with_jar(pocket.jar) is pocket


def test_of_too_many_twins_the_newest_stay() -> None:
    pocket = Pocket.empty()
    for number in range(MOST_LEARNED + 1):
        pocket = pocket.with_learned({f"r{number}": "t", "kept": f"{number}"})
    assert len(pocket.learned) == MOST_LEARNED
    assert "kept" in pocket.learned
    assert "r0" not in pocket.learned
    assert not Pocket.empty().with_learned({"r": "x" * MOST_LEARNED_CHARACTERS}).learned


def test_a_twin_that_cannot_be_written_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        Pocket.empty().with_learned({"r": "\udcff"})


@given(st.dictionaries(texts, texts, max_size=5), st.integers(0, 2**50))
def test_a_pocket_is_read_as_it_was_written(learned: dict[str, str], revision: int) -> None:
    pocket = Pocket.empty().with_jar(JAR).with_learned(learned)
    assert Pocket.from_json(pocket.to_json(revision=revision)) == (pocket, revision)


@given(
    st.binary() | st.sampled_from([b"{}", b'{"revision":"1","learned":{},"jar":{}}', b'{"revision":1,"learned":[]}'])
)
def test_what_is_no_pocket_is_refused_without_quoting_it(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"^not a pocket of this version$"):
        Pocket.from_json(data)


def test_changes_of_two_workers_come_together() -> None:
    old = Pocket.empty().with_learned({"a": "1", "b": "1"})
    mine = old.with_learned({"a": "2"}).with_jar(JAR)
    theirs = old.with_learned({"b": "2", "c": "2"})
    both = mine.rebased(old=old, onto=theirs)
    assert dict(both.learned) == {"a": "2", "b": "2", "c": "2"}
    assert both.jar == JAR
    assert old.rebased(old=old, onto=theirs) is theirs


def test_neither_cookies_nor_twins_show_in_a_repr() -> None:
    jar = Jar.empty().store([b"sid=s3cret"], url="https://www.cms.example/", now=NOW)
    assert "s3cret" not in repr(Pocket.empty().with_jar(jar).with_learned({"r": "s3cret"}))
