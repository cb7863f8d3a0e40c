"""URLs of a sandbox -> URLs of production, in plain text and in every spelling of it.

Theory: every URL that matters holds the host of some `to`. `bytes.find` looks for a few short *anchors* that all these
hosts share, at the speed of memory; patterns are tried only around a hit. Whether the end of a buffer could still
become a match is decided by `held`, so that a stream is cut nowhere else: what is not held is certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from switchboard.anchors import Anchors
from switchboard.estate import Target
from switchboard.leads import Place, Scheme, lead_for, places_of, there_of
from switchboard.spelling import (
    BEFORE_SCHEME,
    BEFORE_SLASHES,
    COLON,
    GOES_ON,
    LONGEST,
    LONGEST_HEAD,
    OPEN,
    SCHEME,
    SLASH,
    read,
    spell,
)

_HEAD = (
    rb"(?:" + BEFORE_SCHEME + rb"(?P<scheme>" + SCHEME + rb")(?P<colon>" + COLON + rb")|" + BEFORE_SLASHES + rb")"
    rb"(?P<slash>" + SLASH + rb")" + SLASH
)
_HEADS = re.compile(rb"(?i:" + _HEAD + rb")")
_UNFINISHED_HEAD = re.compile(
    rb"(?i:" + BEFORE_SCHEME + rb"(?:h(?:t(?:tp?)?)?|ws?|" + SCHEME + rb"(?:" + COLON + SLASH + rb"?)?" + OPEN + rb"?)"
    rb"|" + BEFORE_SLASHES + SLASH + rb"?" + OPEN + rb"?)\Z"
)
# A host or port ends where nothing follows that could be more of it, or turn it into userinfo (RFC 3986 3.2).
_PORT = re.compile(
    rb"(?i:(?:\.(?=[:/]))?(?:" + COLON + rb"(?P<port>[0-9]{1,5})(?!\.?(?:[a-z0-9_-]|" + GOES_ON + rb"))(?!@)"
    rb"|(?!\.?" + COLON + rb"""[^\s"'<>/])(?!\.?(?:[a-z0-9_\x80-\xff-]|""" + GOES_ON + rb"))(?!@)))"
)


# Of a scheme, a host, a port, an escape.
_OPEN_ENDS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:/\\%&#;"

Mapped = tuple[int, int, bytes]  # where a URL begins and ends in a text, and what stands instead


