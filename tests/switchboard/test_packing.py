from __future__ import annotations

import pytest

from switchboard.codings import Bounds, Decoding
from switchboard.packing import Encoding

BOUNDS = Bounds(ratio=200, decoded=1 << 30)
TEXT = b"".join(b'{"id": %d, "name": "Jane Doe"}\n' % number for number in range(100))


@pytest.mark.parametrize("codings", [("gzip",), ("deflate",), ("br",), ("zstd",), ("gzip", "br")], ids=", ".join)
def test_what_is_packed_unpacks_again_and_each_flush_shows_all_so_far(codings: tuple[str, ...]) -> None:
    encoding, decoding = Encoding(codings), Decoding(codings, BOUNDS)
    seen = b""
    for number in range(20):
        packed = encoding.encode(TEXT[number * 100 : number * 100 + 100]) + encoding.flush()
        seen += b"".join(decoding.feed(packed))
        assert seen == TEXT[: number * 100 + 100]
    assert b"".join(decoding.feed(encoding.finish())) == b""
    assert decoding.is_complete
