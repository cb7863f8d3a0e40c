"""Bodies of a sandbox's answers, mapped back while they stream: unpack, rewrite, mark, pack again.

Theory: a `Pipe` stands between the sandbox and the client and holds back only what is not certain yet: the
beginning of a URL, an unfinished tag. All that was certain leaves with the chunk it came with, packed and flushed, so
that event streams do not wait. Answers hold nothing that is secret from the client, so a body that cannot be read goes
on as it came and says why (`unread`); one that unpacks without end is cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from switchboard.banner import Injector
from switchboard.codings import Bounds, Broken, Decoding, parse_codings
from switchboard.headers import Field
from switchboard.leads import Scheme
from switchboard.limits import Limits
from switchboard.mapping import UrlMap
from switchboard.packing import Encoding
from switchboard.spelling import CONTEXT

_MOST_KEPT = 64 * 1024  # of a coded body before its first byte is unpacked

_TEXTS = re.compile(
    r"text/.*|.*\+(json|xml)|application/(json|xml|javascript|ecmascript|x-javascript|x-ndjson|ndjson|jsonl|json-seq"
    r"|x-json|graphql|yaml|x-yaml|x-www-form-urlencoded|vnd\.apple\.mpegurl|x-mpegurl|xml-dtd)|audio/(x-)?mpegurl"
)
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
# Text in these has a zero beside every ASCII character (Encoding 4.2): no pattern would ever match.
_WIDE = re.compile(r"""charset\s*=\s*["']?(utf-?(?:16|32)(?:[bl]e)?|ucs-?2|iso-10646-ucs-2|utf-7)""")
# What a body that changes no longer is: its length and its digests (RFC 9110 8.6, RFC 9530, RFC 1864).
_DROPPED = frozenset(b"content-length content-md5 digest content-digest repr-digest want-digest accept-ranges".split())


class Kind(NamedTuple):
    """What a Content-Type says: text to be rewritten, a page, a charset in which text cannot be found."""

    is_text: bool
    is_page: bool
    wide: str


_OTHER = Kind(False, False, "")
_TELLING = frozenset(map(len, (b"content-type", b"content-encoding", b"content-range")))


class Rewriter:
    """Maps the URLs of one text that comes in chunks. Any division into chunks gives the same bytes."""

    def __init__(self, url_map: UrlMap, *, scheme: Scheme = "https") -> None:
        self._map = url_map
        self._scheme: Scheme = scheme
        self._kept = b""  # the end of what was given out, for its sight of what stands before, and what is held back
        self._at = 0  # where in it what is held back begins

    def feed(self, chunk: bytes) -> bytes:
        text = self._kept + chunk
        return self._give(text, self._map.held(text, self._at))

    def finish(self) -> bytes:
        """Return what was held back; the text is at its end."""
        return self._give(self._kept, len(self._kept))

    def _give(self, text: bytes, end: int) -> bytes:
        given = b"".join(self._map.pieces(text, self._at, end, scheme=self._scheme))
        keep = max(0, end - CONTEXT)
        self._kept, self._at = text[keep:], end - keep
        return given


