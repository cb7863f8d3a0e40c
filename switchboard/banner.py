"""The mark of a drill in HTML pages: what is shown, and where in a page it is put.

Theory: only documents are touched, never fragments that a script fetches: the insertion goes behind the first
`<body ...>`, or where that tag is left out in front of the first element that can only stand in a body. A tokenizer
of a few states skips comments, scripts and titles, in which `<body>` is no tag (HTML 13.2.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_MOST_HELD = 16 * 1024  # a tag longer than this is not waited for; the page then goes without

_TOKEN = re.compile(
    rb"<(?:(?P<comment>!--)|(?P<declaration>[!?][^>]*>)|(?P<closing>/[^>]*>)"
    rb"|(?P<name>[a-zA-Z][^\s/>]*+)(?:[^>\"']|\"[^\"]*\"|'[^']*')*+>)"
)
_UNFINISHED = re.compile(rb"<(?:\Z|[a-zA-Z/!?])")
_COMMENT_END = b"-->"
_HEAD = frozenset(b"html head meta link base noscript script style title template".split())
_DOCUMENT = frozenset({b"html", b"head", b"body"})
_RAW = frozenset(b"script style title template".split())
# Without `'unsafe-inline'`, or with a nonce or hash beside it, a style attribute is refused (CSP 3, 6.7.3.2).
_STRICT = re.compile(rb"'(?:nonce-|sha(?:256|384|512)-)")
_STYLE = "position:sticky;top:0;z-index:2147483647"


def banner_html(text: str, *, policies: Iterable[bytes] = ()) -> bytes:
    """Return the banner for an answer with these Content-Security-Policy values.

    Colours are attributes of a table, which no policy refuses; that it stays in sight while scrolling needs a style
    attribute and is left out where the policy would refuse it. The text is ASCII with character references.
    """
    style = f' style="{_STYLE}"' if all(map(_allows_style, policies)) else ""
    shown = escape(text).encode("ascii", "xmlcharrefreplace").decode()
    return (
        f'<div role="status" id="hms-esr-banner"{style}><table role="presentation" width="100%" cellpadding="4"'
        f' cellspacing="0" bgcolor="#8a1c1c"><tr><td align="center"><font color="#ffffff"><b>{shown}</b></font></td>'
        "</tr></table></div>"
    ).encode()


def _allows_style(value: bytes) -> bool:
    return all(map(_policy_allows_style, value.split(b",")))


def _policy_allows_style(policy: bytes) -> bool:
    directives: dict[bytes, bytes] = {}
    for directive in policy.lower().split(b";"):
        name, _, sources = directive.strip().partition(b" ")
        directives.setdefault(name, sources)
    if b"sandbox" in directives and not directives.keys() & {b"style-src-attr", b"style-src", b"default-src"}:
        return True
    for name in (b"style-src-attr", b"style-src", b"default-src"):
        if name in directives:
            sources = directives[name]
            return b"'unsafe-inline'" in sources and not _STRICT.search(sources)
    return True


class Injector:
    """Puts `insertion` into a page that comes in chunks; holds back no more than one unfinished tag."""

    def __init__(self, insertion: bytes) -> None:
        self._insertion = insertion
        self._held = b""
        self._until: bytes | None = None  # the end of a comment or raw text that is being skipped
        self._is_document = False
        self._is_done = False

    def feed(self, chunk: bytes) -> bytes:
        """Return what of the page is certain; nothing is held back once the insertion is in or out of question."""
        if self._is_done:
            return chunk
        text = self._held + chunk
        at, is_place = self._advance(text)
        if is_place:
            self._held, self._is_done = b"", True
            return text[:at] + (self._insertion if self._is_document else b"") + text[at:]
        if len(text) - at > _MOST_HELD:
            at, self._is_done = len(text), True
        self._held = text[at:]
        return text[:at]

    def finish(self) -> bytes:
        held, self._held, self._is_done = self._held, b"", True
        return held

    def _advance(self, text: bytes) -> tuple[int, bool]:
        """Return up to where a text is certain, and whether that is where the insertion belongs."""
        at = 0
        while True:
            if self._until is not None:
                end = text.lower().find(self._until, at)
                if end < 0:
                    return max(at, len(text) - len(self._until) + 1), False
                at = end + (len(self._until) if self._until == _COMMENT_END else 0)
                self._until = None
            start = text.find(b"<", at)
            if start < 0:
                return len(text), False
            token = _TOKEN.match(text, start)
            if token is not None:
                at, is_place = self._pass(token)
                if is_place:
                    return at, True
            elif _UNFINISHED.match(text, start):
                return start, False
            else:
                at = start + 1  # a lone `<` is text

    def _pass(self, token: re.Match[bytes]) -> tuple[int, bool]:
        """Take note of one token; return where to go on, and whether the insertion belongs there."""
        if token["comment"]:
            self._until = _COMMENT_END
            return token.start() + 2, False  # `<!-->` is a whole comment
        if token["name"] is None:
            self._is_document |= (token["declaration"] or b"").lower().startswith(b"!doctype")
            return token.end(), False
        name = token["name"].lower()
        self._is_document |= name in _DOCUMENT
        if name in _RAW:
            self._until = b"</" + name
        elif name not in _HEAD:
            self._is_document &= name != b"frameset"
            return (token.end() if name == b"body" else token.start()), True
        return token.end(), False
