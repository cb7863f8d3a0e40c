from __future__ import annotations

import pytest

from switchboard.errors import InvalidFile
from switchboard.estate_file import parse_estate

HEAD = """version: 1
production:
  hosts: [www.cms.example, "*.api.cms.example"]
  networks: [203.0.113.0/24, "2001:db8:10::/48"]
  connect: {www.cms.example: "127.0.1.1:9080"}
"""
ROUTE = '{from: www.cms.example, to: "http://sandbox:8080"}'
BLOCK = 'block: ["*.api.cms.example"]'


def parse(body: str) -> str:
    """The problems of an estate with one target, one a line, without their common start."""
    try:
        parse_estate(f"{HEAD}targets: {{t: {{{body}}}}}\n", "f")
    except InvalidFile as error:
        return str(error).replace("f:6: targets.t", "t")
    return ""


COVERED = {
    "routed and blocked": f"routes: [{ROUTE}], {BLOCK}",
    "blocked by name": 'block: [www.cms.example, "*.api.cms.example"]',
    "blocked by a wider wildcard": 'block: ["*.cms.example"]',
    "mocked": f'mocks: [{{match: "* https://www.cms.example/*"}}], {BLOCK}',
    "routed by one prefix": f'routes: [{{from: "https://www.cms.example/a", to: "http://sandbox:1"}}], {BLOCK}',
    "routed to an address": f'routes: [{{from: www.cms.example, to: "http://127.0.2.1:9080"}}], {BLOCK}',
    "routed beside production": f'routes: [{{from: www.cms.example, to: "http://127.0.1.1:1"}}], {BLOCK}',
    "one origin, two prefixes": f'routes: [{ROUTE}, {{from: "www.cms.example/a", to: "http://sandbox:1"}}], {BLOCK}',
    "one route per scheme": f'routes: [{{from: "http://www.cms.example", to: "http://a:1"}}, '
    f'{{from: "https://www.cms.example", to: "http://b:1"}}], {BLOCK}',
    "allowed outside production": f"routes: [{ROUTE}], {BLOCK}, allow: [fonts.example.net, '*.example']",
}  # fmt: skip


@pytest.mark.parametrize("body", COVERED.values(), ids=COVERED)
def test_a_target_that_answers_for_all_of_production_is_accepted(body: str) -> None:
    assert parse(body) == ""


OPEN = {
    "an exact host": (BLOCK, "t: 'www.cms.example' is not covered by this target: route it, mock it or list it in"),
    "a wildcard": (f"routes: [{ROUTE}]", "t: '*.api.cms.example' is not covered by this target: list it in 'block'"),
    "a wildcard with one name routed": (
        f'routes: [{ROUTE}, {{from: v1.api.cms.example, to: "http://sandbox:1"}}]',
        "t: '*.api.cms.example' is not covered",
    ),
    "a wildcard with a narrower block": (f'routes: [{ROUTE}], block: ["*.v1.api.cms.example"]', "t: '*.api.cms"),
    "a wildcard blocked by its own name": (f"routes: [{ROUTE}], block: [api.cms.example]", "t: '*.api.cms.example'"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), OPEN.values(), ids=OPEN)
def test_a_target_that_leaves_production_open_is_refused(body: str, expected: str) -> None:
    assert parse(body).startswith(expected)


LEADS_BACK = {
    "a production host": ("http://www.cms.example:1", "a sandbox: production.hosts lists 'www.cms.example'"),
    "its other spelling": ("http://WWW.CMS.example.:1", "a sandbox: production.hosts lists 'www.cms.example'"),
    "below a wildcard": ("http://v1.api.cms.example", "a sandbox: production.hosts lists '*.api.cms.example'"),
    "a production network": ("http://203.0.113.7", "a sandbox: it is in the production network 203.0.113.0/24"),
    "where production listens": ("http://127.0.1.1:9080", "a sandbox: it is where production's 'www.cms.example'"),
    "our own proxy": ("http://127.0.0.1:8080", "a sandbox: it is our own listener"),
    "TLS without trust": ("https://sandbox", "trusted: an https 'to' needs the target's 'ca'"),
    "a number for a host": ("http://3405803783", "an origin with an optional path"),
    "no scheme": ("sandbox:80", "a sandbox origin with its scheme like"),
}


@pytest.mark.parametrize(("to", "expected"), LEADS_BACK.values(), ids=LEADS_BACK)
def test_a_route_that_must_not_be_is_refused(to: str, expected: str) -> None:
    found = parse(f'routes: [{{from: www.cms.example, to: "{to}"}}], {BLOCK}')
    assert found.startswith(f"t.routes[0].to: '{to}' is not {expected}".lower()) or expected in found


