from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.site import (
    Place,
    Reach,
    is_public_suffix,
    is_same_site,
    parse_place,
    reach_of,
    registrable_domain,
)

PLACES = {
    "https://www.CMS.example": (True, "www.cms.example", "/"),
    "HTTP://h/x/y?q#f": (False, "h", "/x/y"),
    "https://h:8443/a": (True, "h", "/a"),
    "https://u:p@h:1/a": (True, "h", "/a"),
    "https://h./a": (True, "h", "/a"),
    "wss://h?x=/y": (True, "h", "/"),
    "http://h#/y": (False, "h", "/"),
    "http://[::1]:80/z": (False, "::1", "/z"),
}


@pytest.mark.parametrize(("url", "place"), PLACES.items(), ids=PLACES)
def test_a_place_is_scheme_host_and_path_of_a_url(url: str, place: tuple[bool, str, str]) -> None:
    assert parse_place(url) == Place(*place)


@given(st.text())
def test_any_text_gives_a_place(text: str) -> None:
    assert parse_place(text).path


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.cms.example", "cms.example"),
        ("cms.example", "cms.example"),
        ("example", None),
        ("a.b.co.uk", "b.co.uk"),
        ("co.uk", None),
        ("x.y.github.io", "y.github.io"),
        ("www.ck", "www.ck"),
        ("a.b.kawasaki.jp", "a.b.kawasaki.jp"),
        ("www.xn--85x722f.com.cn", "xn--85x722f.com.cn"),
        ("127.0.0.1", None),
        ("::1", None),
        ("localhost", None),
    ],
)
def test_the_registrable_domain_follows_the_public_suffix_list(host: str, domain: str | None) -> None:
    assert registrable_domain(host) == domain
    assert is_public_suffix(host) is (domain is None and host not in ("127.0.0.1", "::1"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://www.cms.example/a", "https://api.cms.example:8443/", True),
        ("http://www.cms.example/a", "https://www.cms.example/", False),
        ("https://a.github.io/", "https://b.github.io/", False),
        ("https://localhost/", "https://localhost/", True),
        ("https://10.0.0.1/", "https://10.0.0.2/", False),
    ],
)
def test_a_site_is_a_scheme_and_a_registrable_domain(one: str, other: str, same: bool) -> None:
    assert is_same_site(parse_place(one), parse_place(other)) is same


NAVIGATE = [(b"Sec-Fetch-Site", b"cross-site"), (b"Sec-Fetch-Mode", b"navigate"), (b"Sec-Fetch-Dest", b"document")]
REACHES = {
    "an agent says nothing": ("POST", [], Reach.SAME_SITE),
    "typed": ("GET", [(b"sec-fetch-site", b"none"), (b"sec-fetch-mode", b"navigate")], Reach.SAME_SITE),
    "another host of the site": ("POST", [(b"Sec-Fetch-Site", b"same-site")], Reach.SAME_SITE),
    "a link": ("GET", NAVIGATE, Reach.NAVIGATION),
    "a form": ("POST", NAVIGATE, Reach.SUBMISSION),
    "a frame": ("GET", [*NAVIGATE[:2], (b"Sec-Fetch-Dest", b"iframe")], Reach.CROSS_SITE),
    "an image": ("GET", [*NAVIGATE[:1], (b"Sec-Fetch-Mode", b"no-cors")], Reach.CROSS_SITE),
    "own origin": ("POST", [(b"Origin", b"https://api.cms.example")], Reach.SAME_SITE),
    "other origin": ("POST", [(b"Origin", b"https://evil.example")], Reach.CROSS_SITE),
    "no origin": ("POST", [(b"Origin", b"null")], Reach.CROSS_SITE),
    "own referer": ("GET", [(b"Referer", b"https://www.cms.example/x?y")], Reach.SAME_SITE),
    "other referer": ("GET", [(b"Referer", b"https://evil.example/")], Reach.NAVIGATION),
}


@pytest.mark.parametrize(("method", "fields", "reach"), REACHES.values(), ids=REACHES)
def test_how_a_request_came_about_is_read_from_its_fields(
    method: str, fields: list[tuple[bytes, bytes]], reach: Reach
) -> None:
    assert reach_of(fields, url="https://www.cms.example/", method=method) is reach
