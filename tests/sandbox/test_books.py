from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import books as module
from sandbox.books import Books
from sandbox.side import Side


def enter(books: Books, *fields: tuple[str, str], target: str = "/") -> None:
    books.enter(method="GET", host="www.cms.example", target=target, service="portal", headers=fields)


def test_new_books_are_silent_until_somebody_connects() -> None:
    books = Books(Side.PROD)
    assert books.silent
    books.connected("127.0.0.9")
    assert not books.silent
    assert books.peers == {"127.0.0.9": 1}


CARRIED = {
    "authorization, whole": (("Authorization", "Bearer s3cret"), "Bearer s3cret"),
    "authorization, without scheme": (("authorization", "Bearer s3cret"), "s3cret"),
    "cookie among others": (("Cookie", 'a=1; session="s3cret"; b=2'), "s3cret"),
    "own header": (("X-Api-Key", "s3cret"), "s3cret"),
    "token header": (("X-CSRF-Token", "s3cret"), "s3cret"),
    "session header": (("X-Session", "s3cret"), "s3cret"),
}


@pytest.mark.parametrize("case", CARRIED)
def test_a_credential_is_recognised_where_requests_carry_one(case: str) -> None:
    field, secret = CARRIED[case]
    books = Books(Side.SANDBOX)
    enter(books, field)
    assert books.saw(secret)
    assert not books.saw("another")


def test_a_credential_in_the_query_is_recognised_and_not_kept() -> None:
    books = Books(Side.SANDBOX)
    enter(books, target="/plans?api_key=s3cret&page=2")
    assert books.saw("s3cret")
    assert not books.saw("2")
    assert books.last[0].path == "/plans"


def test_ordinary_headers_are_no_credentials() -> None:
    books = Books(Side.SANDBOX)
    enter(books, ("User-Agent", "curl"), ("Accept", "*/*"), ("X-Monkey", "banana"))
    assert not books.credentials


def test_nothing_secret_is_in_the_summary_and_fingerprints_differ_between_books() -> None:
    one, other = Books(Side.PROD, keep_headers=True), Books(Side.PROD)
    for books in (one, other):
        enter(books, ("Authorization", "Bearer s3cret"))
    assert "s3cret" not in json.dumps(one.summary())
    assert one.last[0].headers == (("Authorization", "Bearer s3cret"),)
    assert one.fingerprint("s3cret") != other.fingerprint("s3cret")


def test_full_books_refuse_to_say_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FINGERPRINTS", 2)
    books = Books(Side.PROD)
    for number in range(4):
        enter(books, ("X-Token", f"secret-{number}"))
    assert books.saw("secret-0")
    with pytest.raises(OverflowError, match="the books are full"):
        books.saw("secret-3")
    assert books.summary()["credentials_full"]


def test_figures_by_key_are_bounded_and_lose_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEYS", 2)
    books = Books(Side.PROD)
    for number in range(5):
        books.connected(f"127.0.0.{number}")
    assert books.peers == {"127.0.0.0": 1, "127.0.0.1": 1, module.OTHERS: 3}


def test_an_empty_needle_is_refused() -> None:
    with pytest.raises(ValueError, match="empty needle"):
        Books(Side.PROD).watch(b"")


@given(name=st.text(), value=st.text(), target=st.text())
def test_any_header_and_target_can_be_entered_and_shown(name: str, value: str, target: str) -> None:
    books = Books(Side.PROD)
    enter(books, (name, value), target=target)
    assert books.requests == 1
    assert books.summary()["last"]
