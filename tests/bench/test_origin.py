from __future__ import annotations

import pytest

from bench.origin import answer_to, marker


@pytest.mark.parametrize(
    ("head", "word"),
    [
        pytest.param(b"GET /sandbox/profile/1 HTTP/1.1\r\nHost: s", "clean", id="as it must be"),
        pytest.param(b"GET /profile/1 HTTP/1.1\r\nHost: s", "astray", id="path not moved"),
        pytest.param(b"GET /sandbox/profile/1 HTTP/1.1\r\nHost: s\r\nCOOKIE: a=b", "dirty", id="cookie"),
        pytest.param(b"GET /sandbox/profile/1 HTTP/1.1\r\nauthorization: Bearer x", "dirty", id="authorization"),
    ],
)
def test_the_origin_tells_how_a_request_came(head: bytes, word: str) -> None:
    top, _, body = answer_to(head).partition(b"\r\n\r\n")
    assert top.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Length: %d\r\n" % len(body) in top
    assert body.startswith(marker(word))
