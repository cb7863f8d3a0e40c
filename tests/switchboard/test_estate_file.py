from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.errors import InvalidFile
from switchboard.estate import Gate
from switchboard.estate_checks import estate_warnings
from switchboard.estate_file import parse_estate

# The example of DESIGN 4.1, with nothing left out.
CONTRACT = """
version: 1
clients: [127.0.0.0/8, 10.77.0.0/16]
production:
  hosts: [www.cms.example, api.cms.example, "*.cms.example"]
  networks: [203.0.113.0/24, "2001:db8:10::/48"]
  connect: {www.cms.example: "127.0.1.1:9080", "www.cms.example:443": "127.0.1.1:9443"}
  ca: prod-ca.pem
cohorts:
  rookies: {clients: [10.77.1.0/24]}
  agents: {clients: [10.77.2.9], users: {agent-1: {env: AGENT_1_PASSWORD}}, gate: connection}
targets:
  staging:
    routes:
      - {from: "https://www.cms.example", to: "http://sandbox-mfe:8080"}
      - {from: "https://api.cms.example/profile", to: "http://sandbox-profile:8082/sandbox/profile", name: svc-profile,
         methods: [GET, PUT]}
      - {from: "api.cms.example", to: "https://sandbox-svc:8443/sandbox", h2: true}
    block: ["*.cms.example"]
    networks: [10.90.0.0/24]
    ca: sandbox-ca.pem
    credentials:
      - {in: header, name: Authorization, scheme: Bearer, twin: {env: SANDBOX_TOKEN}}
      - {in: cookie, name: session, twin: learned}
      - {in: query, name: api_key, twin: {file: secrets/sandbox-key}}
      - {in: json, pointer: /auth/token, twin: {value: demo-token}}
    cookies: isolate            # isolate | pass
    expose: [XSRF-TOKEN]        # cookies that scripts must read
    unlisted: block             # block | allow
    allow: [fonts.example.net]
    mocks:
      - {match: "POST https://payments.example/*", status: 202, json: {accepted: true}, delay: 120ms}
    compose: {file: docker-compose.yml, profiles: [sandbox], project: esr-staging, seed: "python -m sandbox.seed"}
deny: []
listeners: {proxy: ["regular@127.0.0.1:8080"], dns: "127.0.0.1:5353", admin: "127.0.0.1:8700", address: 10.77.0.1}
guard: off
workers: auto
upstream_dns: [system]
"""


def test_the_example_of_the_contract_is_read() -> None:
    estate = parse_estate(CONTRACT, "switchboard.yml")
    assert [str(host) for host in estate.production.hosts] == ["www.cms.example", "api.cms.example", "*.cms.example"]
    assert estate.cohorts["agents"].gate is Gate.CONNECTION
    assert estate.cohorts["rookies"].gate is Gate.BROWSER
    staging = estate.targets["staging"]
    assert str(staging.routes[1].to) == "http://sandbox-profile:8082/sandbox/profile"
    assert staging.mocks[0].delay == pytest.approx(0.12)
    assert estate.guard == "off"
    assert staging.ca == Path("sandbox-ca.pem"), "paths are kept as written"


def test_the_example_in_the_project_is_read_and_warns_of_nothing() -> None:
    path = Path(__file__).parents[2] / "switchboard.yml"
    estate = parse_estate(path.read_text(), "switchboard.yml")
    assert all(cohort.gate is Gate.CONNECTION for cohort in estate.cohorts.values())
    assert estate_warnings(estate) == ()


def test_all_problems_come_at_once_with_file_line_key_value_and_expectation() -> None:
    text = CONTRACT.replace("isolate ", "isolated ").replace("workers: auto", "workers: many").replace("guard", "gard")
    with pytest.raises(InvalidFile) as caught:
        parse_estate(text, "switchboard.yml")
    assert str(caught.value).splitlines() == [
        "switchboard.yml:27: targets.staging.cookies: 'isolated' is not 'isolate' or 'pass'",
        "switchboard.yml:36: gard: 'gard' is not a key that is known here (did you mean 'guard'?)",
        "switchboard.yml:37: workers: 'many' is not a whole number or 'auto'",
    ]
    assert caught.value.exit_code == 2


def test_a_production_host_that_is_left_open_is_refused_by_name() -> None:
    text = CONTRACT.replace("    block: [", "    block: [] # [")
    with pytest.raises(InvalidFile) as caught:
        parse_estate(text, "f")
    assert str(caught.value) == (
        "f:13: targets.staging: '*.cms.example' is not covered by this target: list it in 'block'"
    )


def test_what_yaml_lets_pass_is_told_together_with_the_rest() -> None:
    text = CONTRACT + "guard: on\n"
    with pytest.raises(InvalidFile, match="a second 'guard' is not a key that is written once"):
        parse_estate(text, "f")


def test_an_empty_file_is_one_problem() -> None:
    with pytest.raises(InvalidFile, match=r"^f:1: \(file\): nothing is not a map with keys from: version, clients"):
        parse_estate("", "f")


LINES = CONTRACT.splitlines()


@given(st.lists(st.sampled_from(range(len(LINES))), max_size=4), st.text(max_size=12))
def test_a_damaged_file_is_an_estate_or_an_invalid_file(gone: list[int], text: str) -> None:
    kept = [text + line if number in gone else line for number, line in enumerate(LINES)]
    with contextlib.suppress(InvalidFile):
        parse_estate("\n".join(kept), "f")
