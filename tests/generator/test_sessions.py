from __future__ import annotations

import pytest

from generator.entry import Entry
from generator.sessions import fill_cast, identity

CLIENTS = [Entry(0.0, True, f"10.0.0.{number}", "ua", "GET", "/") for number in range(30)]
CENSUS = {identity(7, entry.client, entry.agent) for entry in CLIENTS}


@pytest.mark.parametrize("users", [1, 7, 29, 30, 31, 60, 100, 1000])
def test_clients_make_exactly_the_users_that_were_asked_for(users: int) -> None:
    cast = fill_cast(CENSUS, users=users, seed=7)
    ids = {cast.user(entry, copy) for entry in CLIENTS for copy in range(cast.copies(entry))}
    assert len(ids) == users


def test_without_a_wish_everyone_is_who_they_were() -> None:
    cast = fill_cast(CENSUS, users=None, seed=7)
    assert [cast.copies(entry) for entry in CLIENTS] == [1] * 30


def test_another_agent_at_the_same_address_is_another_user() -> None:
    assert identity(0, "10.0.0.1", "a") != identity(0, "10.0.0.1", "b")


def test_a_sample_depends_on_the_seed_only() -> None:
    def sample(seed: int) -> list[int]:
        census = {identity(seed, entry.client, entry.agent) for entry in CLIENTS}
        cast = fill_cast(census, users=10, seed=seed)
        return [cast.copies(entry) for entry in CLIENTS]

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_no_address_can_be_read_from_a_user() -> None:
    assert "10.0.0.1" not in fill_cast(CENSUS, users=None, seed=7).user(CLIENTS[1], 0)
