from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.curl_command import parse_curl
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.estate_file import parse_estate
from switchboard.explain import Basis, Explanation, Standing, explain, standing_of
from switchboard.explained import as_object, lines_of
from switchboard.policy import compile_switch
from switchboard.specimen import Specimen, specimen_of
from switchboard.stand_ins import LEARNED_TWIN, fixed_stand_ins
from switchboard.switch import compile_worlds
from switchboard.verdict import Kind
from tests.switchboard.estates import ESTATE, MEMBER, OUTSIDER, SANDBOX

TWIN, PRODUCTION = "sandbox-twin-1234", "production-secret-1234"
CREDENTIALS = """
    credentials:
      - {in: header, name: Authorization, scheme: Bearer, twin: {value: sandbox-twin-1234}}
      - {in: cookie, name: session, twin: learned}
      - {in: query, name: api_key, twin: {env: NOT_SET}}
      - {in: json, pointer: /auth/token, twin: {env: NOT_SET}}
      - {in: form, name: token, twin: {value: sandbox-form-1234}}
"""
WITH_CREDENTIALS = ESTATE.replace(
    '    block: ["*.cms.example"]\n    networks: [10.90',
    f'{CREDENTIALS.rstrip()}\n    block: ["*.cms.example"]\n    networks: [10.90',
    1,
)
DRILL = Drill(id="explained", target="staging", cohort="rookies", phase=Phase.RUNNING, started="", deadline="", edge=1)
GONE = "203.0.113.9"


def a_basis(drill: Drill = DRILL) -> Basis:
    estate = parse_estate(WITH_CREDENTIALS, "switchboard.yml")
    target = estate.targets["staging"]
    secrets, known = fixed_stand_ins(target, {0: TWIN, 4: "sandbox-form-1234"})
    worlds = compile_worlds(estate, {"staging": secrets})
    switch = compile_switch(estate, SwitchDocument(epoch=1, drills=(drill,)), worlds=worlds)
    return Basis(switch, drill, key=bytes(32), now=0.0, known=known)


BASIS = a_basis()


def explained(url: str, *headers: str, method: str = "GET", client: str | None = None) -> Explanation:
    fields = tuple((name.encode(), value.encode()) for name, _, value in (text.partition(": ") for text in headers))
    return explain(specimen_of(url, method=method, fields=fields), basis=BASIS, client=client)


def value(found: Explanation, name: str) -> str | None:
    assert found.after is not None
    return next((text for key, text in found.after.fields if key.lower() == name), None)


def shown(found: Explanation) -> str:
    return "\n".join(lines_of(found)) + json.dumps(as_object(found))


WWW, API = "https://www.cms.example", "https://api.cms.example"
PROFILE = "svc-profile: https://api.cms.example/profile -> http://sandbox-profile.test:8082/sandbox/profile [GET, PUT]"


@pytest.mark.parametrize(
    ("method", "url", "kind", "rung", "status", "rule"),
    [
        ("GET", f"{API}/profile/7", Kind.FORWARD, 5, 0, f"route: {PROFILE}"),
        ("DELETE", f"{API}/profile/7", Kind.BLOCK, 5, 403, f"route: {PROFILE}"),
        ("GET", "http://www.cms.example/a", Kind.MOCK, 5, 308, f"route: {WWW} -> http://sandbox-mfe.test:8080"),
        ("POST", "https://payments.example/v1/pay", Kind.MOCK, 4, 202, "mock: POST https://payments.example/v1/*"),
        ("GET", "https://evil.example.net/", Kind.BLOCK, 2, 403, "deny: evil.example.net"),
        ("GET", "https://a.denied.example/", Kind.BLOCK, 2, 403, "deny: *.denied.example"),
        ("GET", "https://203.0.113.5/", Kind.BLOCK, 3, 400, "the request itself"),
        ("GET", f"{API}/profile/%2e%2e/x", Kind.BLOCK, 3, 400, "the request itself"),
        ("GET", "https://old.cms.example/", Kind.BLOCK, 6, 403, "block: *.cms.example"),
        ("GET", "https://pay.cms.example/v2", Kind.BLOCK, 6, 403, "routes of this host, none for this path"),
        ("GET", "https://fonts.example.net/a.woff", Kind.FORWARD, 7, 0, "allow: fonts.example.net"),
        ("GET", "https://elsewhere.example/", Kind.BLOCK, 8, 403, "unlisted: block"),
    ],
)
def test_verdict_rung_and_rule_are_told(
    method: str, url: str, kind: Kind, *, rung: int, status: int, rule: str
) -> None:
    found = explained(url, method=method)
    assert (found.verdict.kind, found.verdict.rung, found.status, found.rule) == (kind, rung, status, rule)
    assert (found.after is not None) is (kind is Kind.FORWARD)
    assert (found.dial is not None) is (kind is Kind.FORWARD)


