"""A command as it was pasted -> its words, as a shell hands them over. Nothing is run, no variable filled in."""

from __future__ import annotations

import re
import shlex

# What shlex does not know: ANSI-C quoting, which browsers copy; escapes in double quotes; line continuation.
_QUOTED = re.compile(r"""\$'((?:\\.|[^'\\])*)'|'[^']*'|"((?:\\.|[^"\\])*)"|\\\r?\n|\\.""", re.DOTALL)
_ANSI = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|([0-7]{1,3})|(.))", re.DOTALL)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}
_IN_QUOTES = re.compile(r'\\(?:\r?\n|([$`"\\]))')
_EXPANDS = re.compile(r"(?<!\\)(?:\$[\w{(]|`)")


def shell_words(text: str) -> tuple[list[str], bool]:
    """Return the words of a command, and whether a shell would have filled in variables or commands.

    Raises ValueError for quotes that do not close, and for commands of another shell.
    """
    if '^"' in text or "^\n" in text or "^\r\n" in text:
        raise ValueError("it is written for Windows' cmd; copy it for bash ('Copy as cURL (bash)')")
    expands = _EXPANDS.search(_QUOTED.sub("", text)) is not None

    def plain(found: re.Match[str]) -> str:
        nonlocal expands
        ansi, double = found.groups()
        if ansi is not None:
            return shlex.quote(_decoded(ansi))
        if double is not None:
            expands = expands or _EXPANDS.search(double) is not None
            return shlex.quote(_IN_QUOTES.sub(lambda escape: escape[1] or "", double))
        return "" if found[0][-1] == "\n" else found[0]

    quoted = _QUOTED.sub(plain, text.strip())
    try:
        return shlex.split(quoted, posix=True), expands
    except ValueError:
        raise ValueError("its quotes do not close") from None


def _decoded(text: str) -> str:
    r"""Return what stands in `$'...'`; `\x` and octal codes are bytes of UTF-8, or raw ones."""
    plain, at = b"", 0
    for found in _ANSI.finditer(text):
        plain += text[at : found.start()].encode("utf-8", "surrogatepass") + _character(found)
        at = found.end()
    return (plain + text[at:].encode("utf-8", "surrogatepass")).decode("utf-8", "surrogateescape")


def _character(found: re.Match[str]) -> bytes:
    code, short, long, octal, other = found.groups()
    if code or octal:
        return bytes((int(code or octal, 16 if code else 8) & 0xFF,))
    if other is not None:
        return _CONTROLS.get(other, other).encode("utf-8", "surrogatepass")
    try:
        return chr(int(short or long, 16)).encode("utf-8", "surrogatepass")
    except (ValueError, OverflowError):
        raise ValueError("it holds a character that is none") from None
