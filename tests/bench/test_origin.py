from __future__ import annotations

import pytest

from bench.estates import BEARER, KEY, SESSION
from bench.origin import answer_to, marker

TOP = b"GET /sandbox/profile/1 HTTP/1.1\r\nHost: s\r\n"


@pytest.mark.parametrize(
    ("head", "word"),
    [
        pytest.param(b"GET /sandbox/profile/1 HTTP/1.1\r\nHost: s", "clean", id="as it must be"),
        pytest.param(b"GET /profile/1 HTTP/1.1\r\nHost: s", "astray", id="path not moved"),
        pytest.param(TOP + b"Cookie: session=sandbox", "clean", id="a cookie of the sandbox"),
        pytest.param(TOP + b"COOKIE: session=" + SESSION.encode(), "dirty", id="production's cookie"),
        pytest.param(TOP + b"authorization: Bearer " + BEARER.encode(), "dirty", id="production's token"),
        pytest.param(b"GET /sandbox/profile/1?k=" + KEY.encode() + b" HTTP/1.1", "dirty", id="production's key"),
        pytest.param(TOP + b"Authorization: Bearer sandbox-bearer\r\nX: sandbox-key", "twinned", id="twins"),
        pytest.param(TOP + b"Authorization: Bearer sandbox-bearer", "clean", id="one twin only"),
    ],
)
def test_the_origin_tells_how_a_request_came(head: bytes, word: str) -> None:
    top, _, body = answer_to(head).partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Length: %d\r\n" % len(body) in top
    assert body.startswith(marker(word))
