"""Fields of a multipart form (RFC 7578), found so strictly that no server can find others (RFC 2046 5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote

_PARAMETER = re.compile(rb';[ \t]*([A-Za-z0-9*_-]+)[ \t]*=[ \t]*(?:"((?:[^"\\\r\n]|\\[^\r\n])*)"|([^\s;",]+))[ \t]*')
_FIELD = re.compile(rb"([A-Za-z0-9-]+)[ \t]*:[ \t]*([^\r\n\0]*)")
_BOUNDARY = re.compile(rb"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_AS_IT_IS = frozenset({b"7bit", b"8bit", b"binary"})
_END = re.compile(rb"--[ \t]*(?:\r\n)?")
_LINE = re.compile(rb"[ \t]*\r\n")


class NotMultipart(ValueError):
    """The body can be read in more than one way, or in none. Says nothing of what stood there."""


@dataclass(frozen=True, slots=True)
class Part:
    """A form field: its name, and where its content starts and ends in the body."""

    name: str
    start: int
    end: int
    coded: bool


def split_form(body: bytes, content_type: bytes) -> list[Part]:
    """Return the fields of a multipart form; raises NotMultipart."""
    mark = b"--" + _boundary(content_type)
    borders = _borders(body, mark)
    parts = []
    for start, end in pairwise(borders):
        line = _LINE.match(body, start + len(mark))
        if line is None:
            raise NotMultipart("text after a boundary")
        head_end = body.find(b"\r\n\r\n", line.end() - 2, end)
        content_end = end - 2  # the line break before a boundary belongs to it
        if head_end < 0 or head_end + 4 > content_end:
            raise NotMultipart("a part without a head")
        parts.append(_part(body[line.end() : head_end], head_end + 4, content_end))
    return parts


def _boundary(content_type: bytes) -> bytes:
    found = _parameters(content_type).get("boundary", b"")
    if _BOUNDARY.fullmatch(found) is None:
        raise NotMultipart("no boundary")
    return found


def _borders(body: bytes, mark: bytes) -> list[int]:
    """Return where boundaries stand, the closing one last; each at the start of a line, nothing around them."""
    found, at = [], body.find(mark)
    while at >= 0:
        if at and body[at - 2 : at] != b"\r\n":
            raise NotMultipart("a boundary within a line")
        found.append(at)
        at = body.find(mark, at + len(mark))
    if not found or body[: found[0]] not in (b"", b"\r\n"):
        raise NotMultipart("text before the first boundary")
    if _END.fullmatch(body, found[-1] + len(mark)) is None:
        raise NotMultipart("no closing boundary at the end")
    return found


def _part(head: bytes, start: int, end: int) -> Part:
    found: dict[bytes, bytes] = {}
    for line in head.split(b"\r\n"):
        match = _FIELD.fullmatch(line)
        if match is None or match[1].lower() in found:
            raise NotMultipart("a part with a broken head")
        found[match[1].lower()] = match[2].strip()
    name = _name(found.get(b"content-disposition", b""))
    coding = found.get(b"content-transfer-encoding", b"binary").lower()
    return Part(name, start, end, coded=coding not in _AS_IT_IS)


def _name(disposition: bytes) -> str:
    parameters = _parameters(disposition)
    if "name" not in parameters or "name*" in parameters:
        raise NotMultipart("a part without one name")
    return unquote(re.sub(rb"\\(.)", rb"\1", parameters["name"]).decode("utf-8", "surrogateescape"))


def _parameters(value: bytes) -> dict[str, bytes]:
    """Return the parameters after a value's first word (RFC 9110 5.6.6); raises NotMultipart for doubled ones."""
    at = value.find(b";")
    found: dict[str, bytes] = {}
    while 0 <= at < len(value):
        match = _PARAMETER.match(value, at)
        key = match[1].decode().lower() if match is not None else ""
        if match is None or key in found:
            raise NotMultipart("broken or doubled parameters")
        found[key] = match[2] if match[2] is not None else match[3]
        at = match.end()
    return found