class Pipe:
    """Rewrites one body. Called with each chunk, and with `b""` at its end; returns chunks, none of them empty.

    `unread`: why the body goes on as it came. `truncated`: its coding ended early. Raises Bomb, and Broken once a
    part has left already: the answer is then to be cut.
    """

    def __init__(
        self, rewriter: Rewriter, *, codings: tuple[str, ...], bounds: Bounds, injector: Injector | None
    ) -> None:
        self._rewriter = rewriter
        self._injector = injector
        self._decoding = Decoding(codings, bounds) if codings else None
        self._encoding = Encoding(codings)
        self._raw: bytes | None = b""  # what came so far, while it could still go on as it came
        self.unread: str | None = None
        self.truncated = False

    def __call__(self, chunk: bytes) -> list[bytes]:
        given = self.feed(chunk) if chunk else self.finish()
        return [given] if given else []

    def feed(self, chunk: bytes) -> bytes:
        """Return what of the body is certain after this chunk; raises Broken, Bomb."""
        if self.unread is not None:
            return chunk
        if self._decoding is None:
            return self._change(chunk)
        if self._raw is not None:
            self._raw += chunk
        try:
            changed = [self._encoding.encode(self._change(piece)) for piece in self._decoding.feed(chunk)]
        except Broken as error:
            return self._give_up(str(error), error)
        given = b"".join(changed)
        if changed:
            given += self._encoding.flush()
            self._raw = None
        elif self._raw is not None and len(self._raw) > _MOST_KEPT:
            return self._give_up("nothing to unpack")
        return given

    def finish(self) -> bytes:
        """Return what was held back. A coding that ended early is left without its end: the client can tell."""
        if self.unread is not None:
            return b""
        if self._decoding is None:
            return self._last()
        if not self._raw and self._raw is not None:
            return b""  # no body at all, as in answers to HEAD
        self.truncated = not self._decoding.is_complete
        if self.truncated and self._raw is not None:
            return self._give_up("nothing to unpack")
        last = self._encoding.encode(self._last())
        return last + (self._encoding.flush() if self.truncated else self._encoding.finish())

    def _change(self, text: bytes) -> bytes:
        text = self._rewriter.feed(text)
        return self._injector.feed(text) if self._injector else text

    def _last(self) -> bytes:
        text = self._rewriter.finish()
        return self._injector.feed(text) + self._injector.finish() if self._injector else text

    def _give_up(self, reason: str, cause: Broken | None = None) -> bytes:
        """Let the body go on as it came, where nothing of it has left; raises Broken where something has."""
        raw, self._raw = self._raw, None
        if raw is None:
            raise cause or Broken(reason)
        self.unread = reason
        return raw


def pipe(
    fields: Sequence[Field],
    url_map: UrlMap,
    limits: Limits,
    *,
    scheme: Scheme = "https",
    inject: bytes | None = None,
) -> Pipe | None:
    """Return the pipe for an answer with these fields, or None where its body goes on as it comes.

    `inject` is put into HTML documents. `scheme` is that of the client's request.
    """
    kind, coded = _read(fields)
    injector = Injector(inject) if inject and kind.is_page else None
    if not kind.is_text or kind.wide or (url_map.is_empty and injector is None):
        return None
    codings = parse_codings(coded) if coded else ()
    if codings is None:
        return None
    bounds = Bounds(limits.ratio, limits.decoded)
    return Pipe(Rewriter(url_map, scheme=scheme), codings=codings, bounds=bounds, injector=injector)


def why_unread(fields: Sequence[Field]) -> str | None:
    """Return why a text that should be rewritten cannot be, or None; such an answer is counted and goes on."""
    kind, coded = _read(fields)
    if not kind.is_text:
        return None
    if kind.wide:
        return f"charset {kind.wide}"
    return "content coding is not known" if parse_codings(coded) is None else None


def head(fields: Iterable[Field], *, chunked: bool) -> tuple[Field, ...]:
    """Return the fields of an answer whose body goes through a pipe.

    Length and digests are taken out, a strong validator becomes a weak one; `chunked` for clients on HTTP/1.1.
    """
    kept = [(name, _weak(value) if name.lower() == b"etag" else value) for name, value in fields]
    kept = [(name, value) for name, value in kept if name.lower() not in _DROPPED]
    if chunked and not any(name.lower() == b"transfer-encoding" for name, _ in kept):
        kept.append((b"Transfer-Encoding", b"chunked"))
    return tuple(kept)


def _weak(validator: bytes) -> bytes:
    return validator if validator.startswith(b"W/") else b"W/" + validator


def _read(fields: Iterable[Field]) -> tuple[Kind, list[bytes]]:
    """Return the kind of a body and its Content-Encoding values; a part of a body is no text."""
    kind, coded = _OTHER, []
    for name, value in fields:
        if len(name) not in _TELLING:
            continue
        lower = name.lower()
        if lower == b"content-type":
            kind = _read_kind(value)
        elif lower == b"content-encoding":
            coded.append(value)
        elif lower == b"content-range":
            return _OTHER, []
    return kind, coded


@lru_cache(256)
def _read_kind(content_type: bytes) -> Kind:
    text = content_type.decode("latin-1").lower()
    media = text.partition(";")[0].strip()
    wide = _WIDE.search(text)
    return Kind(_TEXTS.fullmatch(media) is not None, media in _PAGES, wide[1] if wide else "")
