from __future__ import annotations

import pytest

from switchboard.estate import HostPattern
from switchboard.world import Hosts, compile_world
from tests.switchboard.estates import estate

STAGING = compile_world("staging", estate().targets["staging"])


@pytest.mark.parametrize(
    ("host", "is_in"),
    [
        ("www.cms.example", True),
        ("a.b.cms.example", True),
        ("cms.example", False),
        ("evilcms.example", False),
        ("www.cms.example.evil.example", False),
        ("exact.example", True),
        ("below.exact.example", False),
    ],
)
def test_patterns_match_whole_names_and_what_is_below_a_wildcard(host: str, is_in: bool) -> None:
    patterns = (HostPattern(name="cms.example", wildcard=True), HostPattern(name="exact.example", wildcard=False))
    assert (host in Hosts.of(patterns)) is is_in


def test_a_route_without_a_scheme_answers_on_both_ports() -> None:
    assert ("http", "api.cms.example", 80) in STAGING.tables
    assert ("https", "api.cms.example", 443) in STAGING.tables
    assert ("http", "www.cms.example", 80) not in STAGING.tables


def test_lanes_are_in_the_order_of_their_prefixes_and_strict_where_one_matters() -> None:
    table = STAGING.tables["https", "api.cms.example", 443]
    assert [lane.name for lane in table.lanes] == ["svc-profile", "api.cms.example"]
    assert table.strict
    assert not STAGING.tables["https", "www.cms.example", 443].strict


def test_places_are_all_that_a_drill_may_dial() -> None:
    assert {f"{host}:{port}" for host, port in STAGING.places} == {
        "sandbox-mfe.test:8080",
        "sandbox-profile.test:8082",
        "sandbox-svc.test:8443",
        "sandbox-pay.test:8083",
    }
    assert STAGING.places["sandbox-svc.test", 8443].h2


@pytest.mark.parametrize(
    ("method", "target", "matches"),
    [
        ("POST", "/v1/charge", True),
        ("POST", "/v1/", True),
        ("POST", "/v1/a/b?c=d", True),
        ("POST", "/v1", False),
        ("POST", "/V1/a", False),
        ("PUT", "/v1/a", False),
    ],
)
def test_a_mock_matches_method_and_path(method: str, target: str, matches: bool) -> None:
    (rule,) = STAGING.mocks["https", "payments.example", 443]
    assert rule.matches(method, target) is matches
