from __future__ import annotations

import asyncio
from itertools import pairwise
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.books import Books
from sandbox.side import Side
from sandbox.tap import Sieve, Taps


class Heard(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data


class HeardInBuffers(asyncio.BufferedProtocol):
    """Takes three bytes at a time."""

    def __init__(self) -> None:
        self.data = b""
        self._buffer = bytearray(3)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self._buffer[:nbytes]


def pieces(text: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(text) + 1) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(places)]


@given(before=st.binary(max_size=20), after=st.binary(max_size=20), cuts=st.lists(st.integers(0, 60)))
def test_a_needle_is_found_once_however_the_bytes_are_cut(before: bytes, after: bytes, cuts: list[int]) -> None:
    text = before + b"NEEDLE" + after
    books = Books(Side.PROD)
    books.watch(b"NEEDLE", b"a much longer needle")
    above = Heard()
    sieve = Sieve(above, books)
    for piece in pieces(text, cuts):
        sieve.data_received(piece)
    assert books.found[b"NEEDLE"] == 1
    assert above.data == text


@pytest.mark.parametrize("above", [Heard(), HeardInBuffers()], ids=["plain", "buffered"])
def test_every_byte_is_counted_and_handed_on(above: Heard | HeardInBuffers) -> None:
    books = Books(Side.PROD)
    sieve = Sieve(above, books)
    sieve.data_received(b"0123456789")
    assert above.data == b"0123456789"


def test_a_tap_counts_connection_and_bytes_and_can_be_aborted() -> None:
    books = Books(Side.PROD)
    taps = Taps(books)
    tap = taps.under(Heard)()
    transport = Mock(spec=asyncio.Transport)
    transport.get_extra_info.return_value = ("127.0.0.7", 1234)
    tap.connection_made(transport)
    tap.data_received(b"GET")
    assert (books.connections, books.bytes, books.peers) == (1, 3, {"127.0.0.7": 1})
    taps.abort()
    transport.abort.assert_called_once_with()


def test_a_lost_connection_is_not_aborted_again() -> None:
    taps = Taps(Books(Side.PROD))
    tap = taps.under(Heard)()
    transport = Mock(spec=asyncio.Transport)
    transport.get_extra_info.return_value = None
    tap.connection_made(transport)
    tap.connection_lost(None)
    taps.abort()
    transport.abort.assert_not_called()
