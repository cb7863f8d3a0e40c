from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.multipart import NotMultipart, split_form

TYPE = b"multipart/form-data; boundary=XyZ"


def form(*parts: str, end: str = "--XyZ--\r\n") -> bytes:
    return ("".join(f"--XyZ\r\n{part}\r\n" for part in parts) + end).encode()


def fields(body: bytes, content_type: bytes = TYPE) -> list[tuple[str, bytes]]:
    return [(part.name, body[part.start : part.end]) for part in split_form(body, content_type)]


NAMED = "Content-Disposition: form-data; name="

READ = {
    "quoted": (f'{NAMED}"token"\r\n\r\nS', [("token", b"S")]),
    "a bare word": (f"{NAMED}token\r\n\r\nS", [("token", b"S")]),
    "any case": ('content-disposition:form-data;NAME="token"\r\n\r\nS', [("token", b"S")]),
    "escaped": (f'{NAMED}"a\\"b%22"\r\n\r\nS', [('a"b"', b"S")]),
    "empty": (f'{NAMED}"token"\r\n\r\n', [("token", b"")]),
    "lines": (f'{NAMED}"f"; filename="a;b.txt"\r\nContent-Type: text/plain\r\n\r\na\r\n\nb', [("f", b"a\r\n\nb")]),
}


@pytest.mark.parametrize(("part", "found"), READ.values(), ids=READ)
def test_a_field_is_read(part: str, found: list[tuple[str, bytes]]) -> None:
    assert fields(form(part)) == found


GOOD = f'{NAMED}"a"\r\n\r\nS'

REFUSED = {
    "no closing boundary": (form(GOOD, end=""), TYPE),
    "nothing": (b"", TYPE),
    "text before": (b"x" + form(GOOD), TYPE),
    "text after": (form(GOOD) + b"x", TYPE),
    "a boundary within a line": (form(f'{NAMED}"a"\r\n\r\nx--XyZ'), TYPE),
    "a boundary after a bare line feed": (form(GOOD).replace(b"S\r\n", b"S\n"), TYPE),
    "a longer boundary": (form(GOOD).replace(b"--XyZ\r\n", b"--XyZZ\r\n"), TYPE),
    "a head with bare line feeds": (form(f'X: y\n{NAMED}"a"\r\n\r\nS'), TYPE),
    "no head": (form("\r\nS"), TYPE),
    "no end of the head": (form(f'{NAMED}"a"'), TYPE),
    "no name": (form("Content-Disposition: form-data\r\n\r\nS"), TYPE),
    "two names": (form(f'{NAMED}"a"; name="b"\r\n\r\nS'), TYPE),
    "a name in two codings": (form(f"{NAMED}\"a\"; name*=utf-8''b\r\n\r\nS"), TYPE),
    "two dispositions": (form(f'{NAMED}"a"\r\n{NAMED}"b"\r\n\r\nS'), TYPE),
    "no boundary told": (form(GOOD), b"multipart/form-data"),
    "two boundaries told": (form(GOOD), TYPE + b"; boundary=b"),
}


@pytest.mark.parametrize(("body", "content_type"), REFUSED.values(), ids=REFUSED)
def test_what_can_be_read_in_two_ways_is_refused(body: bytes, content_type: bytes) -> None:
    with pytest.raises(NotMultipart):
        split_form(body, content_type)


def test_a_field_in_another_coding_is_told() -> None:
    (part,) = split_form(form(f'{NAMED}"a"\r\nContent-Transfer-Encoding: base64\r\n\r\nUw=='), TYPE)
    assert part.coded


@given(st.binary(max_size=120))
def test_any_bytes_are_fields_or_refused(noise: bytes) -> None:
    for body in (noise, form(GOOD) + noise, b"--XyZ\r\n" + noise + b"\r\n--XyZ--"):
        try:
            found = split_form(body, TYPE)
        except NotMultipart:
            continue
        assert all(0 < part.start <= part.end <= len(body) for part in found)
