"""Cookies that scripts of a page must read, in a drill: set in the browser under a drill prefix, and taken off again.

`XSRF-TOKEN` becomes `esr-XSRF-TOKEN`, `__Host-csrf` becomes `__Host-esr-csrf`: the browser's own cookie of the name is
neither overwritten nor sent to the sandbox, and what is left over after the drill is known by its name.

A page finds such a cookie in one of three ways, all of which end in the sandbox's own value in the request:
- `reader_script` in the page: `document.cookie` shows it under the name that the page knows, and hides the
  browser's own of that name;
- scripts that are written for drills read the prefixed name;
- a page without either sends on the production value that it finds (an X-XSRF-TOKEN): `twins` says which value of
  the sandbox stands for it, and `cross` gives the fields to send.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote_to_bytes

import orjson

from switchboard.cookie import Cookie, SameSite, parse_set_cookie
from switchboard.headers import looks_like_credential
from switchboard.site import Place, is_address, parse_place, registrable_domain

PREFIX = b"esr-"

Field = tuple[bytes, bytes]

_KEPT_PREFIX = re.compile(rb"__(?:host|secure)-", re.IGNORECASE)
_EXPOSED = re.compile(rb"(?i:__(?:host|secure)-)?esr-")
_NEVER = frozenset({b"cookie", b"authorization", b"proxy-authorization"})

_READER = """(function (names) {
  'use strict';
  var own = Object.getOwnPropertyDescriptor(Document.prototype, 'cookie');
  if (!own || !own.configurable) return;
  var exposed = new Map(names), known = new Map(names.map(function (pair) { return [pair[1], pair[0]]; }));
  function nameOf(pair) { return pair.split('=', 1)[0].trim(); }
  function renamed(pair, name) { return name + pair.slice(pair.indexOf('=')); }
  Object.defineProperty(Document.prototype, 'cookie', {
    configurable: true,
    enumerable: own.enumerable,
    get: function () {
      return own.get.call(this).split('; ').filter(function (pair) {
        return !exposed.has(nameOf(pair));
      }).map(function (pair) {
        var name = known.get(nameOf(pair));
        return name === undefined ? pair : renamed(pair, name);
      }).join('; ');
    },
    set: function (text) {
      text = String(text);
      var name = text.indexOf('=') < 0 ? undefined : exposed.get(nameOf(text));
      own.set.call(this, name === undefined ? text : renamed(text, name) + '; path=/');
    }
  });
})(%s);"""


def exposed_name(name: bytes) -> bytes:
    """Return the name under which a cookie is set in the browser; what its prefix demands stays demanded."""
    kept = _KEPT_PREFIX.match(name)
    return name[: kept.end()] + PREFIX + name[kept.end() :] if kept else PREFIX + name


def expose(
    set_cookie: Sequence[bytes],
    *,
    names: Collection[str],
    url: str,
    now: float,
    until: float | None = None,
    upstream: str | None = None,
) -> list[bytes]:
    """Return the Set-Cookie values for the browser of those cookies of an answer from `url` that scripts must read.

    Cookies that are HttpOnly stay in the jar: no script could read them. All get `Path=/`, so that they can be taken
    off again without knowing where they were set; none outlives `until` (Unix seconds, the drill's deadline).
    """
    wanted = frozenset(name.encode("latin-1", "replace") for name in names)
    place, inner = parse_place(url), parse_place(upstream) if upstream is not None else None
    lines = []
    for line in set_cookie if wanted else ():
        cookie = parse_set_cookie(line, place, now=now, upstream=inner)
        if cookie is not None and cookie.name in wanted and not cookie.http_only:
            lines.append(b"; ".join(_exposing(cookie, now, until)))
    return lines


def _exposing(cookie: Cookie, now: float, until: float | None) -> Iterator[bytes]:
    yield exposed_name(cookie.name) + b"=" + cookie.value
    yield b"Path=/"
    if not cookie.host_only:
        yield b"Domain=" + cookie.domain.encode("ascii")
    if cookie.expires is not None:
        end = cookie.expires if until is None else min(cookie.expires, until)
        yield b"Max-Age=%d" % max(0, int(end - now))
    if cookie.secure:
        yield b"Secure"
    if cookie.same_site is not SameSite.DEFAULT:
        yield b"SameSite=" + cookie.same_site.title().encode()


def strip_exposed(cookie_header: bytes) -> bytes:
    """Return a Cookie value without exposed cookies, byte for byte the same where it has none; may be empty."""
    if PREFIX not in cookie_header:
        return cookie_header
    parts = cookie_header.split(b";")
    kept = [part for part in parts if not _EXPOSED.match(part.strip())]
    return cookie_header if len(kept) == len(parts) else b";".join(kept).strip()


def expire_exposed(cookie_header: bytes, *, url: str) -> list[bytes]:
    """Return the Set-Cookie values that delete every exposed cookie that a request to `url` carried."""
    if PREFIX not in cookie_header:
        return []
    place = parse_place(url)
    names = (part.partition(b"=")[0].strip() for part in cookie_header.split(b";"))
    found = dict.fromkeys(name for name in names if _EXPOSED.match(name))
    return [line for name in found for line in _expiring(name, place)]


def _expiring(name: bytes, place: Place) -> Iterator[bytes]:
    """Give a line for the host alone, and one for each domain above it that a cookie may have been set for."""
    line = name + b"=; Path=/; Max-Age=0" + (b"; Secure" if place.secure else b"")
    yield line
    if is_address(place.host) or name.lower().startswith(b"__host-"):
        return
    domain, top = place.host, registrable_domain(place.host)
    while top is not None and domain:
        yield line + b"; Domain=" + domain.encode("ascii")
        if domain == top:
            return
        domain = domain.partition(".")[2]


def twins(cookie_header: bytes, *, names: Collection[str], values: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return what stands in the sandbox for the values that a browser may repeat from its cookies of these names.

    `values` are the jar's cookies by name. The browser's own value, the exposed one and the jar's are known as they
    stand and percent-decoded, which is how scripts mostly send them on. Nothing stands for what the jar lacks.
    """
    wanted = {name.encode("latin-1", "replace"): values.get(name.encode("latin-1", "replace")) for name in names}
    known = {name: value for name, value in wanted.items() if value}
    found: dict[bytes, bytes] = {}
    for part in cookie_header.split(b";") if known else ():
        name, _, value = part.strip().partition(b"=")
        for original, twin in known.items():
            if name in (original, exposed_name(original)) and value:
                found[value] = twin
                found.setdefault(unquote_to_bytes(value), unquote_to_bytes(twin))
    for twin in known.values():
        found[twin] = twin
        found[unquote_to_bytes(twin)] = unquote_to_bytes(twin)
    return found


def cross(fields: Iterable[Field], twins: Mapping[bytes, bytes]) -> tuple[Field, ...]:
    """Return those fields that repeat a cookie's value, with the sandbox's in its place; they are for sending.

    Only fields that look like a credential are meant: the others cross by themselves.
    """
    if not twins:
        return ()
    return tuple(
        (name, twins[value])
        for name, value in fields
        if value in twins and name.lower() not in _NEVER and looks_like_credential(name) and _is_sound(twins[value])
    )


def _is_sound(value: bytes) -> bool:
    """Return whether percent-decoding has not made of a value what no field may hold (RFC 9110 5.5)."""
    return not any(byte < 0x20 or byte == 0x7F for byte in value)


def reader_script(names: Collection[str]) -> str:
    """Return a script for the head of a drill's pages: they read and set exposed cookies under the names they know."""
    pairs = [[name, exposed_name(name.encode("latin-1", "replace")).decode("latin-1")] for name in names]
    text = orjson.dumps(pairs).decode().replace("<", "\\u003c")  # so that no name can end the element
    return _READER % text if pairs else ""
