from __future__ import annotations

import pytest

from addons import crowd
from addons.crowd import Crowd


def admitted(found: Crowd, *addresses: str) -> list[bool]:
    return [found.admit(f"{number}", address) for number, address in enumerate(addresses)]


def test_a_client_may_have_so_many_connections_and_no_more() -> None:
    assert admitted(Crowd(2), *["10.0.0.1"] * 4, "10.0.0.2") == [True, True, False, False, True]


def test_a_connection_that_ends_makes_room_for_one() -> None:
    found = Crowd(1)
    assert admitted(found, "10.0.0.1", "10.0.0.1") == [True, False]
    found.leave("1")  # never admitted: it takes no room and leaves none
    assert not found.admit("2", "10.0.0.1")
    found.leave("0")
    found.leave("0")
    assert found.admit("3", "10.0.0.1")
    assert not found.admit("4", "10.0.0.1")


def test_nothing_is_kept_of_clients_that_left() -> None:
    found = Crowd()
    admitted(found, "10.0.0.1", "2001:db8::1", "?")
    for number in range(3):
        found.leave(f"{number}")
    assert not found._count
    assert not found._inside


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
    ],
)
def test_a_client_is_an_ipv4_address_or_an_ipv6_network_of_64_bits(one: str, two: str, same: bool) -> None:
    assert admitted(Crowd(1), one, two) == [True, not same]


def test_no_client_gets_more_than_a_quarter_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd.resource, "getrlimit", lambda what: (8, 8))
    assert admitted(Crowd(), *["10.0.0.1"] * 3) == [True, True, False]


def test_without_a_limit_of_files_a_client_has_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd.resource, "getrlimit", lambda what: (crowd.resource.RLIM_INFINITY,) * 2)
    assert admitted(Crowd(1), "10.0.0.1") == [True]
