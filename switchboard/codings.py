"""Content codings (RFC 9110 8.4.1) read piece by piece, with bounds against bombs.

Theory: a few bytes may stand for gigabytes, so nothing is ever unpacked further than one bounded piece at a time
before the bounds are looked at again. zlib has a limit of its own; brotli and zstd are fed slices so small that what
comes out of one is bounded: measured, 16 bytes of brotli give at most 32 MiB, 1 KiB of zstd at most 32 MiB.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

from switchboard.limits import Limits

GZIP, DEFLATE, BROTLI, ZSTD = "gzip", "deflate", "br", "zstd"
KNOWN = frozenset({GZIP, DEFLATE, BROTLI, ZSTD})

_PIECE = 256 * 1024
_LEAST_PIECE = 64 * 1024
_BROTLI_SLICE, _ZSTD_SLICE = 16, 1024
_ZSTD_WINDOW = 8 * 1024 * 1024  # RFC 9659 3: a larger one must not be used on the web
_MOST_CODINGS = 2
_MOST_REMEMBERED = 256
_ACCEPTED = frozenset({b"identity", *(name.encode() for name in KNOWN)})
# Small bodies may well be as repetitive as a bomb; they do no harm.
RATIO_FROM = 16 * 1024 * 1024


class Broken(ValueError):
    """A body is not what its coding says; `str()` is the reason."""


class Bomb(ValueError):
    """A body unpacks to more than is allowed; `str()` is the reason."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a body may unpack to: `decoded` bytes, and from 16 MiB on `ratio` times what came."""

    ratio: float
    decoded: int


class Decoder(Protocol):
    """Unpacks one coding. `is_complete`: the coding's own end has been seen."""

    is_complete: bool

    def feed(self, data: bytes) -> Iterator[bytes]: ...


def parse_codings(values: Iterable[bytes]) -> tuple[str, ...] | None:
    """Return the codings of Content-Encoding fields in the order they were applied; None: one is not known."""
    names = [name.strip().lower() for value in values for name in value.split(b",")]
    found = tuple(
        name.decode("ascii", "replace").removeprefix("x-") for name in names if name not in (b"", b"identity")
    )
    return found if KNOWN.issuperset(found) and len(found) <= _MOST_CODINGS else None


def known_only(accept_encoding: bytes) -> bytes:
    """Return an Accept-Encoding without the codings that cannot be rewritten; empty where none is left."""
    return (_known_only if len(accept_encoding) <= _MOST_REMEMBERED else _known_only.__wrapped__)(accept_encoding)


@lru_cache(64)  # clients send the same few all the time
def _known_only(accept_encoding: bytes) -> bytes:
    items = [item.strip() for item in accept_encoding.split(b",")]
    return b", ".join(item for item in items if item.partition(b";")[0].strip().lower() in _ACCEPTED)


class _Inflate:
    """gzip (RFC 1952, any number of members) and deflate (RFC 1950, or bare RFC 1951 as some servers send it)."""

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._start = b""
        self._inflater = zlib.decompressobj(31) if gzip else None
        self.is_complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data and not (self.is_complete and not self._begins_again(data)):
            if self._inflater is None:
                self._start = data = self._start + data
                if len(data) < 2:
                    return
                self._inflater = zlib.decompressobj(15 if _is_zlib(data) else -15)
            inflater = self._inflater
            piece = inflater.decompress(data, _PIECE)
            while piece:
                yield piece
                piece = inflater.decompress(inflater.unconsumed_tail, _PIECE) if len(piece) == _PIECE else b""
            self.is_complete = inflater.eof
            data = inflater.unused_data

    def _begins_again(self, data: bytes) -> bool:
        """Start on a further member; anything else after the end is ignored, as browsers do."""
        if not self._gzip or not data.startswith(b"\x1f"):
            return False
        self._inflater, self.is_complete = zlib.decompressobj(31), False
        return True


def _is_zlib(start: bytes) -> bool:
    return start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0  # RFC 1950 2.2


class _Brotli:
    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()
        self.is_complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        return _gathered(self._slices(data))

    def _slices(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _BROTLI_SLICE):
            if self.is_complete:
                return
            piece: bytes = self._decompressor.process(data[at : at + _BROTLI_SLICE])
            self.is_complete = self._decompressor.is_finished()
            yield piece


class _Zstd:
    """zstd (RFC 8878), any number of frames."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._decompressor = self._context.decompressobj()
        self.is_complete = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        return _gathered(self._slices(data))

    def _slices(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), _ZSTD_SLICE):
            rest = data[at : at + _ZSTD_SLICE]
            while rest:
                if self.is_complete:
                    self._decompressor = self._context.decompressobj()
                piece = self._decompressor.decompress(rest)
                self.is_complete, rest = self._decompressor.eof, self._decompressor.unused_data
                yield piece


def _gathered(slices: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what many small slices give in few pieces; a piece is no larger than one slice and a little."""
    gathered: list[bytes] = []
    size = 0
    for piece in slices:
        gathered.append(piece)
        size += len(piece)
        if size >= _LEAST_PIECE:
            yield b"".join(gathered)
            gathered, size = [], 0
    if size:
        yield b"".join(gathered)


def _decoder(coding: str) -> Decoder:
    if coding == BROTLI:
        return _Brotli()
    return _Zstd() if coding == ZSTD else _Inflate(gzip=coding == GZIP)


class Decoding:
    """Unpacks a body whose codings are given in the order they were applied."""

    def __init__(self, codings: tuple[str, ...], bounds: Bounds) -> None:
        self._name = ", ".join(codings)
        self._layers = [_decoder(coding) for coding in reversed(codings)]
        self._bounds = bounds
        self._taken = 0
        self._given = [0] * len(codings)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what a chunk unpacks to, in pieces; raises Broken and Bomb."""
        self._taken += len(data)
        try:
            yield from self._unpack(data, 0)
        except (zlib.error, brotli.error, zstandard.ZstdError) as error:
            raise Broken(f"broken {self._name}") from error

    @property
    def is_complete(self) -> bool:
        """Whether every coding has come to its end."""
        return all(layer.is_complete for layer in self._layers)

    def _unpack(self, data: bytes, depth: int) -> Iterator[bytes]:
        for piece in self._layers[depth].feed(data):
            self._given[depth] += len(piece)
            self._check(self._given[depth])
            if depth + 1 < len(self._layers):
                yield from self._unpack(piece, depth + 1)
            else:
                yield piece

    def _check(self, given: int) -> None:
        if given > self._bounds.decoded:
            raise Bomb(f"{self._name} unpacks to more than {self._bounds.decoded} bytes")
        if given > RATIO_FROM and given > self._bounds.ratio * self._taken:
            raise Bomb(f"{self._name} unpacks to more than {self._bounds.ratio:g} times its size")


def unpack(body: bytes, coded: list[bytes], *, limits: Limits) -> bytes:
    """Return a whole body without the codings of its Content-Encoding fields; raises Broken or Bomb."""
    codings = parse_codings(coded) if coded else ()
    if codings is None:
        raise Broken("content coding is not known")
    if not codings:
        return body
    decoding = Decoding(codings, Bounds(limits.ratio, limits.body))
    plain = b"".join(decoding.feed(body))
    if not decoding.is_complete:
        raise Broken("body is cut short")
    return plain
