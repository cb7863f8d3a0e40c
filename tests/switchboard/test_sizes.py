from __future__ import annotations

import pytest

from switchboard.sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"), [("0B", 0), ("512B", 512), ("64KiB", 65536), ("8 MiB", 8388608), ("1GiB", 1073741824)]
)
def test_a_size_is_read_in_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "8", "MiB", "-1B", "8 MB", "8mib", "1.5GiB", "8  MiB", "9999999999B", "٣B"])
def test_what_is_no_size_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="a size like"):
        parse_size(text)
