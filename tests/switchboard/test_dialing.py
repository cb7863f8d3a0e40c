from __future__ import annotations

import pytest

from switchboard.dialing import (
    Plan,
    check_address,
    check_live_address,
    is_production_address,
    is_still_outside,
    live_place,
    plan,
)
from switchboard.drill import Phase
from tests.switchboard.estates import MEMBER, a_drill, a_switch

RUNNING = a_switch(a_drill())


def inside(host: str, port: int, *, h2: bool) -> Plan:
    return Plan(host, port, live=False, sandbox="staging", drill="drill-staging", h2=h2)


PLANS = [
    ("http://sandbox-mfe.test:8080", inside("sandbox-mfe.test", 8080, h2=False)),
    ("https://sandbox-svc.test:8443", inside("sandbox-svc.test", 8443, h2=True)),
    ("https://fonts.example.net:443", Plan("fonts.example.net", 443, live=False, drill="drill-staging")),
    ("http://sandbox-svc.test:8443", "scheme of the connection is not the route's"),
    ("https://sandbox-mfe.test:8080", "scheme of the connection is not the route's"),
    ("http://sandbox-mfe.test:8081", "not a place of this drill"),
    ("https://www.cms.example:443", "production or denied host"),
    ("https://anything.cms.example:443", "production or denied host"),
    ("https://evil.example.net:443", "production or denied host"),
    ("https://other.test:8080", "not a place of this drill"),
    ("https://203.0.113.5:443", "not a place of this drill"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "planned"), PLANS, ids=[url for url, _ in PLANS])
def test_a_member_dials_only_places_of_its_drill(url: str, planned: Plan | str) -> None:
    scheme, _, place = url.partition("://")
    host, _, port = place.rpartition(":")
    member = RUNNING.member(MEMBER)
    assert plan(host, int(port), member=member, tls=scheme == "https", switch=RUNNING) == planned


@pytest.mark.parametrize(
    ("phase", "outside"),
    [(Phase.ARMING, True), (Phase.RUNNING, False), (Phase.PAUSED, False), (Phase.DRAINING, False)],
)
def test_what_is_in_flight_at_an_edge_dials_the_side_where_it_began(phase: Phase, outside: bool) -> None:
    switch = a_switch(a_drill(phase))
    member = switch.member(MEMBER)
    assert member is not None
    assert is_still_outside(member) is outside
    live = plan("www.cms.example", 443, member=member, tls=True, switch=switch)
    sandbox = plan("sandbox-mfe.test", 8080, member=member, tls=False, switch=switch)
    assert isinstance(live, Plan) is outside
    assert isinstance(sandbox, Plan)
    assert sandbox.live is outside


@pytest.mark.parametrize(
    ("host", "port", "place"),
    [
        ("www.cms.example", 443, ("127.0.1.1", 9443)),
        ("www.cms.example", 80, ("127.0.1.1", 9080)),
        ("www.cms.example", 8443, ("127.0.1.1", 9080)),
        ("api.cms.example", 443, ("api.cms.example", 443)),
    ],
)
def test_a_client_outside_is_led_to_where_production_listens(host: str, port: int, place: tuple[str, int]) -> None:
    assert live_place(host, port, switch=RUNNING) == place
    assert plan(host, port, member=None, tls=False, switch=RUNNING) == Plan(*place, live=True)


ADDRESSES = [
    ("10.90.0.7", 8080, "staging", None),
    ("::ffff:10.90.0.7", 8080, "staging", None),
    ("10.91.0.7", 8080, "staging", "address outside the target's networks"),
    ("192.0.2.1", 443, None, None),
    ("203.0.113.5", 8080, "staging", "production address"),
    ("::ffff:203.0.113.5", 8080, "staging", "production address"),
    ("2001:db8:10::9", 443, None, "production address"),
    ("64:ff9b::cb00:7105", 443, None, "production address"),
    ("2002:cb00:7105::1", 443, None, "production address"),
    ("::203.0.113.5", 443, None, "production address"),
    ("64:ff9b::a9fe:a9fe", 80, None, "link-local, multicast or unspecified address"),
    ("64:ff9b::c000:201", 443, None, None),
    ("::1", 443, None, None),
    ("127.0.1.1", 9443, None, "production address"),
    ("127.0.1.1", 9444, None, None),
    ("198.51.100.9", 443, None, "denied by security"),
    ("169.254.169.254", 80, None, "link-local, multicast or unspecified address"),
    ("fe80::1%eth0", 80, None, "link-local, multicast or unspecified address"),
    ("224.0.0.1", 80, None, "link-local, multicast or unspecified address"),
    ("0.0.0.0", 80, None, "link-local, multicast or unspecified address"),
    ("::", 80, None, "link-local, multicast or unspecified address"),
    ("10.78.0.1", 8080, None, "the switchboard's own listener"),
    ("10.78.0.1", 53, None, "the switchboard's own listener"),
    ("127.0.0.1", 8700, None, "the switchboard's own listener"),
    ("::ffff:127.0.0.1", 8700, None, "the switchboard's own listener"),
    ("127.0.0.2", 8443, None, "the switchboard's own listener"),
    ("sandbox.test", 8080, "staging", "not an address"),
]


@pytest.mark.parametrize(
    ("address", "port", "sandbox", "reason"),
    ADDRESSES,
    ids=[f"{a}:{p} {r or 'may be dialled'}" for a, p, _, r in ADDRESSES],
)
def test_a_resolved_address_is_dialled_only_where_nothing_speaks_against_it(
    address: str, port: int, sandbox: str | None, reason: str | None
) -> None:
    assert check_address(address, port, switch=RUNNING, sandbox=sandbox) == reason


@pytest.mark.parametrize(
    ("address", "port", "reason"),
    [
        ("203.0.113.5", 443, None),
        ("10.90.0.7", 8080, None),
        ("127.0.0.1", 8700, "the switchboard's own listener"),
        ("169.254.169.254", 80, "link-local, multicast or unspecified address"),
        ("?", 80, "not an address"),
    ],
)
def test_nobody_reaches_the_switchboard_itself(address: str, port: int, reason: str | None) -> None:
    assert check_live_address(address, port, switch=RUNNING) == reason


@pytest.mark.parametrize(
    ("address", "port", "is_production"),
    [
        ("203.0.113.5", 1, True),
        ("127.0.1.1", 9443, True),
        ("127.0.1.1", 1, False),
        ("10.90.0.7", 1, False),
        ("?", 1, False),
    ],
)
def test_an_address_of_production_is_known_by_network_and_by_connect(
    address: str, port: int, is_production: bool
) -> None:
    assert is_production_address(address, port, switch=RUNNING) is is_production
