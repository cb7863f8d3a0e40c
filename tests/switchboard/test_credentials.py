"""Whatever a request is made of: no production secret crosses, and twins appear where rules say and nowhere else."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard import headers
from switchboard.credentials import Unreadable, swap_body, swap_head, swap_message
from switchboard.headers import Field
from tests.switchboard.twinned import (
    API_KEY,
    BASIC,
    BEARER,
    FIELD,
    KEY,
    MESSAGE,
    METADATA,
    NOTHING,
    SESSION,
    TOKEN,
    rules_of,
)

SECRET = "pr0duction-s3cret"
RULES = rules_of(BEARER, BASIC, KEY, METADATA, SESSION, API_KEY, TOKEN, FIELD, MESSAGE, names=("X-Tenant-Pin",))
LEARNED: tuple[dict[str, str], ...] = ({}, {"cookie:session": "sandbox-session"})


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


ENCODED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "percent": percent,
    "percent twice": lambda text: quote(percent(text), safe=""),
    "JSON": escaped,
}
_secrets = st.sampled_from([encode(SECRET) for encode in ENCODED.values()])
_plain = st.sampled_from(["", "a", "1", "x=y", "dark", "caf\xe9"])


def readings(sent: bytes) -> set[str]:
    """What a curious sandbox reads in bytes: as they are, and decoded once and twice in each way."""
    found = {sent.decode("latin-1")}
    for _ in range(2):
        found |= {unquote_plus(text) for text in found}
        found |= {decode_escapes(text) for text in found}
    return found


def decode_escapes(text: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text)


def shows_secret(sent: bytes) -> bool:
    needles = (SECRET, base64.b64encode(SECRET.encode()).decode().rstrip("="))
    return any(needle in text for text in readings(sent) for needle in needles)


def spelled(name: str) -> st.SearchStrategy[str]:
    """The ways in which a server may still read this name."""
    return st.sampled_from([name, name.upper(), name.lower(), name.replace("-", "_"), name.replace("_", "-")])


@st.composite
def _fields(draw: st.DrawFn) -> Field:
    kind = draw(st.sampled_from(["ruled", "scheme", "suspect", "cookie", "plain"]))
    secret = draw(_secrets)
    if kind == "ruled":
        name, value = draw(spelled("X-Partner-Key") | spelled("x-ticket-bin")), secret
    elif kind == "scheme":
        scheme = draw(st.sampled_from(["Bearer ", "bearer  ", "Basic ", "Digest ", "Hawk id=", "", "Bearer\t"]))
        name, value = draw(spelled("Authorization")), scheme + secret
    elif kind == "suspect":
        names = ["Proxy-Authorization", "X-Api-Key", "X-Auth-Token", "Cookie2", "DPoP", "X-Tenant-Pin", "X-CSRF-Token"]
        name, value = draw(st.sampled_from(names).flatmap(spelled)), secret
    elif kind == "cookie":
        crumbs = st.builds(
            "{}={}".format, st.sampled_from(["session", "SESSION", "other", "%73ession"]), st.just(secret)
        )
        others = st.builds("theme={}".format, _plain)
        separator = draw(st.sampled_from(["; ", ";", ", "]))
        name, value = draw(spelled("Cookie")), separator.join(draw(st.lists(crumbs | others, min_size=1, max_size=4)))
    else:
        name, value = draw(st.sampled_from(["Accept", "X-Plain", "User-Agent"])), draw(_plain)
    return name.encode(), value.encode("latin-1")


@st.composite
def _queries(draw: st.DrawFn) -> str:
    names = spelled("api_key") | st.sampled_from(
        ["%61pi_key", "api%255fkey", "api_key[]", "token", "X-Tenant-Pin", "sig"]
    )
    secret = st.builds("{}={}".format, names, _secrets.map(lambda text: text.replace("\\", "%5C")))
    plain = st.builds("{}={}".format, st.sampled_from(["q", "page", "a%20b"]), st.sampled_from(["", "1", "x%26y"]))
    parts = draw(st.lists(secret | plain, max_size=5))
    return "/x" + ("?" + draw(st.sampled_from("&;")).join(parts) if parts else "")


@settings(max_examples=300)
@given(st.lists(_fields(), max_size=6), _queries(), st.sampled_from(LEARNED))
def test_no_secret_of_a_head_is_sent(fields: list[Field], target: str, learned: dict[str, str]) -> None:
    found = swap_head(fields, target, rules=RULES, learned=learned)
    crossed = headers.to_sandbox(found.plain, authority="s.test", drill="d", origin=None)
    assert crossed.removed == ()
    sent = b"\n".join(name + b": " + value for name, value in (*crossed.fields, *found.vouched))
    assert not shows_secret(sent + b"\n" + found.target.encode())
    assert not shows_secret(" ".join(found.swapped + found.removed).encode())
    assert SECRET not in repr(RULES)


TWINS = {
    b"authorization": (b"Bearer sandbox-token", b"Basic ZHJpbGw6cGFzczp3b3Jk"),
    b"x-partner-key": (b"sandbox-key",),
    b"x-ticket-bin": (b"c2FuZGJveA",),
    b"cookie": (b"session=sandbox-session",),
}


@settings(max_examples=300)
@given(st.lists(_fields(), max_size=6), _queries(), st.sampled_from(LEARNED))
def test_twins_appear_where_rules_say_and_nowhere_else(
    fields: list[Field], target: str, learned: dict[str, str]
) -> None:
    found = swap_head(fields, target, rules=RULES, learned=learned)
    came = {headers.canonical(name) for name, _ in fields}
    gone = [headers.canonical(name) for name, _ in found.vouched]
    assert len(set(gone)) == len(gone)
    assert set(gone) <= came & TWINS.keys()
    assert all(value in TWINS[headers.canonical(name)] for name, value in found.vouched)
    assert found.plain == tuple(
        one for one in fields if headers.canonical(one[0]) not in TWINS and not RULES.suspects(one[0])
    )
    assert {b"x-partner-key", b"x-ticket-bin"} & came <= set(gone)
    assert ("sandbox" in found.target) == ("?api_key" in found.swapped)
    assert headers.screen(found.fields) is None or headers.screen(fields) is not None


_any_names = st.one_of(
    st.sampled_from([b"Authorization", b"cookie", b"X_Api_Key", b"Connection", b"Host", b"Sec-WebSocket-Protocol"]),
    st.binary(max_size=12),
)


@given(st.lists(st.tuples(_any_names, st.binary(max_size=20)), max_size=6), st.text(max_size=40))
def test_without_rules_a_head_is_cleaned_as_ever(fields: list[Field], rest: str) -> None:
    found = swap_head(fields, f"/x{rest}", rules=NOTHING, learned={})
    alone = headers.to_sandbox(fields, authority="s.test", drill="d", origin=None)
    after = headers.to_sandbox(found.plain, authority="s.test", drill="d", origin=None)
    assert (after.fields, found.vouched) == (alone.fields, ())
    cleaned, removed = headers.clean_query(f"/x{rest}")
    assert (found.target, found.removed) == (cleaned, alone.removed + removed)


@dataclass(frozen=True, slots=True)
class Planted:
    """A body or message with the secret in places that have a rule."""

    content: bytes
    content_type: bytes = b""
    twin: str = ""


_documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), _plain),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_plain, inner, max_size=3)),
    max_leaves=10,
)


@st.composite
def _json_bodies(draw: st.DrawFn) -> Planted:
    secret: Any = draw(_secrets)
    shape = draw(st.sampled_from([lambda s: s, lambda s: [s], lambda s: {"jwt": s}]))
    around = draw(st.dictionaries(_plain, _documents, max_size=3))
    auth = {draw(spelled("token")): shape(secret), **draw(st.dictionaries(st.sampled_from("xy"), _documents))}
    text = json.dumps({**around, draw(spelled("auth")): auth}, ensure_ascii=draw(st.booleans()))
    if draw(st.booleans()):
        text = text.replace('"auth"', '"\\u0061uth"').replace(SECRET, escaped(SECRET))
    if draw(st.booleans()):
        text = text[:-1] + f', "auth": {{"token": {json.dumps(secret)}}}, "auth": null}}'
    types = ["application/json", "application/fhir+json; charset=utf-8", "text/plain", ""]
    return Planted(text.encode(), draw(st.sampled_from(types)).encode(), json.dumps(TOKEN["twin"]))


@st.composite
def _forms(draw: st.DrawFn) -> Planted:
    names = spelled("token") | st.sampled_from(["%74oken", "token[]", " token"])
    secret = draw(_secrets)
    if draw(st.booleans()):
        parts = [f"a={draw(_plain)}", f"{draw(names)}={secret}", f"b={quote(draw(_plain))}"]
        return Planted("&".join(parts).encode(), b"application/x-www-form-urlencoded", quote(str(FIELD["twin"])))
    part = '--B-1\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
    body = part.format("a", draw(_plain)) + part.format(draw(names), secret) + "--B-1--\r\n"
    return Planted(body.encode(), b'multipart/form-data; boundary="B-1"', str(FIELD["twin"]))


@settings(max_examples=300)
@given(_json_bodies() | _forms())
def test_no_secret_of_a_body_is_sent_and_its_twin_is(planted: Planted) -> None:
    found = swap_body(planted.content, planted.content_type, rules=RULES, learned={})
    assert not shows_secret(found.body)
    assert planted.twin.encode() in found.body
    assert found.swapped


@given(_json_bodies() | _forms(), st.integers(1, 300))
def test_a_body_cut_off_is_refused_or_sent_without_its_secret(planted: Planted, size: int) -> None:
    try:
        found = swap_body(planted.content[:size], planted.content_type, rules=RULES, learned={})
    except Unreadable:
        return
    assert not shows_secret(found.body)


@st.composite
def _messages(draw: st.DrawFn) -> Planted:
    secret = draw(_secrets)
    inner = json.dumps({draw(spelled("token")): secret, "n": draw(_documents)})
    stomp = f"CONNECT\naccept-version:1.2\ntoken:{secret}\nAuthorization:Bearer {secret}\npasscode:{secret}\n\n\0"
    payload = {"Authorization": f"Bearer {secret}", "apiKey": secret, "headers": {"X-Partner-Key": secret}}
    init = json.dumps({"type": "connection_init", "payload": payload})
    forms = [
        inner,
        f"40{inner}",
        f"40/ns,{inner}",
        json.dumps([inner]),
        stomp,
        json.dumps([stomp]),
        init,
        json.dumps([init]),
    ]
    return Planted(draw(st.sampled_from(forms)).encode())


@settings(max_examples=200)
@given(_messages(), st.booleans(), st.booleans())
def test_no_secret_of_a_message_is_sent_and_a_twin_is(planted: Planted, is_text: bool, first: bool) -> None:
    found = swap_message(planted.content, is_text=is_text, first=first, rules=RULES, learned={})
    assert not found.drop
    assert not shows_secret(found.content)
    assert b"sandbox-" in found.content


@pytest.mark.parametrize("encoding", ENCODED)
def test_the_secrets_of_these_tests_would_be_seen(encoding: str) -> None:
    assert shows_secret(f"x {ENCODED[encoding](SECRET)} y".encode())
