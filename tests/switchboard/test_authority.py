from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.authority import Authority, Unclear, parse_authority, parse_host, to_ascii


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("www.cms.example", "www.cms.example"),
        ("WWW.Cms.Example.", "www.cms.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("_dmarc.cms.example", "_dmarc.cms.example"),
        ("localhost", "localhost"),
    ],
)
def test_a_host_is_brought_to_one_form(text: str, host: str) -> None:
    assert parse_host(text) == host


ADDRESSES = ["127.0.0.1", "0x7f.1", "2130706433", "127.1", "0177.0.0.1", "a.0x", "a.1.", "[::1]", "::1", "1.2.3.4."]


@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_in_any_spelling_is_unclear(text: str) -> None:
    with pytest.raises(Unclear, match="address literal"):
        parse_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a..b",
        ".a",
        "a b",
        "a%2eb",
        "-a.b",
        "a-.b",
        "a/b",
        "a\n",
        "a\\b",
        "\uff57ww.a",
        "a" * 64 + ".b",
        "a." * 130,
    ],
)
def test_what_is_not_certainly_a_name_is_unclear(text: str) -> None:
    with pytest.raises(Unclear):
        parse_host(text)


@pytest.mark.parametrize(
    ("text", "scheme", "authority"),
    [
        ("a.b", "http", Authority("a.b", 80)),
        ("a.b", "https", Authority("a.b", 443)),
        ("A.B.:8443", "https", Authority("a.b", 8443)),
        ("a.b:", "http", Authority("a.b", 80)),
        ("a.b:0080", "http", Authority("a.b", 80)),
    ],
)
def test_the_port_defaults_by_scheme(text: str, scheme: str, authority: Authority) -> None:
    assert parse_authority(text, scheme) == authority


@pytest.mark.parametrize(
    "text", ["a.b:0", "a.b:65536", "a.b:x", "a.b:-1", "a.b:1:2", "u@a.b", "u:p@a.b", "a.b:\uff18\uff10"]
)
def test_what_is_no_authority_is_unclear(text: str) -> None:
    with pytest.raises(Unclear):
        parse_authority(text, "https")


def test_a_name_in_unicode_becomes_its_a_labels() -> None:
    assert to_ascii("Bücher.example") == "xn--bcher-kva.example"


@pytest.mark.parametrize("text", ["ä ö.example", "\u2488.example", "\uff11.2.3.4", "xn--\u00e4"])
def test_a_name_in_unicode_that_is_none_is_unclear(text: str) -> None:
    with pytest.raises(Unclear):
        to_ascii(text)


@given(st.text(max_size=80))
def test_a_host_that_is_read_is_read_again_the_same(text: str) -> None:
    for parse in (parse_host, to_ascii):
        try:
            host = parse(text)
        except Unclear:
            continue
        assert host == host.lower()
        assert host.isascii()
        assert parse_host(host) == host
