from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.fingerprint import fingerprint

KEY = b"k" * 16


@given(st.text(), st.text())
def test_a_fingerprint_tells_credentials_apart_and_does_not_show_them(one: str, other: str) -> None:
    found = fingerprint(one, key=KEY)
    assert len(found) == 16
    assert (found == fingerprint(other, key=KEY)) == (one == other)


def test_a_fingerprint_is_of_use_only_with_its_key() -> None:
    assert fingerprint("a", key=KEY) != fingerprint("a", key=b"l" * 16)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        fingerprint("a", key=b"")
