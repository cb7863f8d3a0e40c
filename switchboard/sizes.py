"""Sizes as people write them: `512KiB`, `8 MiB`, `1GiB`, or a plain number of bytes."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_SIZE = re.compile(r"([0-9]{1,9}) ?(B|KiB|MiB|GiB)")
_EXPECTED = "a size like '512KiB', '8MiB' or '1GiB'"


def parse_size(text: str) -> int:
    """Return the bytes of `512KiB`, `8 MiB`, `1GiB`; raises ValueError that says what was expected."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(_EXPECTED)
    return int(found[1]) * _UNITS[found[2]]


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise ValueError(_EXPECTED)
    return parse_size(value)


Bytes = Annotated[int, BeforeValidator(_size, json_schema_input_type=int | str), Field(ge=0)]
