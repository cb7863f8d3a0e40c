from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.credentials import Unreadable, needs_body, swap_body
from tests.switchboard.twinned import FIELD, NOTHING, TOKEN, rules_of

RULES = rules_of(TOKEN, FIELD)
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=B"
TWIN = rb'"sandbox \"json\""'

SWAPPED = {
    "a string": (b'{"auth": {"token": "S"}, "n": 1.10}', b'{"auth": {"token": %s}, "n": 1.10}' % TWIN),
    "a number": (b'{"auth":{"token":7}}', b'{"auth":{"token":%s}}' % TWIN),
    "a list": (b'{"auth":{"token":["S"]}}', b'{"auth":{"token":%s}}' % TWIN),
    "an escaped key": (rb'{"auth":{"\u0074oken":"S"}}', rb'{"auth":{"\u0074oken":%s}}' % TWIN),
    "an escaped value": (rb'{"auth":{"token":"\u0053\""}}', rb'{"auth":{"token":%s}}' % TWIN),
    "a doubled key": (b'{"auth":{"token":"S"},"auth":1}', b'{"auth":{"token":%s},"auth":1}' % TWIN),
    "null": (b'{"auth":{"token":null}}', b'{"auth":{"token":null}}'),
    "an empty one": (b'{"auth":{"token":""}}', b'{"auth":{"token":""}}'),
    "another place": (b'{"token":"S", "big": 123456789012345678901}', b'{"token":"S", "big": 123456789012345678901}'),
}


@pytest.mark.parametrize(("body", "sent"), SWAPPED.values(), ids=SWAPPED)
def test_json_gets_its_twin_and_keeps_every_other_byte(body: bytes, sent: bytes) -> None:
    found = swap_body(body, JSON, rules=RULES, learned={})
    assert found.body == sent
    assert found.swapped == (("json /auth/token",) if body != sent else ())


@pytest.mark.parametrize(
    "content_type",
    [
        *(b"application/json", b"Application/JSON; charset=UTF-8", b"application/vnd.api+json", b"text/json"),
        *(b"text/plain;charset=utf-8", b"", b"application/problem+json"),
    ],
)
def test_json_is_found_under_each_type_that_servers_take_for_it(content_type: bytes) -> None:
    assert needs_body([(b"Content-Type", content_type)], RULES)
    assert b"S" not in swap_body(b'{"auth":{"token":"S"}}', content_type, rules=RULES, learned={}).body


@pytest.mark.parametrize(
    "content_type", [b"image/png", b"application/octet-stream", b"multipart/related", b"text/html"]
)
def test_other_types_need_no_reading(content_type: bytes) -> None:
    assert not needs_body([(b"Content-Type", content_type)], RULES)
    assert swap_body(b'{"auth":{"token":"S"', content_type, rules=RULES, learned={}).body == b'{"auth":{"token":"S"'


def test_without_rules_nothing_is_read() -> None:
    assert not needs_body([(b"Content-Type", JSON)], NOTHING)
    assert swap_body(b"{", JSON, rules=NOTHING, learned={}).body == b"{"


REFUSED = {
    "cut off": (b'{"auth":{"token":"S', JSON),
    "lenient JSON": (b"{auth: {token: 'S'}}", JSON),
    "invalid UTF-8": (b'{"auth":{"token":"\xff"}}', JSON),
    "UTF-16": ('{"auth":{"token":"S"}}'.encode("utf-16-le"), JSON),
    "another charset": (b"{}", JSON + b'; charset="utf-16"'),
    "plain text that starts as JSON": ('{"auth":{"token":"S"}}'.encode("utf-16"), b"text/plain"),
    "gzip": (b"\x1f\x8b\x08\0", JSON),
    "a form with a NUL": (b"token=S\0", FORM),
    "a form in another charset": (b"token=S", FORM + b"; charset=utf-7"),
    "a form without end": (b"--B\r\n", MULTIPART),
    "a coded field": (
        b'--B\r\nContent-Disposition: form-data; name="token"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\nUw==\r\n--B--",
        MULTIPART,
    ),
}


@pytest.mark.parametrize(("body", "content_type"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_with_certainty_is_refused_without_repeating_it(body: bytes, content_type: bytes) -> None:
    with pytest.raises(Unreadable) as error:
        swap_body(body, content_type, rules=RULES, learned={})
    assert "S" not in str(error.value).replace("JSON", "")
    assert error.value.__cause__ is None


def test_text_that_is_no_json_passes() -> None:
    assert swap_body(b"hello \xff", b"text/plain", rules=RULES, learned={}).body == b"hello \xff"


def test_forms_of_both_kinds_get_their_twin() -> None:
    found = swap_body(b"a=\xff&%74oken=S&b", FORM, rules=RULES, learned={})
    assert found.body == b"a=\xff&token=sandbox%20form%26more&b"
    part = b'--B\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    body = part % (b"a", b"1") + part % (b"TOKEN", b"S") + b"--B--\r\n"
    found = swap_body(body, MULTIPART, rules=RULES, learned={})
    assert found.body == body.replace(b"S\r\n", b"sandbox form&more\r\n")
    assert found.swapped == ("form token",)


def test_a_twin_not_known_yet_leaves_nothing_in_its_place() -> None:
    rules = rules_of(TOKEN | {"twin": "learned"}, FIELD | {"twin": "learned", "learn": {"cookie": "s"}})
    assert swap_body(b'{"auth":{"token":"S"}}', JSON, rules=rules, learned={}).body == b'{"auth":{"token":null}}'
    assert swap_body(b"a=1&token=S", FORM, rules=rules, learned={}).body == b"a=1"
    known = {"json:/auth/token": "T", "form:token": "F"}
    assert swap_body(b'{"auth":{"token":"S"}}', JSON, rules=rules, learned=known).body == b'{"auth":{"token":"T"}}'


@given(st.binary(max_size=80), st.sampled_from([JSON, FORM, MULTIPART, b"text/plain", b"image/png"]))
def test_any_bytes_pass_unchanged_or_are_refused_or_have_a_twin(body: bytes, content_type: bytes) -> None:
    try:
        found = swap_body(body, content_type, rules=RULES, learned={})
    except Unreadable:
        return
    assert (found.body == body) == (not found.swapped)
