"""Sites: what browsers treat as one owner (scheme and registrable domain), by the public suffix list."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum, auto
from functools import lru_cache
from typing import NamedTuple

from publicsuffixlist import PublicSuffixList

Field = tuple[bytes, bytes]

_SECURE = frozenset({"https", "wss"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 9.2.1
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")  # WHATWG URL: a last label like this makes an IPv4 address
_AUTHORITY = re.compile(r"(?:[^/?#]*@)?(?:\[([^\]/?#]*)\]|([^:/?#]*))[^/?#]*")
_TELLING = frozenset({b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"origin", b"referer"})


class Place(NamedTuple):
    """Where a URL leads, as cookies see it: the host in lower case, the path as it was written."""

    secure: bool
    host: str
    path: str


class Reach(Enum):
    """How a request came about (RFC 6265bis 5.2): decides over SameSite."""

    SAME_SITE = auto()
    NAVIGATION = auto()  # from another site, top-level, with a safe method
    SUBMISSION = auto()  # from another site, top-level, with an unsafe method
    CROSS_SITE = auto()  # from another site, part of its page


def parse_place(url: str) -> Place:
    """Return the place of an absolute http(s) or ws(s) URL; its port, query and fragment say nothing to cookies."""
    scheme, _, rest = url.partition("://")
    match = _AUTHORITY.match(rest)
    assert match is not None
    path = rest[match.end() :].partition("#")[0].partition("?")[0]
    return Place(scheme.lower() in _SECURE, (match[1] or match[2]).lower().removesuffix("."), path or "/")


def is_address(host: str) -> bool:
    """Return whether a host of a URL is an address and not a name."""
    return ":" in host or _NUMBER.match(host.rpartition(".")[2]) is not None


@lru_cache(1)
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


@lru_cache(4096)
def is_public_suffix(name: str) -> bool:
    """Return whether everybody may register below `name`; the last label of an unlisted name counts as one."""
    return not is_address(name) and _suffixes().is_public(name)


@lru_cache(4096)
def registrable_domain(host: str) -> str | None:
    """Return the public suffix of a host with one label more; None for addresses and public suffixes."""
    return None if is_address(host) else _suffixes().privatesuffix(host)


def is_same_site(one: Place, other: Place) -> bool:
    """Return whether two places belong to one site, schemes included (HTML "schemefully same site")."""
    if one.secure is not other.secure:
        return False
    return one.host == other.host or registrable_domain(one.host) == registrable_domain(other.host) is not None


def reach_of(fields: Iterable[Field], *, url: str, method: str) -> Reach:
    """Return how a request for `url` came about, by Sec-Fetch-*, else Origin, else Referer.

    Clients that say nothing of it (agents, plain http) choose by themselves what they send: same-site.
    """
    found = {lower: value for name, value in fields if (lower := name.lower()) in _TELLING}
    if not found:
        return Reach.SAME_SITE
    site = found.get(b"sec-fetch-site")
    if site is None:
        return _by_source(found, url=url, method=method)
    if site.strip().lower() != b"cross-site":
        return Reach.SAME_SITE
    return _from_elsewhere(method) if _is_top_level(found) else Reach.CROSS_SITE


def _is_top_level(found: dict[bytes, bytes]) -> bool:
    mode, dest = found.get(b"sec-fetch-mode"), found.get(b"sec-fetch-dest", b"document")
    return mode == b"navigate" and dest == b"document"


def _from_elsewhere(method: str) -> Reach:
    return Reach.NAVIGATION if method in _SAFE else Reach.SUBMISSION


def _by_source(found: dict[bytes, bytes], *, url: str, method: str) -> Reach:
    """Judge by where the request came from; a Referer alone does not tell a link from an image."""
    source = found.get(b"origin") or found.get(b"referer")
    if not source or is_same_site(parse_place(source.decode("latin-1")), parse_place(url)):
        return Reach.SAME_SITE
    return Reach.CROSS_SITE if b"origin" in found else _from_elsewhere(method)
