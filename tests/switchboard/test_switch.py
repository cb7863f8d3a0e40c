from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.drill import Phase, SwitchDocument
from switchboard.estate import Estate
from switchboard.switch import Networks, compile_switch, parse_address, rules_digest
from tests.switchboard.estates import MEMBER, OUTSIDER, SANDBOX, a_drill, a_switch, estate


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.77.1.5", "10.77.1.5"),
        ("::ffff:10.77.1.5", "10.77.1.5"),
        ("::FFFF:0a4d:0105", "10.77.1.5"),
        ("fe80::1%eth0", "fe80::1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("010.1.1.1", None),
        ("0x7f.1", None),
        ("2130706433", None),
        ("www.cms.example", None),
        ("", None),
    ],
)
def test_an_address_has_one_form(text: str, address: str | None) -> None:
    assert parse_address(text) == (ipaddress.ip_address(address) if address else None)


@given(
    st.lists(st.ip_addresses(network="10.0.0.0/8").flatmap(lambda a: st.tuples(st.just(a), st.integers(8, 32)))),
    st.ip_addresses(network="10.0.0.0/8"),
)
def test_the_longest_network_is_found_as_a_scan_would(entries: list[tuple[object, int]], address: object) -> None:
    nets = {ipaddress.ip_network(f"{base}/{length}", strict=False) for base, length in entries}
    asked = ipaddress.ip_address(str(address))
    around = [net for net in nets if asked in net]
    longest = str(max(around, key=lambda net: net.prefixlen)) if around else None
    assert Networks([(net, str(net)) for net in nets]).find(asked) == longest


def test_addresses_of_the_other_family_are_never_found() -> None:
    everywhere = Networks([(ipaddress.ip_network("0.0.0.0/0"), "four")])
    assert everywhere.find(ipaddress.ip_address("::1")) is None


@pytest.mark.parametrize(
    ("client", "served", "watched"),
    [
        (MEMBER, True, True),
        (OUTSIDER, True, False),
        (SANDBOX, False, True),
        ("192.0.2.1", False, False),
        ("?", False, False),
    ],
)
def test_who_is_served_and_who_is_read(client: str, served: bool, watched: bool) -> None:
    switch = a_switch()
    assert (switch.serves(client), switch.is_watched(client)) == (served, watched)


def test_a_login_makes_a_member_whatever_the_address() -> None:
    switch = a_switch(a_drill())
    assert switch.cohort_of(OUTSIDER, "agent-1") == "rookies"
    assert switch.is_watched(OUTSIDER, "agent-1")
    member = switch.member(OUTSIDER, "agent-1")
    assert member is not None
    assert member.drill is not None
    assert switch.member(OUTSIDER, None) is None


def test_drills_of_disjoint_cohorts_run_at_once() -> None:
    switch = a_switch(a_drill(), a_drill(target="open", cohort="seniors"))
    worlds = [member.world.name for client in (MEMBER, "10.77.2.1") if (member := switch.member(client))]
    assert worlds == ["staging", "open"]


@pytest.mark.parametrize("phase", [Phase.ENDED, Phase.FAILED])
def test_a_drill_that_is_over_has_no_members(phase: Phase) -> None:
    switch = a_switch(a_drill(phase))
    assert switch.member(MEMBER) is None
    assert switch.drills == {}


def test_a_drill_of_traffic_only_has_no_members() -> None:
    switch = a_switch(a_drill(cohort=None))
    assert switch.member(MEMBER) is None
    assert set(switch.drills) == {"drill-staging"}


def test_a_client_is_looked_up_once_and_the_memory_is_bounded() -> None:
    switch = a_switch(a_drill())
    assert switch.member(MEMBER) is switch.member(MEMBER)
    for number in range(70_000):
        switch.member(f"10.77.1.{number}")
    assert len(switch._remembered) <= 65_536
    assert switch.member(MEMBER) is not None


def test_a_drill_against_a_target_that_is_gone_does_not_compile() -> None:
    document = SwitchDocument(epoch=1, drills=(a_drill(target="gone"),))
    with pytest.raises(ValueError, match="target 'gone' is not in the estate"):
        compile_switch(estate(), document)


def test_a_login_does_not_take_a_client_out_of_the_drill_of_its_address() -> None:
    text = a_switch().estate.model_dump(mode="json", by_alias=True)
    text["cohorts"]["idle"] = {"users": {"agent-9": {"value": "x"}}, "gate": "connection"}
    switch = compile_switch(Estate.model_validate_json(json.dumps(text)), SwitchDocument(epoch=1, drills=(a_drill(),)))
    member = switch.member(MEMBER, "agent-9")
    assert member is not None
    assert member.drill is not None


@pytest.mark.parametrize(
    "change",
    [
        {"cohort": "nobody"},
        {"target": "nowhere"},
        {"rules": "0123456789abcdef"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_drill_that_does_not_fit_the_estate_is_not_applied(change: dict[str, str]) -> None:
    drill = a_drill().model_copy(update=change)
    with pytest.raises(ValueError, match="drill-staging"):
        compile_switch(estate(), SwitchDocument(epoch=1, drills=(drill,)))


def test_a_drill_begun_with_this_estate_is_applied() -> None:
    drill = a_drill().model_copy(update={"rules": rules_digest(estate())})
    assert compile_switch(estate(), SwitchDocument(epoch=1, drills=(drill,))).member(MEMBER) is not None


def test_the_digest_follows_what_is_enforced_and_not_where_files_lie() -> None:
    here = estate()
    moved = here.model_copy(update={"production": here.production.model_copy(update={"ca": Path("elsewhere.pem")})})
    other = here.model_copy(update={"deny": ("evil.example",)})
    assert rules_digest(here) == rules_digest(moved)
    assert rules_digest(here) != rules_digest(other)