def test_a_route_to_an_address_outside_the_targets_networks_is_refused() -> None:
    found = parse(f'routes: [{{from: www.cms.example, to: "http://10.8.0.1"}}], {BLOCK}, networks: [10.9.0.0/24]')
    assert found == "t.routes[0].to: 'http://10.8.0.1' is not within this target's 'networks'"


@pytest.mark.parametrize(
    "again", ["www.cms.example", "https://www.cms.example", "HTTP://www.cms.example".lower() + ":80/"]
)
def test_two_routes_from_one_place_are_refused(again: str) -> None:
    found = parse(f'routes: [{ROUTE}, {{from: "{again}", to: "http://sandbox:1", methods: [POST]}}], {BLOCK}')
    assert "used once: the route from 'www.cms.example' covers it already" in found


@pytest.mark.parametrize("allowed", ["www.cms.example", "v1.api.cms.example", '"*.v1.api.cms.example"'])
def test_an_exception_for_production_is_refused(allowed: str) -> None:
    found = parse(f"routes: [{ROUTE}], {BLOCK}, allow: [{allowed}]")
    assert "is not outside production: route it, mock it or list it in 'block'" in found


MOCKS = {
    "a wildcard for a host": ("match: 'GET https://*.example/*'", "a method and a URL with one host"),
    "an address for a host": ("match: 'GET https://127.0.0.1/*'", "(address literal)"),
    "an unknown key": ("match: 'GET https://a.example/', templat: b", "did you mean 'template'?"),
    "a template of another kind": (
        "match: 'GET https://a.example/', template: [b]",
        "text or a map with keys from: file",
    ),
    "an outbox of another kind": (
        "match: 'GET https://a.example/', outbox: Pay!",
        "a word for what was swallowed like",
    ),
    "set without state": ("match: 'GET https://a.example/', set: {a: '1'}", "possible without 'state: true'"),
    "a template that is none": ("match: 'GET https://a.example/', template: '{{'", "is not a Jinja2 template (line 1"),
    "two bodies": ("match: 'GET https://a.example/', json: {a: 1}, text: b", "possible beside 'json'"),
}


@pytest.mark.parametrize(("mock", "expected"), MOCKS.values(), ids=MOCKS)
def test_a_mock_that_cannot_be_is_refused(mock: str, expected: str) -> None:
    assert expected in parse(f"routes: [{ROUTE}], {BLOCK}, mocks: [{{{mock}}}]")


CREDENTIALS = {
    "a header without name": ("in: header", "name: nothing is not enough: a credential in a header needs its 'name'"),
    "a cookie without name": ("in: cookie", "name: nothing is not enough"),
    "JSON without pointer": ("in: json", "pointer: nothing is not enough: a credential in json needs its 'pointer'"),
    "JSON with a name": ("in: json, name: a, pointer: /a", "name: 'a' is not used by a credential in json"),
    "a pointer that is none": ("in: json, pointer: a.b", "pointer: 'a.b' is not a JSON pointer like '/auth/token'"),
    "a header with a pointer": ("in: header, name: A, pointer: /a", "pointer: '/a' is not used by a credential in a"),
    "a header with a line break": (r'in: header, name: "A\r\nB"', r"name: 'A\r\nB' is not the name of a header"),
    "a scheme in a cookie": ("in: cookie, name: a, scheme: Bearer", "scheme: 'Bearer' is not used outside header"),
    "a name for basic": ("in: basic, name: a", "name: 'a' is not used by a credential in basic"),
}


@pytest.mark.parametrize(("credential", "expected"), CREDENTIALS.values(), ids=CREDENTIALS)
def test_a_credential_without_what_its_place_needs_is_refused(credential: str, expected: str) -> None:
    found = parse(f"routes: [{ROUTE}], {BLOCK}, credentials: [{{{credential}, twin: learned}}]")
    assert found.startswith(f"t.credentials[0].{expected}")


@pytest.mark.parametrize("name", ["", "a b", "a;b", "t\u00f6ken", "a=b"])
def test_a_name_that_no_cookie_has_cannot_be_exposed(name: str) -> None:
    found = parse(f"routes: [{ROUTE}], {BLOCK}, expose: [XSRF-TOKEN, __Host-csrf, {name!r}]")
    assert found.startswith(f"t.expose[2]: {name!r} is not the name of a cookie")
