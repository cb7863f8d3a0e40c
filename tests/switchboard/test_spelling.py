from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.spelling import COLON, LONGEST, SLASH, read, spell

SPELLED = {
    b"/": (
        *(b"/", rb"\/", rb"\\\/", b"%2F", b"%2f", b"%252F", b"%25252f", rb"\u002f", rb"\\u002F", rb"\x2f"),
        *(b"&#x2F;", b"&#x002f;", b"&#47;", b"&#0047;", b"&sol;"),
    ),
    b":": (b":", b"%3A", b"%3a", b"%253A", rb"\u003a", rb"\x3A", b"&#x3a;", b"&#58;", b"&colon;"),
}
ROWS = [(plain, text) for plain, texts in SPELLED.items() for text in texts]


@pytest.mark.parametrize(("plain", "text"), ROWS)
def test_every_spelling_is_matched_and_read(plain: bytes, text: bytes) -> None:
    pattern = SLASH if plain == b"/" else COLON
    assert re.fullmatch(rb"(?i:" + pattern + rb")", text)
    assert read(text + b"a") == plain + b"a"
    assert len(text) <= LONGEST


@pytest.mark.parametrize(("plain", "text"), ROWS)
def test_a_spelling_that_is_cut_off_is_left_out(plain: bytes, text: bytes) -> None:
    assert all(read(b"a" + text[:length]) == b"a" for length in range(1, len(text)))


@pytest.mark.parametrize("text", [rb"\n", b"% ", b"&amp;", b"&", b"2f", b"%2", rb"\u12f0", b"&#x2f "])
def test_other_escapes_are_no_slash(text: bytes) -> None:
    assert not re.fullmatch(rb"(?i:" + SLASH + rb")", text)


@pytest.mark.parametrize(
    ("slash", "colon", "text"),
    [
        (b"/", b":", b"a:1/b"),
        (rb"\/", b":", rb"a:1\/b"),
        (b"%2F", None, b"a%3A1%2Fb"),
        (b"%252F", None, b"a%253A1%252Fb"),
        (b"&#x2F;", None, b"a:1&#x2F;b"),
        (b"&sol;", b"&colon;", b"a&colon;1&sol;b"),
    ],
)
def test_a_text_is_spelled_like_its_surroundings(slash: bytes, colon: bytes | None, text: bytes) -> None:
    assert spell(b"a:1/b", slash=slash, colon=colon) == text


@given(st.binary(max_size=60))
def test_any_bytes_can_be_read(text: bytes) -> None:
    assert len(read(text)) <= len(text)
