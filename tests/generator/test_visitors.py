from __future__ import annotations

import random
from collections import Counter
from itertools import islice
from typing import Any

import orjson
import pytest

from generator.entry import Visit
from generator.visitors import synthesise
from switchboard.errors import BadInput
from switchboard.scenario import Profile

PAGES: list[dict[str, Any]] = [
    {"path": "/", "weight": 3},
    {"path": "/login", "method": "POST", "json": {"who": ["{name}", "{email}", "{user}"]}},
]


def drawn(
    number: int, *, users: int = 20, seed: int = 1, counts: Counter[str] | None = None, **wishes: Any
) -> list[Visit]:
    counts = Counter() if counts is None else counts

    def count(name: str, by: int) -> None:
        counts[name] += by

    profile = Profile.model_validate({"pages": PAGES, "think": "2s", "session_pages": 4} | wishes)
    visits = synthesise(profile, users=users, seed=seed, draw=random.Random(seed).random, count=count)
    return list(islice(visits, number))


def test_the_same_seed_gives_the_same_visits() -> None:
    assert drawn(500, seed=1) == drawn(500, seed=1)
    assert drawn(500, seed=1) != drawn(500, seed=2)


def test_the_load_is_users_divided_by_think_time() -> None:
    visits = drawn(20_000, users=200)
    assert 20_000 / visits[-1].stamp == pytest.approx(200 / 2, rel=0.05)
    assert [visit.stamp for visit in visits] == sorted(visit.stamp for visit in visits)


def test_pages_are_as_frequent_as_their_weights() -> None:
    paths = Counter(visit.entry.target for visit in drawn(8_000))
    assert paths["/"] / paths["/login"] == pytest.approx(3, rel=0.1)


def test_sessions_are_as_long_as_asked_for() -> None:
    counts: Counter[str] = Counter()
    drawn(20_000, users=10, counts=counts)
    assert counts["read"] / counts["sessions"] == pytest.approx(4, rel=0.1)


def test_everyone_is_one_person_throughout() -> None:
    visits = drawn(400, users=5)
    bodies = {(visit.user, visit.entry.body) for visit in visits if visit.entry.body}
    assert len(bodies) == 5
    name, email, user = orjson.loads(next(iter(bodies))[1])["who"]
    assert name
    assert email.partition("@")[2].startswith("example.")
    assert user.startswith("user-")


def test_other_places_have_other_names() -> None:
    def bodies(locale: str) -> set[bytes]:
        return {visit.entry.body for visit in drawn(50, locale=locale)}

    assert bodies("en_US") != bodies("ja_JP")


def test_an_unknown_locale_is_a_clear_error() -> None:
    with pytest.raises(BadInput, match="locale: 'xx_XX'"):
        drawn(1, locale="xx_XX")
