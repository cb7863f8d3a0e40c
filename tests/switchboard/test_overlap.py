from __future__ import annotations

import ipaddress

import pytest

from switchboard.estate import Listener, parse_listener
from switchboard.overlap import collide, find_network, is_within, overlap

NETWORKS = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32")]


def test_networks_of_one_family_overlap_and_lie_within_each_other() -> None:
    wide, narrow, other = NETWORKS
    assert overlap(wide, narrow)
    assert overlap(narrow, wide)
    assert not overlap(wide, other)
    assert is_within(narrow, wide)
    assert not is_within(wide, narrow)


def test_an_address_is_found_in_the_first_network_that_holds_it() -> None:
    assert find_network(NETWORKS, ipaddress.ip_address("10.1.2.3")) == NETWORKS[0]
    assert find_network(NETWORKS, ipaddress.ip_address("2001:db8::1")) == NETWORKS[2]
    assert find_network(NETWORKS, ipaddress.ip_address("192.0.2.1")) is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:80", "127.0.0.2:80", True),
        ("[::]:80", "127.0.0.2:80", True),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_listeners_collide_on_one_address_and_port(one: str, other: str, expected: bool) -> None:
    places: list[Listener] = [parse_listener(one), parse_listener(other)]
    assert collide(*places) is expected
    assert collide(*reversed(places)) is expected
