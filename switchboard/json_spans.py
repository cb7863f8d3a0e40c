"""Where in a JSON text the values of some pointers stand, so that they can be replaced byte by byte.

Theory: parsing and writing a body anew would change numbers, spacing and the order of things that somebody has
signed, and would drop doubled keys that another parser reads. So a body is checked by a strict parser, then
walked: along the wanted pointers only, everything else is skipped by one regular expression from bracket to
bracket. Every one of doubled keys is found. Keys are compared as the most lenient servers do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import orjson

from switchboard.twins import fold

LeafT = TypeVar("LeafT")
Pointer = tuple[str, ...]

_BOM = b"\xef\xbb\xbf"
_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRING = re.compile(_STRING_TEXT, re.DOTALL)


def _to_bracket(levels: int) -> re.Pattern[bytes]:
    """Match up to the next bracket, over whole values that nest no deeper than `levels`; never backtracks."""
    inside = rb'[^\[\]{}"]++|' + _STRING_TEXT
    flat = inside
    for _ in range(levels):
        inside = flat + rb"|[\[{](?:" + inside + rb")*+[\]}]"
    return re.compile(rb"(?:" + inside + rb")*+([\[\]{}])", re.DOTALL)


_TO_BRACKET = _to_bracket(3)
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]+")
_POINTER = re.compile(r"(?:/(?:[^~]|~[01])*)+", re.DOTALL)


class NotJson(ValueError):
    """The text is not JSON in UTF-8. Says nothing of what stood there."""


@dataclass(frozen=True, slots=True)
class Node(Generic[LeafT]):
    """A step along wanted pointers. `leaf`: the value here is wanted whole. `other`: asked for keys not in `steps`."""

    steps: Mapping[str, Node[LeafT]] = field(default_factory=dict)
    leaf: LeafT | None = None
    other: Callable[[str], LeafT | None] | None = None

    def step(self, key: str) -> Node[LeafT] | None:
        found = self.steps.get(fold(key))
        if found is None and self.other is not None and (leaf := self.other(key)) is not None:
            return Node(leaf=leaf)
        return found


@dataclass(frozen=True, slots=True)
class Span(Generic[LeafT]):
    """A wanted value: from `start` up to `end` of the text."""

    start: int
    end: int
    leaf: LeafT


def is_pointer(text: str) -> bool:
    """Return whether `text` is a JSON pointer (RFC 6901) to something inside a document."""
    return _POINTER.fullmatch(text) is not None


def parse_pointer(text: str) -> Pointer:
    """Return the steps of a JSON pointer, folded for comparing; raises ValueError."""
    if not is_pointer(text):
        raise ValueError("not a JSON pointer like '/auth/token'")
    return tuple(fold(step.replace("~1", "/").replace("~0", "~")) for step in text[1:].split("/"))


def wanted(leaves: Mapping[Pointer, LeafT]) -> Node[LeafT]:
    """Return the root of what leads to these pointers; below a leaf nothing more is looked for."""
    if () in leaves:
        return Node(leaf=leaves[()])
    below: dict[str, dict[Pointer, LeafT]] = {}
    for pointer, leaf in leaves.items():
        below.setdefault(pointer[0], {})[pointer[1:]] = leaf
    return Node(steps={key: wanted(inner) for key, inner in below.items()})


def read_json(text: bytes) -> object:
    """Return what a JSON text in UTF-8 says, a byte order mark before it or not; raises NotJson."""
    try:
        return orjson.loads(text.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        raise NotJson("not JSON in UTF-8") from None  # its message would quote the text


def find_spans(text: bytes, root: Node[LeafT]) -> list[Span[LeafT]]:
    """Return the wanted values of a text that `read_json` accepts, in their order."""
    found: list[Span[LeafT]] = []
    _walk(text, len(_BOM) if text.startswith(_BOM) else 0, root, found=found)
    return found


def replace_spans(text: bytes, replacements: list[tuple[int, int, bytes]]) -> bytes:
    """Return the text with some spans (in their order) replaced."""
    parts: list[bytes] = []
    last = 0
    for start, end, new in replacements:
        parts += (text[last:start], new)
        last = end
    return b"".join((*parts, text[last:]))


def _walk(text: bytes, at: int, node: Node[LeafT] | None, *, found: list[Span[LeafT]]) -> int:
    """Go through the value at `at`; return where it ends. Nests no deeper than the pointers do."""
    at = _past(_SPACE, text, at)
    if node is None:
        return _skip(text, at)
    if node.leaf is not None:
        end = _skip(text, at)
        found.append(Span(at, end, node.leaf))
        return end
    if text[at] not in b"{[":
        return _skip(text, at)
    return _inside(text, at, node, found=found)


def _inside(text: bytes, at: int, node: Node[LeafT], *, found: list[Span[LeafT]]) -> int:
    is_object, count = text[at : at + 1] == b"{", 0
    at = _past(_SPACE, text, at + 1)
    while text[at] not in b"}]":
        key = str(count)
        if is_object:
            end = _past(_STRING, text, at)
            key = orjson.loads(text[at:end])
            at = _past(_SPACE, text, end) + 1  # the colon
        at = _past(_SPACE, text, _walk(text, at, node.step(key), found=found))
        if text[at] == 0x2C:  # a comma
            at = _past(_SPACE, text, at + 1)
        count += 1
    return at + 1


def _skip(text: bytes, at: int) -> int:
    if text[at] == 0x22:  # a quote
        return _past(_STRING, text, at)
    if text[at] not in b"{[":
        return _past(_SCALAR, text, at)
    at, depth = at + 1, 1
    while depth:
        match = _TO_BRACKET.match(text, at)
        assert match is not None
        at = match.end()
        depth += 1 if match[1] in b"{[" else -1
    return at


def _past(pattern: re.Pattern[bytes], text: bytes, at: int) -> int:
    match = pattern.match(text, at)
    assert match is not None  # the text was accepted by a strict parser
    return match.end()
