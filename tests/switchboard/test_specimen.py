from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.errors import BadInput
from switchboard.specimen import Specimen, parse_field, specimen_of, split_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.cms.example", ("https", "www.cms.example", "/")),
        ("HTTP://WWW.cms.example:8080?a=1", ("http", "WWW.cms.example:8080", "/?a=1")),
        ("https://www.cms.example/a b/é?c=d#e", ("https", "www.cms.example", "/a%20b/%C3%A9?c=d")),
        ("https://www.cms.example/a%2Fb/../c", ("https", "www.cms.example", "/a%2Fb/../c")),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", "/")),
        ("https://www\u3002cms.example:1/", ("https", "www.cms.example:1", "/")),
        ("https://[::1]/", ("https", "[::1]", "/")),
    ],
)
def test_a_url_is_split_as_clients_send_it(url: str, expected: tuple[str, str, str]) -> None:
    assert split_url(url)[:3] == expected


@pytest.mark.parametrize("url", ["", "www.cms.example", "ftp://a.example/", "https://", "https:///a", "https://u@/"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="URL"):
        split_url(url)


def test_an_error_repeats_neither_password_nor_query() -> None:
    with pytest.raises(BadInput) as caught:
        split_url("ftp://joe:secret@a.example/?token=secret")
    assert "secret" not in str(caught.value)


def test_a_websocket_begins_as_a_plain_request() -> None:
    found = specimen_of("wss://www.cms.example/live")
    assert found.scheme == "https"
    assert (b"Upgrade", b"websocket") in found.fields


def test_a_login_in_the_url_is_sent_as_a_field_unless_there_is_one() -> None:
    found = specimen_of("https://joe:p%40ss@www.cms.example/")
    assert found.fields == ((b"Authorization", b"Basic am9lOnBAc3M="),)
    assert found.notes
    own = (b"authorization", b"Bearer x")
    assert specimen_of("https://joe:pass@www.cms.example/", fields=[own]).fields == (own,)


def test_host_and_length_are_added_where_they_are_missing() -> None:
    sent = Specimen("POST", "https", "a.example", "/", ((b"X", b"1"),), b"body").sent
    assert sent == ((b"Host", b"a.example"), (b"X", b"1"), (b"Content-Length", b"4"))
    own = ((b"X", b"1"), (b"host", b"b.example"), (b"Transfer-Encoding", b"chunked"))
    assert Specimen("POST", "https", "a.example", "/", own, b"body").sent == (own[1], own[0], own[2])


@pytest.mark.parametrize("text", ["", "secret", ": secret"])
def test_what_is_no_field_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="a name, a colon and a value"):
        parse_field(text)


@given(st.text())
def test_any_text_is_split_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://a.example/{text}"):
        try:
            found = split_url(url)
        except BadInput:
            continue
        assert found.target.startswith("/")
        assert found.target.isascii()
        assert found.target.isprintable()