def test_a_redirect_to_https_tells_where_it_leads() -> None:
    found = explained(f"http://www.cms.example/a?token={PRODUCTION}")
    assert found.location is not None
    assert found.location.startswith(f"{WWW}/a?token=<credential ")


def test_the_request_is_shown_as_it_crosses() -> None:
    found = explained(
        f"{API}/profile/7?x=1", "Referer: https://www.cms.example/", "Accept: */*", "Origin: https://www.cms.example"
    )
    assert found.before.line == "GET /profile/7?x=1 HTTP/1.1"
    assert found.before.fields[0] == ("Host", "api.cms.example")
    assert found.after is not None
    assert found.after.line == "GET /sandbox/profile/7?x=1 HTTP/1.1"
    assert value(found, "host") == "sandbox-profile.test:8082"
    assert value(found, "origin") == "http://sandbox-mfe.test:8080"
    assert value(found, "x-hms-env") == "sandbox"
    assert found.dropped == ("referer",)
    assert found.dial is not None
    assert (found.dial.host, found.dial.port, found.dial.h2) == ("sandbox-profile.test", 8082, False)


def test_credentials_are_told_apart_by_fingerprints_that_stay_the_same_within_one_run() -> None:
    found = explained(WWW, f"Authorization: Bearer {PRODUCTION}", f"X-Api-Key: {PRODUCTION}", "X-Session: another-one")
    fields = dict(found.before.fields)
    assert fields["Authorization"] == f"Bearer {fields['X-Api-Key']}"
    assert fields["X-Session"] != fields["X-Api-Key"]
    twin = value(found, "authorization")
    assert twin is not None
    assert twin.startswith("Bearer <credential ")
    assert twin != fields["Authorization"]
    assert (found.swapped, found.removed) == (("authorization",), ("x-api-key", "x-session"))
    other = explain(
        specimen_of(WWW, fields=((b"X-Api-Key", PRODUCTION.encode()),)), basis=replace(BASIS, key=b"1" * 32)
    )
    assert dict(other.before.fields)["X-Api-Key"] != fields["X-Api-Key"]


def test_twins_that_are_not_known_are_shown_as_what_they_are() -> None:
    found = explained(f"{WWW}/a?api_key=1&b=2", "Cookie: session=abc; other=1")
    assert found.after is not None
    assert found.after.line == "GET /a?api_key=<twin of query api_key>&b=2 HTTP/1.1"
    assert value(found, "cookie") == f"session={LEARNED_TWIN}"
    assert found.swapped == ("cookie session", "?api_key")


def test_a_json_body_is_shown_with_its_swaps() -> None:
    text = f'curl --json \'{{"auth": {{"token": "{PRODUCTION}"}}, "password": "hunter22", "n": 1}}\' {WWW}/a'
    found = explain(parse_curl(text), basis=BASIS)
    assert found.before.body is not None
    assert found.before.body.startswith('{"auth":{"token":"<credential ')
    assert found.after is not None
    assert found.after.body is not None
    assert found.after.body.startswith('{"auth":{"token":"<twin of json /auth/token>"},"password":"<credential ')
    assert value(found, "content-length") == "(known with the twin)"
    assert "json /auth/token" in found.swapped
    assert PRODUCTION not in shown(found)
    assert "hunter22" not in shown(found)


def test_a_form_is_shown_with_its_swaps_and_its_new_length() -> None:
    found = explain(parse_curl(f"curl -d 'token=x&a=1' {WWW}/a"), basis=BASIS)
    assert found.after is not None
    assert found.after.body is not None
    assert found.after.body.startswith("token=<credential ")
    assert value(found, "content-length") == str(len("token=sandbox-form-1234&a=1"))


def test_a_body_that_cannot_be_read_goes_nowhere() -> None:
    found = explain(parse_curl(f"curl --json '{{broken' {WWW}/a"), basis=BASIS)
    assert (found.verdict.kind, found.status, found.after, found.dial) == (Kind.BLOCK, 400, None, None)
    assert found.verdict.reason == "body: body is not JSON in UTF-8"


