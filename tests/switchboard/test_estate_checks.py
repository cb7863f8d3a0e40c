from __future__ import annotations

import pytest

from switchboard.errors import InvalidFile
from switchboard.estate_checks import estate_warnings, resolve_problems
from switchboard.estate_file import parse_estate

BASE = """
version: 1
clients: [127.0.0.0/8, 10.0.0.0/8]
production:
  hosts: [www.cms.example, "*.api.cms.example"]
  networks: [203.0.113.0/24]
  connect: {www.cms.example: "127.0.1.1:9080"}
cohorts: {rookies: {clients: [10.1.0.0/16], users: {ann: {env: A}}}}
targets:
  staging:
    routes: [{from: www.cms.example, to: "http://sandbox:8080"}]
    block: ["*.api.cms.example"]
    networks: [10.9.0.0/24]
deny: []
listeners: {proxy: ["regular@127.0.0.1:8080"], dns: "127.0.0.1:5353", admin: "127.0.0.1:8700"}
"""

REFUSED = {
    "production overlaps a target": (
        ("[203.0.113.0/24]", "[203.0.113.0/24, 10.0.0.0/8]"),
        "production.networks[1]: '10.0.0.0/8' is not apart from the network 10.9.0.0/24 of target 'staging'",
    ),
    "production overlaps a listener": (
        ("[203.0.113.0/24]", "[127.0.0.0/24]"),
        "listeners.proxy[0]: 'regular@127.0.0.1:8080' is not outside the production network 127.0.0.0/24",
    ),
    "production overlaps the answered address": (
        ("admin:", "address: 203.0.113.9, admin:"),
        "listeners.address: '203.0.113.9' is not outside the production network 203.0.113.0/24",
    ),
    "the answered address is none": (
        ("admin:", "address: here, admin:"),
        "listeners.address: 'here' is not an IP address like '10.77.0.1'",
    ),
    "two listeners on one port": (
        ("127.0.0.1:5353", "0.0.0.0:8080"),
        "listeners.dns: '0.0.0.0:8080' is not free: the listener proxy regular@127.0.0.1:8080 has it",
    ),
    "production listens where we do": (
        ("127.0.1.1:9080", "127.0.0.1:8700"),
        "production.connect['www.cms.example']: '127.0.0.1:8700' is not apart from our own listener admin",
    ),
    "connect names another host": (
        ("{www.cms.example: ", "{other.example: "),
        "production.connect['other.example']: 'other.example' is not a host that production.hosts lists",
    ),
    "connect names no host": (
        ("{www.cms.example: ", '{"www.cms.example:x": '),
        "production.connect['www.cms.example:x']: 'www.cms.example:x' is not a production host, or host:port",
    ),
    "connect in another spelling": (
        ("{www.cms.example: ", "{WWW.cms.example: "),
        "production.connect['WWW.cms.example']: 'WWW.cms.example' is not in its plain spelling 'www.cms.example'",
    ),
    "an address in two cohorts": (
        ("cohorts: {", "cohorts: {all: {clients: [10.0.0.0/8]}, "),
        "cohorts.rookies.clients[0]: '10.1.0.0/16' is not apart from cohort 'all': a client belongs to one cohort",
    ),
    "a login in two cohorts": (
        ("cohorts: {", "cohorts: {all: {users: {ann: {env: B}}}, "),
        "cohorts.rookies.users.ann: 'ann' is not apart from cohort 'all': a login belongs to one cohort",
    ),
    "a cohort called none": (
        ("cohorts: {rookies", "cohorts: {none"),
        "cohorts.none: 'none' is not free as a name: '--cohort none' means traffic only",
    ),
    "deny with host bits": (("deny: []", "deny: [a.example, '*.b', 10.0.0.1/8]"), "deny[2]: '10.0.0.1/8' is not a"),
    "upstream without an address": (
        ("deny: []", "upstream_dns: [system, 10.0.0.1, '10.0.0.1:53', dns.example]"),
        "upstream_dns[3]: 'dns.example' is not 'system', an address or an address with a port",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), REFUSED.values(), ids=REFUSED)
def test_keys_that_contradict_each_other_are_refused(change: tuple[str, str], expected: str) -> None:
    assert change[0] in BASE
    with pytest.raises(InvalidFile) as caught:
        parse_estate(BASE.replace(*change), "f")
    assert any(expected in str(problem) for problem in caught.value.problems), str(caught.value)


ACCEPTED = {
    "as it stands": ("", ""),
    "port 0 for two listeners": (
        '127.0.0.1:8080"], dns: "127.0.0.1:5353"',
        '127.0.0.1:0", "regular@0.0.0.0:0"], dns: "127.0.0.1:0"',
    ),
    "connect with a port": ("{www.cms.example: ", '{"www.cms.example:443": '),
    "connect below a wildcard": ("{www.cms.example: ", "{v1.api.cms.example: "),
    "production on every port but ours": ("127.0.1.1:9080", "127.0.0.1:9080"),
}  # fmt: skip


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=ACCEPTED)
def test_keys_that_agree_are_accepted(change: tuple[str, str]) -> None:
    assert change[0] in BASE
    parse_estate(BASE.replace(*change), "f")


WARNED = {
    "production": ("[10.1.0.0/16]", "[203.0.113.7]", "cohort 'rookies': 203.0.113.7/32 overlaps production network"),
    "a target": ("[10.1.0.0/16]", "[10.9.0.0/28]", "overlaps network 10.9.0.0/24 of target 'staging'"),
    "a listener": ("[10.1.0.0/16]", "[127.0.0.1]", "overlaps listener admin 127.0.0.1:8700"),
    "nothing that is served": ("[10.1.0.0/16]", "[192.0.2.1]", "192.0.2.1/32 is not within 'clients' and will be"),
}


@pytest.mark.parametrize("row", WARNED.values(), ids=WARNED)
def test_a_cohort_that_overlaps_is_a_warning(row: tuple[str, str, str]) -> None:
    old, new, expected = row
    warnings = estate_warnings(parse_estate(BASE.replace(old, new), "f"))
    assert any(expected in warning for warning in warnings), warnings


def test_an_estate_without_overlap_warns_of_nothing() -> None:
    assert estate_warnings(parse_estate(BASE, "f")) == ()


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        pytest.param(["10.9.0.1"], None, id="sandbox"),
        pytest.param([], None, id="unknown-name"),
        pytest.param(["10.9.0.1", "203.0.113.5"], "in the production network 203.0.113.0/24", id="network"),
        pytest.param(["::ffff:203.0.113.5"], "in the production network 203.0.113.0/24", id="mapped"),
        pytest.param(["127.0.1.1"], None, id="another-port-of-the-same-machine"),
    ],
)
def test_a_route_that_resolves_to_production_is_refused(addresses: list[str], reason: str | None) -> None:
    problems = resolve_problems(parse_estate(BASE, "f"), lambda name: {"sandbox": addresses}[name])
    if reason is None:
        assert problems == ()
    else:
        assert len(problems) == 1
        assert problems[0].startswith("targets.staging.routes[0].to: 'http://sandbox:8080' resolves to ")
        assert problems[0].endswith(reason)


def test_a_route_that_resolves_to_where_production_listens_is_refused() -> None:
    estate = parse_estate(BASE.replace("sandbox:8080", "sandbox:9080"), "f")
    [problem] = resolve_problems(estate, lambda _: ["127.0.1.1"])
    assert problem.endswith("which is where production's 'www.cms.example' listens")
