from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.authority import parse_authority
from switchboard.near_misses import how_close, near_misses
from switchboard.policy import decide
from tests.switchboard.estates import a_drill, a_switch, ask

SWITCH = a_switch(a_drill())
WORLD = SWITCH.worlds["staging"]
API = "api.cms.example"
ANY = f"{API} -> https://sandbox-svc.test:8443/sandbox"
PROFILE = f"svc-profile: https://{API}/profile -> http://sandbox-profile.test:8082/sandbox/profile [GET, PUT]"
WWW = "https://www.cms.example -> http://sandbox-mfe.test:8080"
PAY = "https://pay.cms.example/v1 -> http://sandbox-pay.test:8083"
BETA = "* https://www.cms.example/beta?on=1"
PAYMENTS = "POST https://payments.example/v1/*"


def missed(url: str, method: str) -> list[tuple[str, str, str]]:
    asked = ask(url, method=method)
    at = parse_authority(asked.authorities[0], asked.scheme)
    found = near_misses(asked, at, decide(asked, SWITCH), switch=SWITCH, world=WORLD)
    return [(near.kind, near.rule, "; ".join(near.why)) for near in found]


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET https://api.cms.example/profile/7", [("route", ANY, "svc-profile has the longer prefix")]),
        ("GET https://api.cms.example/other", [("route", PROFILE, "prefix: the path is not under /profile")]),
        (
            "POST http://api.cms.example/other",
            [
                (
                    "route",
                    PROFILE,
                    "scheme: it is for https, asked was http; prefix: the path is not under /profile; "
                    "method: it accepts GET, PUT, asked was POST",
                )
            ],
        ),
        (
            "GET https://www.cms.example:8443/a",
            [
                ("route", WWW, "port: it is for 443, asked was 8443"),
                ("mock", BETA, "port: it is for 443, asked was 8443; path: the path and query do not match"),
            ],
        ),
        (
            "GET http://www.cms.example:8081/beta?on=1",
            [
                ("route", WWW, "scheme: it is for https, asked was http; port: it is for 443, asked was 8081"),
                ("mock", BETA, "scheme: it is for https, asked was http"),
            ],
        ),
        ("GET https://pay.cms.example/v2", [("route", PAY, "prefix: the path is not under /v1")]),
        ("GET https://payments.example/v1/a", [("mock", PAYMENTS, "method: it is for POST, asked was GET")]),
        ("POST https://payments.example/v2", [("mock", PAYMENTS, "path: the path does not match")]),
        (
            "GET https://cms.example/",
            [
                ("host", API, "differs by one label: api is missing"),
                ("host", "pay.cms.example", "differs by one label: pay is missing"),
                ("host", "www.cms.example", "differs by one label: www is missing"),
                (
                    "pattern",
                    "production.hosts: *.cms.example",
                    "a wildcard covers what is below the name, not the name itself",
                ),
                ("pattern", "block: *.cms.example", "a wildcard covers what is below the name, not the name itself"),
            ],
        ),
        (
            "GET https://font.example.net/",
            [
                ("host", "fonts.example.net", "differs by one character"),
                ("host", "evil.example.net", "differs by one label: evil, asked was font"),
            ],
        ),
        (
            "GET https://x.denide.example/",
            [("pattern", "deny: *.denied.example", "denide.example differs by one character")],
        ),
        (
            "GET https://xdenied.example/",
            [("pattern", "deny: *.denied.example", "the wildcard needs a dot before the name")],
        ),
        ("GET https://nothing.like.it/", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nearly_matched_is_told_with_all_that_kept_it(
    request_line: str, expected: list[tuple[str, str, str]]
) -> None:
    method, _, url = request_line.partition(" ")
    assert missed(url, method) == expected


@pytest.mark.parametrize(
    ("host", "name", "close"),
    [
        ("www.cms.exmaple", "www.cms.example", "differs by one character"),
        ("wwww.cms.example", "www.cms.example", "differs by one character"),
        ("ww.cms.example", "www.cms.example", "differs by one character"),
        ("wwv.cms.example", "www.cms.example", "differs by one character"),
        ("app.cms.example", "www.cms.example", "differs by one label: www, asked was app"),
        ("a.www.cms.example", "www.cms.example", "differs by one label: a is too many"),
        ("cms.example", "www.cms.example", "differs by one label: www is missing"),
        ("cms.example", "other.example", None),
        ("www.cms.example", "www.cms.example", None),
        ("a.example", "b.c.example", None),
    ],
)
def test_names_are_close_by_one_character_or_one_label(host: str, name: str, close: str | None) -> None:
    assert how_close(host, name) == close


@given(st.text("ab.", max_size=12), st.text("ab.", max_size=12))
def test_one_character_is_close_both_ways(one: str, other: str) -> None:
    character = "differs by one character"
    assert (how_close(one, other) == character) == (how_close(other, one) == character)
