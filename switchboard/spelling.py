r"""How the marks of a URL are spelled inside other text.

Theory: a URL stands in JSON as `http:\/\/host`, in a script as `http:\u002f\u002fhost`, in a query as
`http%3A%2F%2Fhost`, in an HTML attribute as `http:&#x2F;&#x2F;host`. Patterns for one character in all its spellings
are made here; each has a longest form, so that whoever reads a stream knows how far back to look. Nesting (JSON in
JSON, a URL in a URL in a URL) is followed three levels deep.
"""

from __future__ import annotations

import re

# Of one character: backslashes, `u00` and two digits; or zeros, digits and a semicolon.
LONGEST = 12

_ESCAPE = rb"(?:\\{1,7}(?:u00|x)|%(?:25){0,2})"
_NAMES = {"/": b"sol", ":": b"colon"}


def spelled(character: str) -> bytes:
    """Return a pattern for `/` or `:` in any spelling; letters of it match in either case under `(?i:`."""
    code = ord(character)
    plain = rb"\\{0,7}/" if character == "/" else re.escape(character.encode())
    digits = b"%02x" % code
    reference = rb"&(?:#(?:x0{0,4}" + digits + rb"|0{0,4}%d)|" % code + _NAMES[character] + rb");"
    return rb"(?:" + plain + rb"|" + _ESCAPE + digits + rb"|" + reference + rb")"


COLON, SLASH = spelled(":"), spelled("/")

# Letters, digits, `-`, `.`, `@`, `_` and what is not ASCII, written as codes: a host that goes on.
_CODES = rb"(?:2[de]|3[0-9]|4[0-9a-f]|5[0-9af]|6[1-9a-f]|7[0-9a]|[89a-f][0-9a-f])"
_DECIMALS = rb"(?:4[5689]|5[0-7]|6[4-9]|[78][0-9]|90|95|9[789]|1[01][0-9]|12[0-2])"
GOES_ON = (
    rb"(?:" + _ESCAPE + _CODES + rb"|&(?:#(?:x0{0,4}" + _CODES + rb"|0{0,4}" + _DECIMALS + rb")"
    rb"|period|hyphen|commat|lowbar);)"
)

# What stands in front of a URL: not the rest of a word, but the end of an escape is no letter.
_BREAK = rb"(?<=\\[nrtbfv])|(?<=\\u00%s)|(?<=\\x%s)|(?<=%%%s)"
_ANY = rb"[0-9a-f]{2}"
_NO_URL = rb"(?:0[ad]|2[0-9a-e]|3[b-f]|5[b-e]|7[b-d])"
BEFORE_SCHEME = rb"(?:(?<![a-z0-9])(?<![a-z0-9][+.\-])|" + _BREAK % (_ANY, _ANY, _ANY) + rb")"
BEFORE_SLASHES = (
    rb"(?:(?<![a-z0-9_~:/.\\\-])(?<!3a;)(?<!58;)(?<!2f;)(?<!47;)(?<!sol;)(?<!colon;)|"
    + _BREAK % (_NO_URL, _NO_URL, _NO_URL)
    + rb")"
)
CONTEXT = 8  # bytes that these look back on, at most

SCHEME = rb"(?:https?|wss?)"
LONGEST_HEAD = len("https") + 3 * LONGEST

_READ = re.compile(
    rb"(?i)\\{1,7}(?:u00|x)([0-9a-f]{2})|%(?:25){0,2}([0-9a-f]{2})|&#x0{0,4}([0-9a-f]{2});"
    rb"|&#0{0,4}([0-9]{2,3});|&(sol|colon|period|hyphen|commat|lowbar);|\\{1,7}(?=/)"
)
_NAMED = {b"sol": b"/", b"colon": b":", b"period": b".", b"hyphen": b"-", b"commat": b"@", b"lowbar": b"_"}
OPEN = (
    rb"(?:\\{1,7}(?:u(?:0(?:0[0-9a-f]?)?)?|x[0-9a-f]?)?|%(?:25){0,2}[0-9a-f]?"
    rb"|&(?:#(?:x?0{0,4}[0-9a-f]{0,3})?|[a-z]{1,6})?)"
)
_OPEN = re.compile(rb"(?i:" + OPEN + rb")\Z")


def read(text: bytes) -> bytes:
    """Return what a short text spells, without an escape that is cut off at its end."""
    cut = _OPEN.search(text)
    return _READ.sub(_character, text[: cut.start()] if cut else text)


def _character(found: re.Match[bytes]) -> bytes:
    digits = found[1] or found[2] or found[3]
    if digits:
        return bytes((int(digits, 16),))
    if found[4]:
        return bytes((min(int(found[4]), 255),))
    return _NAMED[found[5].lower()] if found[5] else b""


def spell(text: bytes, *, slash: bytes, colon: bytes | None) -> bytes:
    """Return a plain text with its slashes and colons spelled as given; `colon` None: as fits the slash."""
    if slash == b"/" and colon in (b":", None):
        return text
    if colon is None:
        colon = slash[:-2] + b"3A" if slash.startswith(b"%") else b":"
    return text.replace(b":", colon).replace(b"/", slash)