@dataclass(frozen=True, slots=True, eq=False)
class UrlMap:
    """All sandbox URLs of a target, compiled.

    `places`: by host, then port. `there`: `scheme://authority` of production -> that of its sandbox. `longest`: bytes
    that a match, and what decides on it, can span.
    """

    places: dict[bytes, dict[int, Place]]
    there: dict[bytes, bytes]
    longest: int
    _anchors: Anchors
    _url: re.Pattern[bytes]
    _reach: int
    _host: re.Pattern[bytes]
    _beginnings: frozenset[bytes]
    _open_ends: frozenset[int]  # what the last byte of an uncertain text may be

    @classmethod
    def of(cls, target: Target) -> UrlMap:
        """Compile the routes of a target."""
        places = places_of(target.routes)
        hosts = sorted(places, key=lambda host: (-len(host), host))
        either = rb"(?P<host>" + (rb"|".join(map(_host_pattern, hosts)) or rb"(?!)") + rb")"
        reach = max((len(host) + LONGEST * host.count(b"-") for host in hosts), default=0)
        prefixes = {prefix for ports in places.values() for place in ports.values() for prefix in place.prefixes}
        deepest = max((len(prefix) + LONGEST * prefix.count(b"/") for prefix in prefixes), default=0)
        return cls(
            places=places,
            there=there_of(target.routes),
            longest=LONGEST_HEAD + reach + deepest + 3 * LONGEST,
            _anchors=Anchors.of(hosts, others=[route.origin.host.encode() for route in target.routes]),
            _url=re.compile(rb"(?i:" + _HEAD + either + rb")"),
            _reach=reach,
            _host=re.compile(rb"(?i:" + either + rb"(?:\.(?=:|/|\Z))?(?::[0-9]{0,5})?)"),
            _beginnings=frozenset(host[:length] for host in hosts for length in range(len(host) + 1)),
            _open_ends=frozenset(_OPEN_ENDS + b"".join(prefixes)),
        )

    @property
    def is_empty(self) -> bool:
        return not self.places

    def mentions(self, text: bytes) -> bool:
        """Return whether a text may hold a URL of the sandbox; quick, and True too often rather than too seldom."""
        return self._anchors.are_in(text.lower())

    def back(self, url: bytes, *, scheme: Scheme = "https") -> bytes:
        """Return the production URL of an absolute or scheme-relative sandbox URL; any other comes back as it is.

        `scheme` is that of the client's request, for routes whose `from` has none.
        """
        match = self._url.match(url)
        mapped = self._mapped(url, match, scheme=scheme) if match is not None else None
        return url if mapped is None else mapped[2] + url[mapped[1] :]

    def rewrite(self, text: bytes, *, scheme: Scheme = "https") -> bytes:
        """Return a whole text with its sandbox URLs turned into production URLs."""
        return b"".join(self.pieces(text, 0, len(text), scheme=scheme))

    def pieces(self, text: bytes, start: int, end: int, *, scheme: Scheme) -> Iterator[bytes]:
        """Yield `text[start:end]` with every URL that begins in it mapped; what is around it is looked at only."""
        lower = text.lower()
        for hit in self._anchors.hits(lower, start, min(len(text), end + self.longest)):
            if hit < start:
                continue  # inside a URL that has been mapped
            match = self._around(text, hit, lower=lower, start=start)
            mapped = self._mapped(text, match, scheme=scheme) if match is not None else None
            if mapped is not None and mapped[0] < end:
                yield text[start : mapped[0]]
                yield mapped[2]
                start = mapped[1]
        yield text[start:end]

    def held(self, text: bytes, start: int = 0) -> int:
        """Return from where on a text is not certain yet: more of it could make or unmake a match there."""
        size = len(text)
        if self.is_empty or not text or text[-1] not in self._open_ends:
            return size
        for head in _HEADS.finditer(text, max(start, size - self.longest)):
            if self._is_undecided(read(text[head.end() :])):
                return head.start()
        unfinished = _UNFINISHED_HEAD.search(text, max(start, size - LONGEST_HEAD))
        return unfinished.start() if unfinished else size

    def _around(self, text: bytes, hit: int, *, lower: bytes, start: int) -> re.Match[bytes] | None:
        """Return the match of scheme and host that an anchor at `hit` is part of."""
        least = max(start, hit - LONGEST_HEAD - self._reach)
        begin = lower.rfind(b"http", least, hit)
        if begin >= 0:
            match = self._url.match(text, begin)
            if match is not None and match.end() > hit:
                return match
        near = lower[least:hit]
        if b"/" not in near and b"2f" not in near and b";" not in near:
            return None  # a word, not a URL: no slash in any spelling
        limit = hit + self._reach
        match = self._url.search(text, least, limit)
        while match is not None and match.end() <= hit:  # an earlier one, judged already
            match = self._url.search(text, match.start() + 1, limit)
        return match

    def _mapped(self, text: bytes, match: re.Match[bytes], *, scheme: Scheme) -> Mapped | None:
        """Return what stands instead of a URL whose scheme and host have matched, or None where it is another's."""
        port = _PORT.match(text, match.end())
        if port is None:
            return None
        written, colon, slash, host = match.group("scheme", "colon", "slash", "host")
        host = host.lower()
        place = self._place(read(host) if b"\\" in host else host, port["port"], written)
        found = place.find(text, port.end()) if place is not None else None
        if found is None:
            return None
        end, leads = found
        lead = lead_for(leads, scheme)
        instead = slash * 2 + spell(lead.authority + lead.prefix, slash=slash, colon=colon)
        if written is not None:
            instead = lead.shown(scheme, is_socket=written[:1] in b"wW") + colon + instead
        return match.start(), end, instead

    def _place(self, host: bytes, port: bytes | None, scheme: bytes | None) -> Place | None:
        ports = self.places[host]
        if port is not None:
            return ports.get(int(port))
        if scheme is not None:
            return ports.get(443 if scheme.lower() in (b"https", b"wss") else 80)
        return ports.get(443) or ports.get(80)

    def _is_undecided(self, rest: bytes) -> bool:
        """Return whether what follows the slashes, to the end of the text, may still turn into a match or not."""
        if rest.lower() in self._beginnings:
            return True
        found = self._host.match(rest)
        if found is None:
            return False
        path = rest[found.end() :]
        if path in (b"", b"."):
            return True
        prefixes = (prefix for place in self.places[found["host"].lower()].values() for prefix in place.prefixes)
        return any(prefix.startswith(path) or path == prefix + b"." for prefix in prefixes if prefix)


def _host_pattern(host: bytes) -> bytes:
    # Scripts are known to escape hyphens, which could end a comment in HTML.
    return rb"(?:-|\\{1,7}u002d)".join(map(re.escape, host.split(b"-")))
