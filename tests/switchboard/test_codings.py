from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Callable, Iterator

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from switchboard.codings import RATIO_FROM, Bomb, Bounds, Broken, Decoding, known_only, parse_codings

BOUNDS = Bounds(ratio=200, decoded=1 << 30)
TEXT = b"".join(b'{"id": %d, "name": "Jane Doe"}\n' % number for number in range(40_000))


def bare_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    return deflater.compress(data) + deflater.flush()


PACKED: dict[str, tuple[tuple[str, ...], Callable[[bytes], bytes]]] = {
    "gzip": (("gzip",), gzip.compress),
    "gzip, two members": (("gzip",), lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:])),
    "gzip, zeros at the end": (("gzip",), lambda data: gzip.compress(data) + bytes(512)),
    "deflate": (("deflate",), zlib.compress),
    "deflate without its wrapper": (("deflate",), bare_deflate),
    "br": (("br",), lambda data: brotli.compress(data, quality=5)),
    "zstd": (("zstd",), zstandard.compress),
    "zstd, two frames": (("zstd",), lambda data: zstandard.compress(data[:9]) + zstandard.compress(data[9:])),
    "gzip, then br": (("gzip", "br"), lambda data: brotli.compress(gzip.compress(data))),
}


def in_chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def unpacked(packed: bytes, codings: tuple[str, ...], *, size: int = 65536) -> tuple[bytes, bool]:
    decoding = Decoding(codings, BOUNDS)
    pieces = [piece for chunk in in_chunks(packed, size) for piece in decoding.feed(chunk)]
    return b"".join(pieces), decoding.is_complete


@pytest.mark.parametrize(("codings", "pack"), PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_a_coded_body_is_unpacked_whatever_its_chunks(
    codings: tuple[str, ...], pack: Callable[[bytes], bytes], size: int
) -> None:
    assert unpacked(pack(TEXT), codings, size=size) == (TEXT, True)


@pytest.mark.parametrize(("codings", "pack"), PACKED.values(), ids=PACKED)
def test_a_body_cut_short_gives_what_there_is_and_is_not_complete(
    codings: tuple[str, ...], pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(TEXT).rstrip(b"\0")
    text, is_complete = unpacked(packed[: len(packed) * 3 // 4], codings)
    assert TEXT.startswith(text)
    assert not is_complete


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_that_is_not_in_its_coding_is_broken(coding: str) -> None:
    with pytest.raises(Broken, match=f"broken {coding}"):
        unpacked(b"<!doctype html><p>not packed at all, whatever the fields say</p>" * 9, (coding,))


def test_a_checksum_that_does_not_fit_is_broken() -> None:
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    with pytest.raises(Broken, match="broken gzip"):
        unpacked(bytes(packed), ("gzip",))


def zeros(size: int) -> Iterator[bytes]:
    return (bytes(1 << 20) for _ in range(size >> 20))


def gzip_bomb(size: int) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(map(deflater.compress, zeros(size))) + deflater.flush()


def brotli_bomb(size: int) -> bytes:
    compressor = brotli.Compressor(quality=9, lgwin=24)
    return b"".join(map(compressor.process, zeros(size))) + bytes(compressor.finish())


def zstd_bomb(size: int) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    return b"".join(map(compressor.compress, zeros(size))) + compressor.flush()


BOMBS: dict[str, tuple[tuple[str, ...], Callable[[int], bytes]]] = {
    "gzip": (("gzip",), gzip_bomb),
    "br": (("br",), brotli_bomb),
    "zstd": (("zstd",), zstd_bomb),
    "gzip in gzip": (("gzip", "gzip"), lambda size: gzip.compress(gzip_bomb(size))),
}


@pytest.mark.parametrize(("codings", "make"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_noticed_before_much_of_it_is_unpacked(
    codings: tuple[str, ...], make: Callable[[int], bytes]
) -> None:
    sizes: list[int] = []
    decoding = Decoding(codings, BOUNDS)
    pieces = (piece for chunk in in_chunks(make(256 << 20), 65536) for piece in decoding.feed(chunk))
    with pytest.raises(Bomb, match="unpacks to more than 200 times its size"):
        sizes.extend(map(len, pieces))
    assert sum(sizes) <= RATIO_FROM + (32 << 20)
    assert max(sizes, default=0) <= 32 << 20


@pytest.mark.parametrize(("codings", "make"), BOMBS.values(), ids=BOMBS)
def test_a_body_above_the_size_is_a_bomb_whatever_its_ratio(
    codings: tuple[str, ...], make: Callable[[int], bytes]
) -> None:
    decoding = Decoding(codings, Bounds(ratio=1e9, decoded=1 << 20))
    with pytest.raises(Bomb, match="unpacks to more than 1048576 bytes"):
        list(decoding.feed(make(64 << 20)))


def test_a_small_body_may_be_as_repetitive_as_it_likes() -> None:
    packed = gzip_bomb(RATIO_FROM)
    assert sum(map(len, Decoding(("gzip",), BOUNDS).feed(packed))) == RATIO_FROM


def test_a_window_larger_than_the_web_allows_is_broken() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=25, write_content_size=False)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(Broken, match="broken zstd"):
        unpacked(compressor.compress(TEXT) + compressor.flush(), ("zstd",))


@pytest.mark.parametrize(
    ("values", "codings"),
    [
        ([], ()),
        ([b"gzip"], ("gzip",)),
        ([b"X-GZIP"], ("gzip",)),
        ([b"identity"], ()),
        ([b""], ()),
        ([b"gzip, br"], ("gzip", "br")),
        ([b"deflate", b"zstd"], ("deflate", "zstd")),
        ([b"gzip,gzip,gzip"], None),
        ([b"aws-chunked"], None),
        ([b"dcb"], None),
        ([b"gzip, \xff"], None),
    ],
)
def test_content_encoding_is_read_in_the_order_of_application(
    values: list[bytes], codings: tuple[str, ...] | None
) -> None:
    assert parse_codings(values) == codings


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        (b"gzip, deflate, br, zstd", b"gzip, deflate, br, zstd"),
        (b"gzip, br;q=0.9, dcb, dcz", b"gzip, br;q=0.9"),
        (b"identity;q=1, *;q=0", b"identity;q=1"),
        (b"*", b""),
        (b"", b""),
    ],
)
def test_only_codings_that_can_be_rewritten_are_asked_of_a_sandbox(asked: bytes, kept: bytes) -> None:
    assert known_only(asked) == kept


@given(st.sampled_from(["gzip", "deflate", "br", "zstd"]), st.binary(max_size=400))
def test_any_bytes_unpack_or_are_broken(coding: str, data: bytes) -> None:
    with contextlib.suppress(Broken):
        unpacked(data, (coding,), size=50)
