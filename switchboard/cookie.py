"""One cookie: reading Set-Cookie, and to which requests it belongs (RFC 6265bis 5.4 to 5.8).

Written out here and not left to a library: `http.cookiejar` follows RFC 2965 (no SameSite, no prefixes, no public
suffixes, host-only cookies go to sub-domains), aiohttp's jar has no public suffixes, prefixes or SameSite and sends
one cookie a name; both read the clock by themselves, and two workers' jars cannot be merged. They serve as oracles
in the tests, where they agree with the RFC. The public suffix list is that of the maintained package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from switchboard.cookie_date import parse_date
from switchboard.site import Place, Reach, is_address, is_public_suffix, registrable_domain

MOST_PAIR_BYTES = 4096
MOST_ATTRIBUTE_BYTES = 1024
MOST_AGE_S = 400 * 86_400
GONE = 0.0  # before every time that counts

_LAX_GRACE_S = 120.0  # RFC 6265bis 5.7.7.2: "Lax-allowing-unsafe"
_WSP = b" \t"
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_AGE = re.compile(rb"-?[0-9]+\Z")


class SameSite(StrEnum):
    NONE = "none"
    LAX = "lax"
    STRICT = "strict"
    DEFAULT = "default"  # not said: Lax, but for the first two minutes


@dataclass(frozen=True, slots=True)
class Cookie:
    """A stored cookie; times are Unix seconds. `expires` None: as long as the jar; at or before now: gone.

    `stored` is when it was last set, `created` when it was first. The value never shows in a repr.
    """

    name: bytes
    value: bytes = field(repr=False)
    domain: str
    host_only: bool
    path: str
    secure: bool
    http_only: bool
    same_site: SameSite
    expires: float | None
    created: float
    stored: float

    @property
    def identity(self) -> tuple[bytes, str, bool, str]:
        return self.name, self.domain, self.host_only, self.path

    @property
    def size(self) -> int:
        return len(self.name) + len(self.value) + len(self.domain) + len(self.path)

    @property
    def pair(self) -> bytes:
        """The cookie as it stands in a Cookie field."""
        return self.name + b"=" + self.value if self.name else self.value

    def is_gone(self, now: float) -> bool:
        return self.expires is not None and self.expires <= now

    def belongs_to(self, place: Place, *, reach: Reach, now: float) -> bool:
        """Return whether a request to `place` carries this cookie."""
        return (
            (self.domain == place.host if self.host_only else domain_matches(place.host, self.domain))
            and path_matches(place.path, self.path)
            and (place.secure or not self.secure)
            and not self.is_gone(now)
            and (reach is Reach.SAME_SITE or self._reaches(reach, now))
        )

    def _reaches(self, reach: Reach, now: float) -> bool:
        if self.same_site is SameSite.NONE:
            return True
        if reach is Reach.NAVIGATION:
            return self.same_site is not SameSite.STRICT
        return reach is Reach.SUBMISSION and self.same_site is SameSite.DEFAULT and now - self.created < _LAX_GRACE_S


def domain_matches(host: str, domain: str) -> bool:
    """RFC 6265bis 5.1.3; both in lower case."""
    return host == domain or (host.endswith("." + domain) and not is_address(host))


def path_matches(path: str, cookie_path: str) -> bool:
    """RFC 6265bis 5.1.4."""
    if not path.startswith(cookie_path):
        return False
    return len(path) == len(cookie_path) or cookie_path[-1:] == "/" or path[len(cookie_path)] == "/"


def default_path(path: str) -> str:
    """RFC 6265bis 5.1.4: up to the last slash of the request's path, without it."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def parse_set_cookie(line: bytes, place: Place, *, now: float, upstream: Place | None = None) -> Cookie | None:
    """Return the cookie of one Set-Cookie value that came from `place`, None where a browser would ignore it.

    `upstream` is where a sandbox gave the answer that `place` stands for: a Domain or Path of its own is read as
    the one of production that stands for it.
    """
    if _CONTROL.search(line):
        return None
    pair, _, rest = line.partition(b";")
    name, equals, value = pair.partition(b"=")
    if not equals:
        name, value = b"", pair
    name, value = name.strip(_WSP), value.strip(_WSP)
    if not name + value or len(name) + len(value) > MOST_PAIR_BYTES:
        return None
    attributes = dict(_attributes(rest))
    scope = _scope(attributes.get(b"domain", b""), place, upstream)
    if scope is None:
        return None
    domain, host_only = scope
    cookie = Cookie(
        name=name,
        value=value,
        domain=domain,
        host_only=host_only,
        path=_path(attributes.get(b"path", b""), place, upstream),
        secure=b"secure" in attributes,
        http_only=b"httponly" in attributes,
        same_site=_same_site(attributes.get(b"samesite")),
        expires=_expires(attributes, now),
        created=now,
        stored=now,
    )
    return cookie if _is_allowed(cookie, place, whole=attributes.get(b"path") == b"/") else None


