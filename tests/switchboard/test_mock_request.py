from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.estate import Target
from switchboard.mock_request import MOST_BODY, Body, MockRequest, read_body, secret_names
from switchboard.redaction import REMOVED

URL = "https://mail.example/send"
MULTIPART = (
    b'--b\r\nContent-Disposition: form-data; name="to"\r\n\r\nann@a.example\r\n'
    b'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\nhush\r\n'
    b'--b\r\nContent-Disposition: form-data; name="letter"; filename="a.pdf"\r\nContent-Type: application/pdf\r\n\r\n'
    b"%PDF\xff\r\n--b--\r\n"
)

BODIES = {
    "nothing": (b"", "application/json", Body()),
    "JSON": (b'{"to": "ann"}', "application/json", Body(json={"to": "ann"}, text='{"to":"ann"}')),
    "JSON by its suffix": (b"[1]", "application/hal+json; charset=utf-8", Body(json=[1], text="[1]")),
    "a form": (
        b"to=ann&to=bob&n=",
        "application/x-www-form-urlencoded",
        Body(form={"to": "ann", "n": ""}, text="to=ann&to=bob&n="),
    ),
    "a multipart form": (
        MULTIPART,
        "multipart/form-data; boundary=b",
        Body(
            form={"to": "ann@a.example", "password": REMOVED, "letter": "a.pdf (5 bytes)"},
            text="to=ann@a.example&password=(removed)&letter=a.pdf+(5+bytes)",
        ),
    ),
    "text": (b"Dear Ann,\nyour pin: 1234\n", "text/plain", Body(text="Dear Ann,\nyour pin: (removed)\n")),
    "XML": (b"<a>\t<pin>1</pin></a>", "application/soap+xml", Body(text="<a>\t<pin>(removed)</pin></a>")),
    "text of no type": (b"hello", "", Body(text="hello")),
    "bytes": (b"\0\1\2", "application/octet-stream", Body(readable=False)),
    "broken JSON": (b'{"password": "hush"', "application/json", Body(readable=False)),
    "JSON that is not UTF-8": (b'{"a": "\xff"}', "application/json", Body(readable=False)),
    "multipart without its boundary": (MULTIPART, "multipart/form-data; boundary=c", Body(readable=False)),
    "multipart without any": (MULTIPART, "multipart/form-data", Body(readable=False)),
    "a form of too many fields": (b"a=1&" * 2000, "application/x-www-form-urlencoded", Body(readable=False)),
}  # fmt: skip


@pytest.mark.parametrize(("body", "content_type", "expected"), BODIES.values(), ids=BODIES)
def test_a_body_is_read_by_its_type(body: bytes, content_type: str, expected: Body) -> None:
    assert read_body(body, content_type) == expected


def test_a_request_holds_no_credential_in_any_place() -> None:
    fields = [
        (b"Authorization", b"Bearer hush-hush"),
        (b"Cookie", b"session=hush-hush"),
        (b"X-Badge", b"hush-hush"),
        (b"X-Note", b"Bearer hush-hush"),
        (b"Referer", b"https://www.cms.example/?token=hush-hush"),
        (b"Content-Type", b"application/json"),
    ]
    body = b'{"to": "ann", "badge": "hush-hush", "auth": {"token": "hush-hush"}}'
    request = MockRequest.of(
        "POST",
        f"{URL}?a=1&api_key=hush-hush&pin=hush-hush&badge=hush-hush",
        fields=fields,
        body=body,
        secrets=frozenset({"badge", "x-badge"}),
    )
    assert "hush" not in repr(request)
    assert request.body.json == {"to": "ann", "badge": REMOVED, "auth": REMOVED}
    assert request.query["a"] == "1"
    assert set(request.query.values()) == {"1", REMOVED}
    assert request.headers == {"x-note": REMOVED, "content-type": "application/json"}


def test_names_of_a_targets_rules_are_known() -> None:
    rules = [
        {"in": "header", "name": "X-Badge", "twin": "learned"},
        {"in": "json", "pointer": "/auth/Pass", "twin": "learned"},
        {"in": "basic", "twin": "learned"},
    ]
    assert secret_names(Target.model_validate({"credentials": rules})) == {"x-badge", "pass"}


@pytest.mark.parametrize(
    ("fields", "body"),
    [([(b"Content-Encoding", b"gzip")], b"x"), ([], b"x" * (MOST_BODY + 1))],
    ids=["a content coding", "too large"],
)
def test_a_body_that_is_not_read_leaves_only_its_size(fields: list[tuple[bytes, bytes]], body: bytes) -> None:
    request = MockRequest.of("POST", URL, fields=fields, body=body)
    assert (request.body, request.size) == (Body(readable=False), len(body))


def test_the_url_is_kept_without_what_was_taken_out() -> None:
    request = MockRequest.of("GET", "https://a.example:8443/b/c?token=x")
    assert (request.url, request.host, request.path) == ("https://a.example:8443/b/c", "a.example:8443", "/b/c")


def test_a_target_that_is_no_text_is_shown_as_far_as_it_is() -> None:
    request = MockRequest.of("GET", "https://a.example/b\udcff?c=\udcfe")
    assert request.url == "https://a.example/b\ufffd?c=%EF%BF%BD"


TYPES = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain", "", "é"]
)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode), TYPES)
def test_any_body_is_read_or_not_shown(body: bytes, content_type: str) -> None:
    found = read_body(body, content_type)
    assert found.readable or found == Body(readable=False)


@given(st.binary(max_size=100))
def test_any_multipart_is_read_or_not_shown(body: bytes) -> None:
    read_body(b"--b\r\nContent-Disposition: form-data; " + body, "multipart/form-data; boundary=b")
