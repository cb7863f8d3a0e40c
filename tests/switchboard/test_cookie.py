from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.cookie import (
    MOST_AGE_S,
    Cookie,
    SameSite,
    default_path,
    domain_matches,
    parse_set_cookie,
    path_matches,
)
from switchboard.site import parse_place

NOW = 1_700_000_000.0
URL = "https://www.cms.example/app/page?x"


def parse(line: bytes, url: str = URL, upstream: str | None = None) -> Cookie | None:
    inner = parse_place(upstream) if upstream else None
    return parse_set_cookie(line, parse_place(url), now=NOW, upstream=inner)


def parsed(line: bytes, url: str = URL, upstream: str | None = None) -> Cookie:
    cookie = parse(line, url, upstream)
    assert cookie is not None
    return cookie


PAIRS = {
    b"a=b": (b"a", b"b"),
    b" a = b ; Path=/": (b"a", b"b"),
    b"a=": (b"a", b""),
    b"=b": (b"", b"b"),
    b"b": (b"", b"b"),
    b"a=b=c": (b"a", b"b=c"),
    b'a="b"': (b"a", b'"b"'),
    b"a=\xffb\xc3\xa9": (b"a", b"\xffb\xc3\xa9"),
    b"a=b\tc": (b"a", b"b\tc"),
}


@pytest.mark.parametrize(("line", "pair"), PAIRS.items(), ids=[repr(line) for line in PAIRS])
def test_name_and_value_are_kept_to_the_byte(line: bytes, pair: tuple[bytes, bytes]) -> None:
    cookie = parsed(line)
    assert (cookie.name, cookie.value) == pair


IGNORED = {
    "nothing": b"",
    "nothing but attributes": b"; Path=/",
    "an empty pair": b"=; Path=/",
    "a line feed": b"a=b\n; Path=/",
    "a NUL": b"a=b\0",
    "a control in an attribute": b"a=b; Path=/\x7f",
    "a pair too long": b"a=" + b"x" * 4096,
    "another host": b"a=b; Domain=api.cms.example",
    "a part of a label": b"a=b; Domain=ms.example",
    "a public suffix": b"a=b; Domain=example",
    "a domain that is not ASCII": b"a=b; Domain=c\xc3\xb6ms.example",
    "an address": b"a=b; Domain=10.0.0.1",
    "None without Secure": b"a=b; SameSite=None",
    "__Secure- without Secure": b"__Secure-a=b",
    "__Host- without Secure": b"__Host-a=b; Path=/",
    "__Host- without Path": b"__Host-a=b; Secure",
    "__Host- with another Path": b"__Host-a=b; Secure; Path=/app",
    "__Host- with a Domain": b"__Host-a=b; Secure; Path=/; Domain=www.cms.example",
    "a prefix in other letters": b"__hOsT-a=b",
    "a nameless prefix": b"=__Secure-a=b; Secure",
    "a nameless prefix without equals": b"__Host-a; Secure; Path=/",
}


@pytest.mark.parametrize("line", IGNORED.values(), ids=IGNORED)
def test_what_a_browser_ignores_is_ignored(line: bytes) -> None:
    assert parse(line) is None


def test_secure_is_not_taken_from_plain_http() -> None:
    assert parse(b"a=b; Secure", "http://www.cms.example/") is None
    assert parse(b"a=b", "http://www.cms.example/") is not None


SCOPES = {
    b"a=b": ("www.cms.example", True),
    b"a=b; Domain=": ("www.cms.example", True),
    b"a=b; Domain=www.cms.example": ("www.cms.example", False),
    b"a=b; Domain=.CMS.example": ("cms.example", False),
    b"a=b; Domain=evil.example; Domain=cms.example": ("cms.example", False),
}


@pytest.mark.parametrize(("line", "scope"), SCOPES.items(), ids=[repr(line) for line in SCOPES])
def test_a_cookie_is_for_its_host_or_for_a_domain_above(line: bytes, scope: tuple[str, bool]) -> None:
    cookie = parsed(line)
    assert (cookie.domain, cookie.host_only) == scope


def test_the_domain_of_a_host_that_is_a_public_suffix_or_an_address_is_that_host_alone() -> None:
    for host in ("localhost", "127.0.0.1"):
        cookie = parsed(b"a=b; Domain=" + host.encode(), f"http://{host}/")
        assert (cookie.domain, cookie.host_only) == (host, True)