def _attributes(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give name and value of each attribute; of those that are repeated the last one counts."""
    for part in text.split(b";"):
        name, _, value = part.partition(b"=")
        value = value.strip(_WSP)
        if len(value) <= MOST_ATTRIBUTE_BYTES:
            name = name.strip(_WSP).lower()
            if name not in (b"max-age", b"expires") or _instant(name, value, 0.0) is not None:
                yield name, value


def _is_allowed(cookie: Cookie, place: Place, *, whole: bool) -> bool:
    """RFC 6265bis 5.7 steps 8, 18 and 19 to 21. `whole`: Path was said to be `/`."""
    if not cookie.secure and cookie.same_site is SameSite.NONE:
        return False
    if cookie.secure and not place.secure:
        return False
    # A nameless cookie is sent as its value alone, and must not pass for a prefixed one.
    prefixed = (cookie.name or cookie.value).lower()
    if prefixed.startswith((b"__secure-", b"__host-")) and not (cookie.name and cookie.secure):
        return False
    return not prefixed.startswith(b"__host-") or (cookie.host_only and whole)


def _scope(attribute: bytes, place: Place, upstream: Place | None) -> tuple[str, bool] | None:
    """Return the cookie's domain and whether only that host gets it; None where the cookie is refused."""
    if not attribute.isascii():
        return None
    domain = attribute.decode("ascii").lower().removeprefix(".")
    if not domain:
        return place.host, True
    if upstream is not None and not domain_matches(place.host, domain) and domain_matches(upstream.host, domain):
        # The sandbox's own name, or one above it that its other hosts share.
        domain = place.host if domain == upstream.host else registrable_domain(place.host) or place.host
    if is_address(domain) or is_public_suffix(domain):
        return (domain, True) if domain == place.host else None
    return (domain, False) if domain_matches(place.host, domain) else None


def _path(attribute: bytes, place: Place, upstream: Place | None) -> str:
    path = attribute.decode("latin-1")
    if not path.startswith("/"):
        return default_path(place.path)
    if upstream is None or path == "/" or place.path == upstream.path:
        return path
    outside, inside = _prefixes(place.path, upstream.path)
    if not inside:  # then a path below the outer prefix is one that the sandbox knows of production
        return path if path_matches(path, outside) else outside + path
    if path_matches(path, inside):
        return outside + path[len(inside) :] or "/"
    return outside or "/" if path_matches(inside, path) else path


def _prefixes(one: str, other: str) -> tuple[str, str]:
    """Return what two paths begin with before the longest end that they share, on segment borders."""
    first, second = one.split("/"), other.split("/")
    shared = 0
    while shared < min(len(first), len(second)) - 1 and first[-1 - shared] == second[-1 - shared]:
        shared += 1
    return "/".join(first[: len(first) - shared]), "/".join(second[: len(second) - shared])


def _same_site(attribute: bytes | None) -> SameSite:
    try:
        return SameSite((attribute or b"").decode("ascii").lower())
    except ValueError:
        return SameSite.DEFAULT


def _expires(attributes: dict[bytes, bytes], now: float) -> float | None:
    """Max-Age before Expires; neither may reach further than 400 days."""
    for name in (b"max-age", b"expires"):
        if name in attributes:
            instant = _instant(name, attributes[name], now)
            return None if instant is None else min(instant, now + MOST_AGE_S)
    return None


def _instant(name: bytes, value: bytes, now: float) -> float | None:
    """Return the time that a Max-Age or an Expires says, None for one that is to be ignored."""
    if name == b"expires":
        return parse_date(value.decode("latin-1"))
    if not _MAX_AGE.match(value):
        return None
    if value[:1] == b"-" or not value.strip(b"0"):
        return GONE
    return now + (int(value) if len(value) < 12 else MOST_AGE_S)
