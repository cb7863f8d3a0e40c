from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.headers import screen
from switchboard.twins import MOST_CHARACTERS, fold, in_field, in_subprotocol, is_prefix, twin_flaw

REFUSED = {
    "nothing": ("", "header", "", "empty"),
    "a line break after it": ("a\n", "header", "", "white space"),
    "a header after it": ("a\r\nX-Admin: 1", "header", "", "control"),
    "a NUL": ("a\0b", "json", "", "control"),
    "a tab": ("a\tb", "header", "", "control"),
    "a C1 control": ("a\x85b", "cookie", "", "control"),
    "a lone surrogate": ("a\ud800b", "form", "", "control"),
    "more than latin-1 in a header": ("a\u0161b", "header", "", "no header carries"),
    "more than latin-1 in a cookie": ("a\u0161b", "cookie", "", "no header carries"),
    "a cookie after it": ("a; role=admin", "cookie", "", "semicolon"),
    "no password": ("root", "basic", "", "user:password"),
    "no base64": ("a b", "metadata", "x-bin", "base64"),
    "a second subprotocol": ("a, b", "websocket", "bearer.", "subprotocol"),
    "far too much": ("a" * (MOST_CHARACTERS + 1), "json", "", "longer"),
}


@pytest.mark.parametrize(("text", "place", "name", "flaw"), REFUSED.values(), ids=REFUSED)
def test_what_could_end_a_field_or_stand_for_more_is_refused(text: str, place: str, name: str, flaw: str) -> None:
    found = twin_flaw(text, place=place, name=name)
    assert found is not None
    assert flaw in found
    assert len(text) < 4 or text not in found


@pytest.mark.parametrize(
    ("text", "place", "name"),
    [
        ("caf\xe9", "header", "X"),
        ("\u0161", "json", ""),
        ("\u0161", "query", "q"),
        ('"a,b"', "cookie", "s"),
        ("u:p:q", "basic", ""),
        ("AA==", "metadata", "X_BIN"),
        ("a b", "websocket", ""),
        ("a b", "websocket", "base64url.bearer."),
    ],
)
def test_what_its_place_carries_is_accepted(text: str, place: str, name: str) -> None:
    assert twin_flaw(text, place=place, name=name) is None


@given(st.text(max_size=30), st.sampled_from(["header", "metadata", "basic"]))
def test_a_twin_without_flaw_is_a_header_value(text: str, place: str) -> None:
    if twin_flaw(text, place=place) is None:
        value = in_field(text, place=place, scheme=None).encode("latin-1")
        assert screen([(b"X", value)]) is None


def test_a_twin_is_written_with_its_scheme() -> None:
    assert in_field("t", place="header", scheme="Bearer") == "Bearer t"
    assert in_field("t", place="header", scheme=None) == "t"
    assert in_field("u:p", place="basic", scheme="Basic") == "Basic dTpw"


def test_a_subprotocol_says_itself_how_its_token_is_coded() -> None:
    assert in_subprotocol("a b", "base64url.bearer.authorization.k8s.io.") == "YSBi"
    assert in_subprotocol("ab", "bearer.") == "ab"
    assert is_prefix("bearer.")
    assert not is_prefix("access_token")


def test_names_are_compared_as_the_most_lenient_server_does() -> None:
    assert fold("X_Api-KEY") == fold("x-api_key") == "x-api-key"
