from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.errors import Unavailable
from switchboard.seal import KEY_BYTES, Broken, Seal, load_key

SEAL = Seal(b"k" * KEY_BYTES)


@given(st.binary(), st.binary())
def test_what_is_sealed_is_opened_in_its_place(data: bytes, place: bytes) -> None:
    sealed = SEAL.close(data, place=place)
    assert SEAL.open(sealed, place=place) == data
    assert SEAL.close(data, place=place) != sealed
    assert len(data) < 4 or data not in sealed


@given(st.binary(max_size=60))
def test_what_was_not_sealed_here_is_not_opened(rubbish: bytes) -> None:
    with pytest.raises(Broken):
        SEAL.open(rubbish, place=b"p")


def test_neither_another_place_nor_another_key_opens() -> None:
    sealed = SEAL.close(b"data", place=b"drill-1 key")
    with pytest.raises(Broken):
        SEAL.open(sealed, place=b"drill-2 key")
    with pytest.raises(Broken):
        Seal(b"l" * KEY_BYTES).open(sealed, place=b"drill-1 key")
    with pytest.raises(ValueError, match="32 bytes"):
        Seal(b"short")


def test_all_who_ask_for_a_key_at_once_get_the_same(tmp_path: Path) -> None:
    path, found = tmp_path / "keys" / "pockets", set[bytes]()
    threads = [threading.Thread(target=lambda: found.add(load_key(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 1
    assert len(found.pop()) == KEY_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["pockets"]


def test_a_key_that_is_none_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"short")
    with pytest.raises(Unavailable, match="end all drills, then delete this file"):
        load_key(path)
    with pytest.raises(Unavailable, match="cannot be used"):
        load_key(path / "below-a-file")