def test_attributes_are_read_in_any_case_and_the_last_sound_one_counts() -> None:
    cookie = parsed(b"a=b; SECURE=1; httponly; samesite=Strict; path=/x; Path=/y; max-age=10; Max-Age=ten")
    assert (cookie.secure, cookie.http_only, cookie.same_site, cookie.path) == (True, True, SameSite.STRICT, "/y")
    assert cookie.expires == NOW + 10


@pytest.mark.parametrize(
    ("attributes", "expires"),
    [
        (b"", None),
        (b"Max-Age=60", NOW + 60),
        (b"Max-Age=0", 0.0),
        (b"Max-Age=-1", 0.0),
        (b"Max-Age=+1", None),
        (b"Max-Age=1.5", None),
        (b"Max-Age=", None),
        (b"Max-Age=" + b"9" * 40, NOW + MOST_AGE_S),
        (b"Expires=Wed, 15 Nov 2023 00:00:00 GMT", 1_700_006_400.0),
        (b"Expires=Wed, 15 Nov 2023 00:00:00 GMT; Max-Age=60", NOW + 60),
        (b"Max-Age=60; Expires=Wed, 15 Nov 2023 00:00:00 GMT", NOW + 60),
        (b"Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        (b"Expires=Fri, 31 Dec 9999 23:59:59 GMT", NOW + MOST_AGE_S),
        (b"Expires=tomorrow", None),
    ],
)
def test_max_age_goes_before_expires_and_400_days_are_the_most(attributes: bytes, expires: float | None) -> None:
    assert parsed(b"a=b; " + attributes).expires == expires


@given(st.binary(max_size=300))
def test_any_bytes_are_a_cookie_of_this_place_or_none(line: bytes) -> None:
    cookie = parse(line)
    if cookie is not None:
        assert domain_matches("www.cms.example", cookie.domain)
        assert not set(cookie.pair) & {*range(9), *range(10, 32), 127, ord(";")}


INNER = "http://sandbox-mfe:8080/app/page"
DEEP = "http://svc.sbx.test:8082/sandbox/app/page"
HOME = {
    "the sandbox's name": (b"a=b; Domain=sandbox-mfe", INNER, ("www.cms.example", False, "/app")),
    "above the sandbox": (b"a=b; Domain=sbx.test", DEEP, ("cms.example", False, "/app")),
    "production's name": (b"a=b; Domain=cms.example", INNER, ("cms.example", False, "/app")),
    "the sandbox's path": (b"a=b; Path=/sandbox/app", DEEP, ("www.cms.example", True, "/app")),
    "the sandbox's prefix": (b"a=b; Path=/sandbox", DEEP, ("www.cms.example", True, "/")),
    "the whole host": (b"a=b; Path=/", DEEP, ("www.cms.example", True, "/")),
    "production's path": (b"a=b; Path=/app/page", DEEP, ("www.cms.example", True, "/app/page")),
    "a shorter sandbox path": (b"a=b; Path=/page", "http://s/page", ("www.cms.example", True, "/app/page")),
    "a path it knows of us": (b"a=b; Path=/app/page", "http://s/page", ("www.cms.example", True, "/app/page")),
}


@pytest.mark.parametrize(("line", "upstream", "where"), HOME.values(), ids=HOME)
def test_domain_and_path_that_name_the_sandbox_become_those_of_production(
    line: bytes, upstream: str, where: tuple[str, bool, str]
) -> None:
    cookie = parsed(line, upstream=upstream)
    assert (cookie.domain, cookie.host_only, cookie.path) == where


def test_a_domain_that_is_neither_the_sandboxs_nor_productions_is_refused() -> None:
    assert parse(b"a=b; Domain=evil.example", upstream=INNER) is None


@pytest.mark.parametrize(
    ("path", "cookie_path", "matches"),
    [
        ("/app", "/app", True),
        ("/app/x", "/app", True),
        ("/app/x", "/app/", True),
        ("/app", "/app/", False),
        ("/apple", "/app", False),
        ("/", "/", True),
        ("/APP", "/app", False),
    ],
)
def test_paths_match_on_segment_borders(path: str, cookie_path: str, matches: bool) -> None:
    assert path_matches(path, cookie_path) is matches


@pytest.mark.parametrize(("path", "default"), [("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("*", "/")])
def test_the_default_path_is_the_requests_folder(path: str, default: str) -> None:
    assert default_path(path) == default


def test_a_value_never_shows_in_a_repr() -> None:
    assert "s3cret" not in repr(parsed(b"a=s3cret"))
