from __future__ import annotations

import pytest

from switchboard.errors import InvalidFile
from switchboard.estate import Estate
from switchboard.estate_file import parse_estate

HEAD = "version: 1\nproduction: {hosts: [www.cms.example]}\ntargets: {t: {block: [www.cms.example], credentials: ["


def problems(*credentials: str, more: str = "") -> list[str]:
    """What is wrong with a target's credentials, without where its list stands."""
    try:
        parse_estate(HEAD + ", ".join(f"{{{one}}}" for one in credentials) + f"]}}}}\n{more}", "f")
    except InvalidFile as error:
        return [line.removeprefix("f:3: targets.t.credentials") for line in str(error).splitlines()]
    return []


SOUND = [
    "in: header, name: Authorization, scheme: Bearer, twin: {env: SANDBOX_TOKEN}",
    "in: cookie, name: session, twin: learned",
    "in: query, name: api_key, twin: {file: secrets/sandbox-key}",
    "in: json, pointer: /auth/token, twin: {value: demo-token}",
    "in: basic, twin: {value: 'user:password'}",
    "in: form, name: user_token, twin: {value: a}",
    "in: metadata, name: x-ticket-bin, twin: learned",
    "in: websocket, pointer: /token, scheme: Bearer, twin: learned, learn: {pointer: /access_token}",
    "in: websocket, name: bearer., twin: learned, learn: {header: X-Auth-Token}",
    "in: header, name: X-Key, twin: learned, learn: {cookie: session}",
]


@pytest.mark.parametrize("credential", SOUND, ids=lambda text: text.partition(", twin")[0])
def test_a_credential_with_what_its_place_needs_is_accepted(credential: str) -> None:
    assert problems(credential) == []


def test_credentials_in_different_places_are_accepted_together() -> None:
    sound = SOUND
    assert problems(*sound, "in: header, name: Authorization, twin: {env: A}") == []


L = "twin: learned"
REFUSED = {
    "a websocket without either": (
        f"in: websocket, {L}, learn: {{cookie: a}}",
        "pointer: nothing is not enough: a credential in a websocket",
    ),
    "a websocket with both": (
        f"in: websocket, name: a, pointer: /a, {L}, learn: {{cookie: a}}",
        "pointer: both is not",
    ),
    "a scheme for a subprotocol": (
        f"in: websocket, name: a, scheme: Bearer, {L}, learn: {{cookie: a}}",
        "scheme: 'Bearer' is not used outside",
    ),
    "a scheme with a space": (
        f"in: header, name: A, scheme: 'a b', {L}",
        "scheme: 'a b' is not an authentication scheme",
    ),
    "a header that frames": (
        f"in: header, name: Content_Length, {L}",
        "name: 'Content_Length' is not a header for a rule",
    ),
    "the mark of the drill": (f"in: header, name: X-HMS-Env, {L}", "name: 'X-HMS-Env' is not a header for a rule"),
    "cookies as a header": (
        f"in: header, name: Cookie, {L}",
        "name: 'Cookie' is not a header for a rule: use 'in: cookie'",
    ),
    "subprotocols as a header": (
        f"in: metadata, name: Sec-WebSocket-Protocol, {L}",
        "use 'in: websocket' and the name of",
    ),
    "a subscript": ("in: query, name: 'a[]', twin: {value: a}", "name: 'a[]' is not the name of a query parameter"),
    "a bad escape in a pointer": (f"in: json, pointer: /a~, {L}", "pointer: '/a~' is not a JSON pointer like"),
    "a pointer that teaches nothing": (
        f"in: header, name: A, {L}, learn: {{pointer: a}}",
        "learn.pointer: 'a' is not a",
    ),
    "a header that teaches nothing": (
        f"in: header, name: A, {L}, learn: {{header: 'a b'}}",
        "learn.header: 'a b' is not",
    ),
    "two places to learn from": (
        f"in: header, name: A, {L}, learn: {{header: a, cookie: b}}",
        "learn: a map with header, cookie is not exactly one of",
    ),
    "a fixed twin that learns": (
        "in: cookie, name: a, twin: {value: b}, learn: {cookie: a}",
        "learn: a place is not used",
    ),
    "a query that learns nowhere": (
        f"in: query, name: a, {L}",
        "learn: nothing is not enough: a learned twin here needs",
    ),
    "basic that learns nowhere": (f"in: basic, {L}", "learn: nothing is not enough: a learned twin here needs 'learn'"),
    "basic without a password": (
        "in: basic, twin: {value: hush}",
        "twin.value: the value (not shown, it may be a secret) is not a twin for a basic: it is",
    ),
    "a header after a twin": (r'in: header, name: A, twin: {value: "hush\r\nB: 1"}', "it holds a control character"),
    "a cookie after a twin": ("in: cookie, name: A, twin: {value: 'hush; b=1'}", "it holds a semicolon"),
}


@pytest.mark.parametrize(("credential", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_credential_that_cannot_work_is_refused(credential: str, expected: str) -> None:
    (found,) = problems(credential)
    assert expected in found
    assert "hush" not in found


TWICE = {
    "a header": ("in: header, name: X-Key, twin: learned", "in: header, name: x_key, twin: learned"),
    "header and metadata": ("in: header, name: X-Key, twin: learned", "in: metadata, name: x-key, twin: learned"),
    "basic and its scheme": (
        "in: basic, twin: {env: A}",
        "in: header, name: authorization, scheme: basic, twin: {env: B}",
    ),
    "a pointer": ("in: json, pointer: /a_b, twin: learned", "in: json, pointer: /A-B, twin: learned"),
    "a cookie": ("in: cookie, name: a, twin: {env: A}", "in: cookie, name: A, twin: {env: B}"),
}


@pytest.mark.parametrize(("first", "second"), TWICE.values(), ids=TWICE)
def test_two_credentials_in_one_place_are_refused(first: str, second: str) -> None:
    (found,) = problems(first, second)
    assert found.startswith("[1].in: ")
    assert "used once: another credential is in the same place" in found


def test_names_that_look_like_credentials_are_told_by_the_estate() -> None:
    text = HEAD + "]}}\n"
    assert parse_estate(text, "f").credential_names == ()
    estate: Estate = parse_estate(text + "credential_names: [X-Partner-Key, partner_pin]\n", "f")
    assert estate.credential_names == ("X-Partner-Key", "partner_pin")
    (found,) = problems(more="credential_names: [X-Key, 'a b']\n")
    assert found == "f:4: credential_names[1]: 'a b' is not the name of a header or parameter like 'X-Partner-Key'"
