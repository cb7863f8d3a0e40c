from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard import headers
from switchboard.headers import Field

WS = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Version", b"13")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ([(b"Accept", b"*/*"), (b"X", b"caf\xc3\xa9\t!")], None),
        ([(b"X", b"a\rb")], "control character in header value"),
        ([(b"X", b"a\nb")], "control character in header value"),
        ([(b"X", b"a\0b")], "control character in header value"),
        ([(b"X", b"a\x7f")], "control character in header value"),
        ([(b"X Y", b"")], "bad header name"),
        ([(b"X:", b"")], "bad header name"),
        ([(b"X\n", b"")], "bad header name"),
        ([(b"", b"")], "bad header name"),
        ([(b"X\xc3\xa9", b"")], "bad header name"),
        ([(b"X", b"a" * 65_536)], "header fields larger than 64 KiB"),
        ([(b"Host", b"a"), (b"host", b"a")], "more than one host"),
        ([(b"Content-Length", b"1"), (b"Content_Length", b"1")], "more than one content-length"),
        ([(b"Content-Type", b"a/b"), (b"Content-Type", b"a/b")], "more than one content-type"),
        ([(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")], "both content-length and transfer-encoding"),
        ([(b"Transfer-Encoding", b"Chunked")], None),
        ([(b"Transfer-Encoding", b"gzip, chunked")], "transfer coding other than chunked"),
        ([(b"Trailer", b"X")], "trailer fields"),
        ([(b"Expect", b"100-Continue")], None),
        ([(b"Expect", b"x")], "expectation other than 100-continue"),
        (WS, None),
        ([*WS[:2], (b"Sec-WebSocket-Version", b"8")], "upgrade other than WebSocket 13"),
        (WS[:2], "upgrade other than WebSocket 13"),
        ([(b"Upgrade", b"h2c")], "upgrade other than WebSocket 13"),
        ([*WS, (b"Upgrade", b"h2c")], "more than one upgrade"),
    ],
    ids=lambda value: None if isinstance(value, list) else str(value),
)
def test_fields_that_mean_more_than_one_thing_have_a_reason(fields: list[Field], reason: str | None) -> None:
    assert headers.screen(fields) == reason


def crossed(*fields: Field, origin: bytes | None = None) -> dict[bytes, bytes]:
    found = headers.to_sandbox(fields, authority="sandbox.test:8080", drill="drill-1", origin=origin).fields
    assert len({name.lower() for name, _ in found}) == len(found)
    return {name.lower(): value for name, value in found}


ALWAYS = {
    b"host": b"sandbox.test:8080",
    b"x-hms-env": b"sandbox",
    b"baggage": b"env=sandbox,drill=drill-1",
}


def test_a_request_crosses_with_the_sandboxs_host_and_the_mark_of_the_drill() -> None:
    fields = ((b"Host", b"www.cms.example"), (b"Accept", b"*/*"), (b"baggage", b"a=b"), (b"X-HMS-Env", b"live"))
    assert crossed(*fields) == {**ALWAYS, b"accept": b"*/*"}


@pytest.mark.parametrize(
    "name",
    [
        *(b"Authorization", b"authorization", b"Cookie", b"Proxy-Authorization", b"DPoP", b"Client-Cert", b"Signature"),
        *(b"X-Api-Key", b"X_API_KEY", b"apikey", b"X-Auth-Token", b"X-CSRF-Token", b"X-Access-Key", b"X-Remote-User"),
        *(b"Ocp-Apim-Subscription-Key", b"X-Hub-Signature-256", b"X-Session", b"X-Passwd-Hash", b"Sec-WebSocket-Jwt"),
    ],
)
def test_a_field_that_looks_like_a_credential_never_crosses_and_is_named(name: bytes) -> None:
    found = headers.to_sandbox([(name, b"secret")], authority="s.test", drill=None, origin=None)
    assert b"secret" not in b"".join(value for _, value in found.fields)
    assert found.removed == (headers.canonical(name).decode(),)


@pytest.mark.parametrize(
    "name",
    [
        *(b"Forwarded", b"X-Forwarded-Host", b"X_Forwarded_Host", b"X-Original-URL", b"X-Rewrite-URL", b"Via"),
        *(b"X-HTTP-Method-Override", b"X-Method-Override", b"X-Tenant", b"X-Env", b"CF-Connecting-IP", b"X-HMS-Any"),
        *(b"If-None-Match", b"If-Range", b"Range", b"Last-Event-ID"),
        *(b"traceparent", b"tracestate", b"b3", b"X-B3-SpanId", b"sentry-trace", b"X-Request-Id"),
        *(b"Proxy-Connection", b"Keep-Alive", b"TE", b"HTTP2-Settings", b"Referer", b"Service-Worker", b"Origin"),
    ],
)
def test_a_field_of_the_other_side_never_crosses(name: bytes) -> None:
    assert crossed((name, b"x")) == ALWAYS


