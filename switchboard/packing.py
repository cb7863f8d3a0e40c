"""Content codings written piece by piece: what `codings` has unpacked is packed again for the client."""

from __future__ import annotations

import zlib
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

from switchboard.codings import BROTLI, GZIP, ZSTD

# Fast levels: the way to a client is short, and an answer must not wait for its packing.
_GZIP_LEVEL, _BROTLI_QUALITY, _ZSTD_LEVEL = 1, 1, 1


class Encoder(Protocol):
    def encode(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...
    def finish(self) -> bytes: ...


class _Deflate:
    def __init__(self, *, gzip: bool) -> None:
        self._deflater = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31 if gzip else 15)

    def encode(self, data: bytes) -> bytes:
        return self._deflater.compress(data)

    def flush(self) -> bytes:
        return self._deflater.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._deflater.flush()


class _BrotliEncoder:
    def __init__(self) -> None:
        self._compressor = brotli.Compressor(quality=_BROTLI_QUALITY)

    def encode(self, data: bytes) -> bytes:
        return bytes(self._compressor.process(data))

    def flush(self) -> bytes:
        return bytes(self._compressor.flush())

    def finish(self) -> bytes:
        return bytes(self._compressor.finish())


class _ZstdEncoder:
    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()

    def encode(self, data: bytes) -> bytes:
        return self._compressor.compress(data)

    def flush(self) -> bytes:
        return self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    def finish(self) -> bytes:
        return self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_FINISH)


def _encoder(coding: str) -> Encoder:
    if coding == BROTLI:
        return _BrotliEncoder()
    return _ZstdEncoder() if coding == ZSTD else _Deflate(gzip=coding == GZIP)


class Encoding:
    """Packs a body again with the codings given, in this order."""

    def __init__(self, codings: tuple[str, ...]) -> None:
        self._layers = [_encoder(coding) for coding in codings]

    def encode(self, data: bytes) -> bytes:
        for layer in self._layers:
            data = layer.encode(data)
        return data

    def flush(self) -> bytes:
        """Return what is still inside, so that the client sees all that was encoded."""
        data = b""
        for layer in self._layers:
            data = layer.encode(data) + layer.flush()
        return data

    def finish(self) -> bytes:
        data = b""
        for layer in self._layers:
            data = layer.encode(data) + layer.finish()
        return data