def test_fields_that_can_be_read_in_two_ways_are_refused_as_the_proxy_does() -> None:
    found = explained(WWW, "Content-Length: 1", "Transfer-Encoding: chunked")
    assert (found.verdict.kind, found.verdict.rung, found.status) == (Kind.BLOCK, 3, 400)
    assert found.verdict.reason == "both content-length and transfer-encoding"


def test_a_host_that_is_not_the_urls_is_refused() -> None:
    found = explained(WWW, "Host: api.cms.example")
    assert (found.verdict.kind, found.status) == (Kind.BLOCK, 421)


@pytest.mark.parametrize(
    ("client", "standing", "kind"),
    [
        (MEMBER, Standing.MEMBER, Kind.FORWARD),
        ("10.77.2.1", Standing.MEMBER, Kind.PASS),  # of another cohort than the drill's
        (SANDBOX, Standing.OUTSIDE, Kind.FORWARD),  # the estate does not serve its sandbox; the policy would hold it
        (OUTSIDER, Standing.SERVED, Kind.PASS),
        (GONE, Standing.OUTSIDE, Kind.PASS),
    ],
)
def test_a_client_is_told_what_it_is(client: str, standing: Standing, kind: Kind) -> None:
    found = explained(f"{WWW}/a", client=client)
    assert found.client is not None
    assert (found.client.standing, found.verdict.kind) == (standing, kind)
    assert lines_of(found)[0].startswith(f"client {client}: ")


def test_what_passes_is_shown_untouched_and_led_where_production_listens() -> None:
    found = explained(f"{WWW}/a", f"Authorization: Bearer {PRODUCTION}", client=OUTSIDER)
    assert found.after == found.before
    assert found.dial is not None
    assert (found.dial.host, found.dial.port) == ("127.0.1.1", 9443)
    assert PRODUCTION not in shown(found)


def test_a_client_outside_is_told_that_it_is_refused_at_the_door() -> None:
    found = explained(f"{WWW}/a", client=GONE)
    assert found.dial is None
    assert any("refuses this client's connections" in note for note in found.notes)


def test_standing_is_read_from_networks_alone() -> None:
    assert standing_of(MEMBER, BASIS.switch).cohort == "rookies"


def test_no_text_of_a_request_can_break_or_colour_a_line() -> None:
    found = explain(
        Specimen("GET", "https", "www.cms.example", "/\x1b[31m", ((b"X-A", b"1\r\nX: \x1b[0m"),)), basis=BASIS
    )
    assert all(line.isprintable() for line in lines_of(found))


WORDS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789-_.~", min_size=10, max_size=30)
PLACES = [
    "-H 'Authorization: Bearer {0}'", "-H 'Authorization: {0}'", "-H 'X-Api-Key: {0}'", "-b 'session={0}'",
    "-b 'sid={0}; session=x'", "-u 'joe:{0}'", "-H 'Sec-WebSocket-Protocol: token, {0}'", "-d 'token={0}'",
    "-d 'a=1&password={0}'", "-e 'https://www.cms.example/?token={0}'", "-H 'Proxy-Authorization: Basic {0}'",
    "--json '{{\"auth\": {{\"token\": \"{0}\"}}}}'", "--json '{{\"secret\": [\"{0}\"]}}'", "-F 'token={0}'",
    "-G -d 'api_key={0}'", "-G -d 'access_token={0}'",
]  # fmt: skip


@given(WORDS, st.sampled_from(PLACES), st.sampled_from([WWW, f"{API}/profile", "https://elsewhere.example"]))
def test_no_credential_is_ever_shown(secret: str, place: str, url: str) -> None:
    found = explain(parse_curl(f"curl {place.format('S' + secret)} {url}/a"), basis=BASIS)
    assert "S" + secret not in shown(found)
    assert TWIN not in shown(found)
    assert "NotKnownHere" not in shown(found)


@given(st.text(max_size=40), st.binary(max_size=60), st.text(max_size=20))
def test_any_request_is_explained(path: str, body: bytes, text: str) -> None:
    media = [
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=a",
        b"text/plain",
    ]
    for kind in media:
        given_fields = ((b"Content-Type", kind), (b"X-Text", text.encode()))
        specimen = Specimen("POST", "https", "www.cms.example", f"/{path}", given_fields, body)
        found = explain(specimen, basis=BASIS)
        json.dumps(as_object(found))
        assert all(line.isprintable() for line in lines_of(found))
