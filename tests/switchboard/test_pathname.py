from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard import pathname


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/", None),
        ("/a%20b?c#", "fragment in request target"),
        ("/a?b=%23", None),
        ("", "request target is not in origin-form"),
        ("*", "request target is not in origin-form"),
        ("http://www.cms.example/", "request target is not in origin-form"),
        ("/a b", "control character in request target"),
        ("/a\r\nb", "control character in request target"),
        ("/a\0", "control character in request target"),
        ("/a\x7f", "control character in request target"),
    ],
)
def test_a_target_that_is_no_origin_form_has_a_reason(target: str, reason: str | None) -> None:
    assert pathname.malformed(target) == reason


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/", None),
        ("/a/", None),
        ("/a;x=1/b", None),
        ("/a.b/..c/...", None),
        ("/caf%C3%A9/%E9", None),
        ("//a", "empty path segment"),
        ("/a//b", "empty path segment"),
        ("/a/../b", "dot segment in path"),
        ("/a/.", "dot segment in path"),
        ("/%2e%2E/b", "dot segment in path"),
        ("/%252e%252e/b", "dot segment in path"),
        ("/..;x/b", "dot segment in path"),
        ("/.%3b/b", "dot segment in path"),
        ("/a%2fb", "encoded delimiter in path"),
        ("/a%252Fb", "encoded delimiter in path"),
        ("/a%5Cb", "encoded delimiter in path"),
        ("/a%00", "encoded delimiter in path"),
        ("/a\\b", "backslash in path"),
        ("/a%", "bad percent-encoding in path"),
        ("/a%g0", "bad percent-encoding in path"),
        ("/%c0%ae%c0%ae/b", "overlong encoding in path"),
        ("/%e0%80%af", "overlong encoding in path"),
        ("/%f0%80%80%af", "overlong encoding in path"),
        ("/%25c0%25af", "overlong encoding in path"),
    ],
)
def test_a_path_that_can_be_read_in_two_ways_has_a_reason(path: str, reason: str | None) -> None:
    assert pathname.ambiguous(path) == reason


@pytest.mark.parametrize(
    ("path", "prefix", "to", "moved"),
    [
        ("/a/b", "/a", "/x", "/x/b"),
        ("/a", "/a", "", "/"),
        ("/a/", "/a", "", "/"),
        ("/a/%41/", "/a", "/x/y", "/x/y/%41/"),
        ("/a", "", "/x", "/x/a"),
        ("/", "", "/x", "/x/"),
    ],
)
def test_a_prefix_is_replaced_and_the_rest_stays_raw(path: str, prefix: str, to: str, moved: str) -> None:
    segments = pathname.prefix_segments(prefix)
    assert pathname.under(segments, pathname.segments(path))
    assert pathname.moved(path, cut=len(segments), to=to) == moved


@pytest.mark.parametrize(("path", "prefix"), [("/ab", "/a"), ("/", "/a"), ("/b/a", "/a"), ("/a", "/a/b")])
def test_a_prefix_ends_on_a_segment_border(path: str, prefix: str) -> None:
    assert not pathname.under(pathname.prefix_segments(prefix), pathname.segments(path))


@given(st.text(max_size=40))
def test_a_target_falls_into_path_and_query_and_nothing_is_lost(text: str) -> None:
    path, query = pathname.split_target(text)
    assert path + query == text
    assert "?" not in path
