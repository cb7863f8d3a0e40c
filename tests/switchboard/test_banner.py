from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.banner import Injector, banner_html

MARK = b"<MARK>"

PAGES = {
    "behind the body": b"<!doctype html><html><head><title>a</title></head><body>{}<p>b",
    "behind its attributes": b"""<html><BODY class="a>b" data-x='>' onload=go()>{}<p>b""",
    "only once": b"<html><body>{}<body><body>",
    "not inside a comment": b"<!doctype html><!-- <body> --><body>{}",
    "not inside a short comment": b"<!doctype html><!--><body>{}<!-- -->",
    "not inside a script": b'<html><script>document.write("<body>")</script><body>{}',
    "not inside a style": b"<html><style>/* <body> */</style ><body>{}",
    "not inside a title": b"<html><title><body></title><body>{}",
    "not inside a template": b"<html><head><template><body></template></head><body>{}",
    "not for a longer name": b"<html><head><bodyguard></head><body>".replace(b"<bodyguard>", b"{}<bodyguard>"),
    "in front of the first element where the body has no tag": b"<!DOCTYPE html><title>a</title><link rel=b>{}<p>c",
    "behind a head without body tag": b"<html><head><meta charset=utf-8></head>{}<main>",
    "a less-than sign is text": b"<!doctype html>a < b <3 <body>{}",
    "XHTML": b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head/><body>{}</body></html>',
    "a fragment stays": b"<tr><td>a</td></tr>",
    "a fragment with a script stays": b"<script>a</script><p>b",
    "text stays": b"no page at all",
    "an unfinished tag stays": b"<!doctype html><body class=",
    "an unfinished comment stays": b"<!doctype html><!-- <body>",
    "frames stay": b"<!doctype html><html><frameset cols=a><frame></frameset>",
    "nothing stays": b"",
}


def put_in(page: bytes, *, size: int) -> bytes:
    injector = Injector(MARK)
    return b"".join(injector.feed(page[at : at + size]) for at in range(0, len(page), size)) + injector.finish()


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_the_insertion_stands_where_the_body_begins(page: bytes, size: int) -> None:
    assert put_in(page.replace(b"{}", b""), size=size) == page.replace(b"{}", MARK)


def test_a_tag_without_end_is_not_waited_for() -> None:
    page = b"<!doctype html><body " + b"a" * 20_000
    injector = Injector(MARK)
    assert injector.feed(page) + injector.feed(b">") == page + b">"


@given(
    st.lists(
        st.sampled_from(
            [b"<body>", b"<", b"<!--", b"-->", b"<html>", b"<script>", b"</script>", b"<p ", b">", b'"', b"a"]
        )
    )
)
def test_any_division_into_chunks_gives_the_same_page(parts: list[bytes]) -> None:
    page = b"".join(parts)
    assert put_in(page, size=1) == put_in(page, size=3) == put_in(page, size=1000)
    assert put_in(page, size=1000).replace(MARK, b"") == page


def test_the_banner_is_text_that_a_policy_cannot_refuse() -> None:
    strict = banner_html("DRILL", policies=[b"default-src 'self'"])
    assert b"DRILL" in strict
    assert b"style" not in strict
    assert b"script" not in strict
    assert strict.startswith(b'<div role="status"')


def test_the_text_of_a_banner_is_escaped_and_ascii() -> None:
    shown = banner_html('<b>Übung & "drill"</b>')
    assert b"<b>&lt;b&gt;&#220;bung &amp; &quot;drill&quot;&lt;/b&gt;</b>" in shown
    assert shown.isascii()


@pytest.mark.parametrize(
    ("policies", "is_styled"),
    [
        ([], True),
        ([b""], True),
        ([b"script-src 'self'"], True),
        ([b"default-src 'self' 'unsafe-inline'"], True),
        ([b"default-src 'self'; style-src 'unsafe-inline'"], True),
        ([b"default-src 'unsafe-inline'; style-src 'self'"], False),
        ([b"style-src 'unsafe-inline'; style-src-attr 'none'"], False),
        ([b"style-src 'unsafe-inline' 'nonce-abc'"], False),
        ([b"style-src 'unsafe-inline' 'sha256-abc='"], False),
        ([b"style-src 'unsafe-inline'", b"default-src 'self'"], False),
        ([b"style-src 'unsafe-inline', default-src 'self'"], False),
        ([b"STYLE-SRC 'UNSAFE-INLINE'"], True),
    ],
)
def test_a_style_is_used_where_every_policy_allows_it(policies: list[bytes], is_styled: bool) -> None:
    assert (b"style=" in banner_html("DRILL", policies=policies)) is is_styled
