from __future__ import annotations

from typing import Any

import pytest

from switchboard.credentials import learn, needs_answer
from tests.switchboard.twinned import API_KEY, BASIC, BEARER, METADATA, NOTHING, SESSION, TOKEN, rules_of

LEARNED = {"twin": "learned"}
POINTER = LEARNED | {"learn": {"pointer": "/access_token"}}
JSON = (b"Content-Type", b"application/json")

ISSUED = {
    "a cookie": (SESSION, [(b"Set-Cookie", b"session=T; Path=/; HttpOnly")], None, "T"),
    "the last of two": (SESSION, [(b"set-cookie", b"session=A"), (b"set-cookie", b"session=T")], None, "T"),
    "a cookie with a long life": (SESSION, [(b"Set-Cookie", b"session=T; Max-Age=3600")], None, "T"),
    "a deleted cookie": (SESSION, [(b"Set-Cookie", b"session=x; Max-Age=0")], None, ""),
    "a cookie of the past": (SESSION, [(b"Set-Cookie", b"session=x; expires=Thu, 01 Jan 1970 00:00:00 GMT")], None, ""),
    "an empty cookie": (SESSION, [(b"Set-Cookie", b"session=")], None, ""),
    "another cookie": (SESSION, [(b"Set-Cookie", b"theme=T")], None, None),
    "a header": (BEARER | LEARNED, [(b"authorization", b"Bearer T")], None, "T"),
    "a header without scheme": (BEARER | LEARNED, [(b"Authorization", b"T")], None, "T"),
    "metadata": (METADATA | LEARNED, [(b"x-ticket-bin", b"VA==")], None, "VA=="),
    "another header": (BEARER | LEARNED | {"learn": {"header": "X_Issued"}}, [(b"X-Issued", b"T")], None, "T"),
    "a pointer": (BEARER | POINTER, [JSON], b'{"access_token": "T"}', "T"),
    "a query's": (API_KEY | POINTER, [JSON], b'{"Access-Token": "T"}', "T"),
    "the same pointer": (TOKEN | LEARNED, [JSON], b'{"auth": {"token": "T"}}', "T"),
    "an index": (API_KEY | LEARNED | {"learn": {"pointer": "/0/t"}}, [JSON], b'[{"t": "T"}]', "T"),
    "a login": (BASIC | LEARNED | {"learn": {"pointer": "/login"}}, [JSON], b'{"login": "u:p"}', "u:p"),
    "no login": (BASIC | LEARNED | {"learn": {"pointer": "/login"}}, [JSON], b'{"login": "u"}', None),
    "no text": (BEARER | POINTER, [JSON], b'{"access_token": 7}', None),
    "no such pointer": (BEARER | POINTER, [JSON], b'["access_token"]', None),
    "a broken body": (BEARER | POINTER, [JSON], b'{"access_token": "T"', None),
    "no body": (BEARER | POINTER, [JSON], None, None),
    "another type": (BEARER | POINTER, [(b"Content-Type", b"text/html")], b'{"access_token": "T"}', None),
    "a line break": (BEARER | POINTER, [JSON], rb'{"access_token": "T\r\nX-Admin: 1"}', None),
    "a character no header carries": (BEARER | POINTER, [JSON], '{"access_token": "\u0161"}'.encode(), None),
    "an empty text": (BEARER | POINTER, [JSON], b'{"access_token": ""}', None),
}


@pytest.mark.parametrize(("credential", "fields", "body", "found"), ISSUED.values(), ids=ISSUED)
def test_an_answer_teaches_what_it_issues(
    credential: dict[str, Any], fields: list[tuple[bytes, bytes]], body: bytes | None, found: str | None
) -> None:
    rules = rules_of(credential)
    (rule,) = rules.learners
    assert learn(fields, body, rules=rules) == ({} if found is None else {rule.key: found})


def test_only_answers_that_may_teach_are_read() -> None:
    rules = rules_of(BEARER | POINTER)
    assert needs_answer([JSON], rules)
    assert not needs_answer([(b"Content-Type", b"text/html")], rules)
    assert not needs_answer([JSON], rules_of(SESSION))
    assert learn([(b"Set-Cookie", b"session=T")], None, rules=NOTHING) == {}
