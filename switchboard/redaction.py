"""Takes credentials out of what is shown or kept of a body: by the name they stand under, and by how they look.

This is for reading (outbox, templates of mocks), not what keeps credentials from crossing: it removes rather too much.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

REMOVED = "(removed)"
_MOST_DEPTH = 64

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = (
    r"pass(?:word|wd|phrase|code)?|pwd|pin|secret|token|jwt|otp|cv[vc]2?|(?:api|access|private|secret|client)[_-]?key"
    r"|auth|authorization|session(?:[_-]?id)?|sid|credentials?|signature|sig|assertion|samlresponse|cookie|csrf|xsrf"
)
_NAME = re.compile(rf"(?:^|[^a-z])(?:{_WORDS})(?:$|[^a-z])")
# In text of no known form: `password: x`, `"token"="x"`, `<pin>x</pin>`.
_PAIR = re.compile(rf"((?<![a-z])(?:[a-z]+[_-])?(?:{_WORDS})[\"']?\s*(?:[:=]|>)\s*[\"']?)[^\s\"'&;,<]+", re.IGNORECASE)
# A scheme with its value (RFC 9110 11.6.2), a JWT (RFC 7519).
_VALUE = re.compile(
    r"\b(?:bearer|basic|digest|negotiate)\s+[\w.~+/=-]{6,}|\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)?", re.IGNORECASE
)


def is_secret_name(name: str, more: frozenset[str] = frozenset()) -> bool:
    """Return whether a field of this name is taken for a credential; `more` are further names in lower case."""
    return name.lower() in more or _NAME.search(_CAMEL.sub("_", name).lower()) is not None


def clean_value(text: str) -> str:
    """Return a value without the credentials that show by their look."""
    return _VALUE.sub(REMOVED, text)


def clean_text(text: str) -> str:
    """Return free text without credentials, those that stand behind their name included."""
    return _PAIR.sub(rf"\g<1>{REMOVED}", clean_value(text))


def clean_pairs(pairs: Iterable[tuple[str, str]], more: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """Return names and values of a form or query without credentials."""
    return [(name, REMOVED if is_secret_name(name, more) else clean_value(value)) for name, value in pairs]


def clean_json(value: Any, more: frozenset[str] = frozenset(), *, depth: int = 0) -> Any:
    """Return a JSON value without credentials; what is nested deeper than 64 levels is left out."""
    if depth >= _MOST_DEPTH:
        return REMOVED
    if isinstance(value, dict):
        return {
            name: REMOVED if is_secret_name(name, more) else clean_json(inner, more, depth=depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [clean_json(inner, more, depth=depth + 1) for inner in value]
    return clean_value(value) if isinstance(value, str) else value
