"""Request targets: which prefix they fall under, and what makes them readable in two ways.

Theory: servers disagree about dot segments, encoded slashes, backslashes, path parameters and empty
segments. Where a prefix decides between services, or where the sandbox lives below a prefix of a shared
origin, such a path could be read by us as inside and by the server as outside. There it is refused; a
route without any prefix sends the path on as it came, since it cannot lead anywhere else.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

_CONTROL = re.compile(r"[\x00-\x20\x7f]")
# RFC 3629 3: a character in more bytes than it needs, which lenient decoders turn into a delimiter.
_OVERLONG = re.compile(rb"[\xc0\xc1]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# Nothing but plain segments, none of them empty (but the last), `.` or `..`: most paths, and clear at a glance.
_PLAIN = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?\Z")

Segments = tuple[bytes, ...]


def malformed(target: str) -> str | None:
    """Return why `target` is no origin-form request target (RFC 9112 3.2.1), or None."""
    if not target.startswith("/"):
        return "request target is not in origin-form"
    if _CONTROL.search(target):
        return "control character in request target"
    if "#" in target:
        return "fragment in request target"
    return None


def split_target(target: str) -> tuple[str, str]:
    """Return the raw path and the rest (empty, or starting with `?`)."""
    path, question, query = target.partition("?")
    return path, question + query


def segments(path: str) -> Segments:
    """Return the segments of an absolute raw path, each decoded once; `/` gives one empty segment."""
    parts = path[1:].encode("utf-8", "surrogateescape").split(b"/")
    return tuple(map(unquote_to_bytes, parts) if "%" in path else parts)


def prefix_segments(prefix: str) -> Segments:
    """Return the segments of a prefix as an estate file has it (`""` gives none)."""
    return tuple(part.encode() for part in prefix[1:].split("/")) if prefix else ()


def ambiguous(path: str) -> str | None:
    """Return why an absolute raw path can be read in two ways where prefixes matter, or None."""
    if _PLAIN.match(path):
        return None
    if "\\" in path:
        return "backslash in path"
    if _BAD_ESCAPE.search(path):
        return "bad percent-encoding in path"
    parts = segments(path)
    if b"" in parts[:-1]:
        return "empty path segment"
    for part in parts:
        # Some servers decode twice; what a second decoding would turn into a delimiter is refused as well.
        for reading in (part, unquote_to_bytes(part)):
            if b"/" in reading or b"\\" in reading or b"\x00" in reading:
                return "encoded delimiter in path"
            if _OVERLONG.search(reading):
                return "overlong encoding in path"
            # RFC 3986 3.3: parameters follow a semicolon; Tomcat and others drop them before resolving dots.
            if reading.partition(b";")[0] in (b".", b".."):
                return "dot segment in path"
    return None


def under(prefix: Segments, parts: Segments) -> bool:
    """Return whether `parts` lie at or below `prefix`, on segment borders."""
    return parts[: len(prefix)] == prefix


def moved(path: str, *, cut: int, to: str) -> str:
    """Return the raw path with its first `cut` segments replaced by the prefix `to`, the rest undecoded."""
    rest = path[1:].split("/")[cut:]
    if not rest:
        return to or "/"
    return f"{to}/{'/'.join(rest)}"