@pytest.mark.parametrize(
    "name", [b"Accept", b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Sec-Fetch-Site", b"X-Plain"]
)
def test_a_plain_field_crosses(name: bytes) -> None:
    assert crossed((name, b"x"))[name.lower()] == b"x"


def test_origin_becomes_the_sandboxs() -> None:
    assert crossed((b"Origin", b"https://www.cms.example"), origin=b"http://sandbox.test")[b"origin"] == (
        b"http://sandbox.test"
    )


def test_fields_named_by_connection_stay_but_for_those_that_frame_the_request() -> None:
    listing = b"close, X-Hop, Content-Length, Transfer-Encoding, Host"
    assert crossed((b"Connection", listing), (b"X-Hop", b"1"), (b"Content-Length", b"3")) == {
        **ALWAYS,
        b"content-length": b"3",
    }


def test_a_websocket_keeps_its_own_fields_and_no_token_in_its_subprotocols() -> None:
    offer = (b"Sec-WebSocket-Protocol", b"chat, bearer.x, base64url.bearer.authorization.x, " + b"y" * 41)
    found = crossed(*WS, (b"Sec-WebSocket-Key", b"k"), offer)
    assert found == {
        **ALWAYS,
        b"upgrade": b"websocket",
        b"connection": b"Upgrade",
        b"sec-websocket-version": b"13",
        b"sec-websocket-key": b"k",
        b"sec-websocket-protocol": b"chat",
    }


@pytest.mark.parametrize(
    ("target", "cleaned", "removed"),
    [
        ("/x", "/x", ()),
        ("/x?", "/x?", ()),
        ("/x?a=1&&b", "/x?a=1&&b", ()),
        ("/x?token=1", "/x", ("?token",)),
        ("/x?a=1&token=2&b=3", "/x?a=1&b=3", ("?token",)),
        ("/x?a=1;sid=2;b=3", "/x?a=1;b=3", ("?sid",)),
        ("/x?%74oken=1&b", "/x?b", ("?token",)),
        ("/x?access%255Ftoken=1&b", "/x?b", ("?access_token",)),
        ("/x?TOKEN[]=1&b", "/x?b", ("?token",)),
        ("/x?tokens=1&tokenise=2", "/x?tokens=1&tokenise=2", ()),
        ("/x?oauth_signature=1&SAMLResponse=2&otp=3&a", "/x?a", ("?oauth_signature", "?samlresponse", "?otp")),
        ("/x?csrfmiddlewaretoken=1&X-Goog-Signature=2", "/x", ("?csrfmiddlewaretoken", "?x-goog-signature")),
        ("/a;jsessionid=P/b;v=1?c", "/a/b;v=1?c", (";jsessionid",)),
        ("/x?q=token=1", "/x?q=token=1", ()),
    ],
)
def test_a_query_loses_its_credentials_and_nothing_else(target: str, cleaned: str, removed: tuple[str, ...]) -> None:
    assert headers.clean_query(target) == (cleaned, removed)


def test_an_answer_leaves_nothing_in_the_browser_that_outlives_the_drill() -> None:
    names = [b"Set-Cookie", b"ETag", b"Last-Modified", b"Expires", b"Cache-Control", b"Strict-Transport-Security"]
    names += [b"Alt-Svc", b"Clear-Site-Data", b"Report-To", b"NEL", b"Link", b"Service-Worker-Allowed", b"X-HMS-Drill"]
    found = headers.to_client([(name, b"x") for name in names], drill="drill-1")
    assert found == ((b"Cache-Control", b"no-store"), (b"X-HMS-Drill", b"drill-1"))


_names = st.one_of(
    st.sampled_from(
        [b"Authorization", b"cookie", b"X_Api_Key", b"Connection", b"Host", b"Upgrade", b"X-Forwarded-Host"]
    ),
    st.binary(max_size=12),
)
_values = st.one_of(st.sampled_from([b"secret", b"close, host", b"a\r\nb: c"]), st.binary(max_size=20))


@given(st.lists(st.tuples(_names, _values), max_size=6))
def test_no_fields_that_pass_the_screen_carry_a_break_or_a_credential_to_the_sandbox(fields: list[Field]) -> None:
    if headers.screen(fields) is not None:
        return
    found = headers.to_sandbox(fields, authority="sandbox.test", drill="drill-1", origin=None).fields
    assert not re.search(rb"[\r\n\0]", b"".join(name + value for name, value in found))
    assert not any(headers.looks_like_credential(name) for name, _ in found)
    assert [value for name, value in found if headers.canonical(name) == b"host"] == [b"sandbox.test"]


@given(st.text(max_size=60))
def test_cleaning_a_query_is_final(query: str) -> None:
    once, _ = headers.clean_query(f"/x?{query}")
    assert headers.clean_query(once) == (once, ())


@given(st.lists(st.tuples(st.sampled_from(["a", "token", "%74oken", "TOKEN[]"]), st.just("secret")), max_size=5))
def test_a_query_of_credentials_carries_none(pairs: list[tuple[str, str]]) -> None:
    cleaned, removed = headers.clean_query("/x?" + "&".join(f"{name}={value}" for name, value in pairs))
    assert cleaned.count("secret") == sum(name == "a" for name, _ in pairs) == len(pairs) - len(removed)
