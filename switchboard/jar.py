"""The switchboard's own cookie jar of one client in one drill. Pure: the clock is an argument.

Theory: with `cookies: isolate` a sandbox's cookies never enter the browser and the browser's never leave it, so the
switchboard does what a browser would do with them (RFC 6265bis). URLs are production's, as the browser knows them;
`upstream` is the sandbox's own of the same request, so that a Domain or Path that names the sandbox is understood.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import orjson

from switchboard.cookie import Cookie, SameSite, domain_matches, parse_set_cookie, path_matches
from switchboard.site import Place, Reach, parse_place

MOST_COOKIES = 600
MOST_BYTES = 128 * 1024

_VERSION = 1
_RENEWED_S = 60.0  # setting the same cookie again sooner than this changes nothing
_MOST_REPEATED = 8
# A cookie that means the same whatever the path and the time of the answer that sets it.
_PLAIN = re.compile(rb"[^;]*(?:; ?(?:path=/|httponly|secure|samesite=[a-z]+))*", re.IGNORECASE)
Identity = tuple[bytes, str, bool, str]


@dataclass(frozen=True, slots=True)
class Jar:
    """Cookies in the order of their creation. Make one with `Jar.of` or `Jar.from_json`."""

    cookies: tuple[Cookie, ...] = ()
    _by_domain: Mapping[str, tuple[Cookie, ...]] = field(default_factory=dict, repr=False, compare=False)
    _repeated: dict[object, float] = field(default_factory=dict, repr=False, compare=False)  # what changes nothing

    @staticmethod
    def empty() -> Jar:
        return _EMPTY

    @staticmethod
    def of(cookies: Iterable[Cookie]) -> Jar:
        """Return a jar of cookies that fit together: no identity twice, within the limits."""
        kept = tuple(cookies)
        by_domain: dict[str, tuple[Cookie, ...]] = {}
        for cookie in kept:
            by_domain[cookie.domain] = (*by_domain.get(cookie.domain, ()), cookie)
        return Jar(kept, by_domain)

    @property
    def size(self) -> int:
        """Bytes of all names, values, domains and paths."""
        return sum(cookie.size for cookie in self.cookies)

    def store(
        self,
        set_cookie: Sequence[bytes],
        *,
        url: str,
        now: float,
        upstream: str | None = None,
        reach: Reach = Reach.SAME_SITE,
    ) -> Jar:
        """Return the jar after an answer from `url` with these Set-Cookie values; the same one if nothing changes."""
        if not set_cookie:
            return self
        place = parse_place(url)
        same = (place.secure, place.host, reach, *set_cookie)
        if now < self._repeated.get(same, 0.0):
            return self  # many servers set their session cookie with every answer
        inner = parse_place(upstream) if upstream is not None else None
        kept = {cookie.identity: cookie for cookie in self.cookies}
        for line in set_cookie:
            cookie = parse_set_cookie(line, place, now=now, upstream=inner)
            if cookie is None or (reach is Reach.CROSS_SITE and cookie.same_site is not SameSite.NONE):
                continue
            if not (cookie.secure or place.secure or not _is_shadowed(cookie, kept.values())):
                continue
            _put(kept, cookie, now)
        stored = self._with(kept, now)
        if stored is self and all(map(_is_plain, set_cookie)):
            self._repeat(same)
        return stored

    def _repeat(self, same: object) -> None:
        """Remember what changes nothing, for as long as no cookie here is renewed or gone."""
        if len(self._repeated) >= _MOST_REPEATED:
            self._repeated.clear()
        ends = (cookie.expires for cookie in self.cookies if cookie.expires is not None)
        renewals = (cookie.stored + _RENEWED_S for cookie in self.cookies)
        self._repeated[same] = min((*ends, *renewals), default=0.0)

    def _with(self, kept: dict[Identity, Cookie], now: float) -> Jar:
        live = [cookie for cookie in kept.values() if not cookie.is_gone(now)]
        if len(live) == len(self.cookies) and all(map(_is_same, live, self.cookies)):
            return self
        return Jar.of(_within_limits(live))

    def cookie_header(self, *, url: str, now: float, reach: Reach = Reach.SAME_SITE) -> bytes | None:
        """Return the value of Cookie for a request to `url`; None where no cookie belongs to it."""
        if not self.cookies:
            return None
        found = self._belonging(parse_place(url), reach=reach, now=now)
        return b"; ".join([cookie.pair for cookie in found]) if found else None

    def values(self, *, url: str, now: float) -> dict[bytes, bytes]:
        """Return name and value of the cookies that belong to a request from the same site, most specific wins."""
        found = self._belonging(parse_place(url), reach=Reach.SAME_SITE, now=now)
        return {cookie.name: cookie.value for cookie in reversed(found)}

    def _belonging(self, place: Place, *, reach: Reach, now: float) -> list[Cookie]:
        """Return the cookies of a request, longer paths first, then older ones (RFC 6265bis 5.8.3)."""
        groups, domain = [], place.host
        while domain:
            if group := self._by_domain.get(domain):
                groups.append(group)
            domain = domain.partition(".")[2]
        found = [cookie for cookie in chain.from_iterable(groups) if cookie.belongs_to(place, reach=reach, now=now)]
        if len(found) > 1:
            found.sort(key=lambda cookie: (-len(cookie.path), cookie.created))
        return found

    def rebased(self, *, old: Jar, onto: Jar) -> Jar:
        """Return `onto` with what changed from `old` to this jar done to it: two workers' changes come together."""
        before = {cookie.identity: cookie for cookie in old.cookies}
        after = {cookie.identity: cookie for cookie in self.cookies}
        kept = {cookie.identity: cookie for cookie in onto.cookies}
        for identity in before.keys() - after.keys():
            kept.pop(identity, None)
        kept |= {identity: cookie for identity, cookie in after.items() if before.get(identity) != cookie}
        if tuple(kept.values()) == onto.cookies:
            return onto
        return Jar.of(_within_limits(sorted(kept.values(), key=lambda cookie: cookie.created)))

    def to_json(self) -> bytes:
        """Return the jar as `from_json` reads it; it holds cookies in clear and is for sealing only."""
        return orjson.dumps({"v": _VERSION, "cookies": [_row(cookie) for cookie in self.cookies]})

    @staticmethod
    def from_json(data: bytes) -> Jar:
        """Return the jar that was written; raises ValueError for anything else, without quoting it."""
        try:
            document = orjson.loads(data)
            if document["v"] != _VERSION:
                raise ValueError
            cookies = [_cookie(*row) for row in document["cookies"]]
        except (ValueError, TypeError, KeyError, UnicodeError):
            raise ValueError("not a cookie jar of this version") from None
        return Jar.of(cookies) if cookies else _EMPTY


_EMPTY = Jar()


def jar_key(*, client: str, user_agent: str, user: str | None = None, visitor: str | None = None) -> str:
    """Return the key of a client's jar: by the drill cookie's id (`visitor`) where there is one.

    Else by address, User-Agent and proxy login, which people behind one address may share: they need the cookie.
    """
    parts = ("visitor", visitor) if visitor else ("client", client, user_agent, user or "")
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        text = part.encode("utf-8", "surrogatepass")
        digest.update(len(text).to_bytes(4, "big") + text)
    return digest.hexdigest()


def _put(kept: dict[Identity, Cookie], cookie: Cookie, now: float) -> None:
    """Set one cookie as RFC 6265bis 5.7 steps 22 to 25 do: a new one keeps the place and age of the one it replaces."""
    identity = cookie.identity
    if cookie.is_gone(now):
        kept.pop(identity, None)
        return
    old = kept.get(identity)
    if old is not None:
        if cookie.stored - old.stored < _RENEWED_S and _means(cookie) == _means(old):
            return
        cookie = replace(cookie, created=old.created)
    kept[identity] = cookie


def _means(cookie: Cookie) -> tuple[bytes, bool, bool, SameSite, float | None]:
    """Return what a cookie says besides its identity and its age."""
    return cookie.value, cookie.secure, cookie.http_only, cookie.same_site, cookie.expires


def _is_shadowed(cookie: Cookie, others: Iterable[Cookie]) -> bool:
    """Return whether a cookie from plain http would lie over a Secure one (RFC 6265bis 5.7 step 17)."""
    return any(
        other.secure
        and other.name == cookie.name
        and (domain_matches(other.domain, cookie.domain) or domain_matches(cookie.domain, other.domain))
        and path_matches(cookie.path, other.path)
        for other in others
    )


def _is_plain(line: bytes) -> bool:
    return _PLAIN.fullmatch(line) is not None and b"path=/" in line.lower()


def _is_same(one: Cookie, other: Cookie) -> bool:
    return one is other


def _within_limits(cookies: list[Cookie]) -> list[Cookie]:
    """Return the cookies without those that were last set the longest ago, as many as are too many."""
    size = sum(cookie.size for cookie in cookies)
    if len(cookies) <= MOST_COOKIES and size <= MOST_BYTES:
        return cookies
    gone: set[Identity] = set()
    for cookie in sorted(cookies, key=lambda cookie: cookie.stored):
        if len(cookies) - len(gone) <= MOST_COOKIES and size <= MOST_BYTES:
            break
        gone.add(cookie.identity)
        size -= cookie.size
    return [cookie for cookie in cookies if cookie.identity not in gone]


def _row(cookie: Cookie) -> list[Any]:
    flags = cookie.host_only | cookie.secure << 1 | cookie.http_only << 2
    name, value = cookie.name.decode("latin-1"), cookie.value.decode("latin-1")
    times = (cookie.expires, cookie.created, cookie.stored)
    return [name, value, cookie.domain, cookie.path, flags, str(cookie.same_site), *times]


def _cookie(*row: Any) -> Cookie:
    name, value, domain, path, flags, same_site, expires, created, stored = row
    if not (isinstance(domain, str) and isinstance(path, str) and path.startswith("/") and isinstance(flags, int)):
        raise ValueError
    return Cookie(
        name=name.encode("latin-1"),
        value=value.encode("latin-1"),
        domain=domain,
        host_only=bool(flags & 1),
        path=path,
        secure=bool(flags & 2),
        http_only=bool(flags & 4),
        same_site=SameSite(same_site),
        expires=None if expires is None else float(expires),
        created=float(created),
        stored=float(stored),
    )
