"""A request that is only talked about: as its client would send it, from a URL or from what a log or a shell holds."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple
from urllib.parse import quote, unquote

from switchboard.authority import Unclear, to_ascii
from switchboard.errors import BadInput
from switchboard.headers import Field

# WebSockets begin as plain requests (RFC 6455 4.1).
_SCHEMES: dict[str, Literal["http", "https"]] = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_UPGRADE: tuple[Field, ...] = (
    (b"Connection", b"Upgrade"),
    (b"Upgrade", b"websocket"),
    (b"Sec-WebSocket-Version", b"13"),
    (b"Sec-WebSocket-Key", b"AAAAAAAAAAAAAAAAAAAAAA=="),
)
_AS_IT_IS = "".join(map(chr, range(0x21, 0x7F)))


class Target(NamedTuple):
    """A URL in the parts that go on the wire. `userinfo` is as written, still encoded."""

    scheme: Literal["http", "https"]
    authority: str
    target: str
    userinfo: str = ""
    upgrade: bool = False


@dataclass(frozen=True, slots=True)
class Specimen:
    """One request. `authority` is where its URL leads; a Host among the `fields` may say something else.

    `target` is in origin-form. `notes` say what its reader had to assume.
    """

    method: str
    scheme: Literal["http", "https"]
    authority: str
    target: str
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    notes: tuple[str, ...] = ()

    @property
    def sent(self) -> tuple[Field, ...]:
        """Return all fields, Host first, with the Host and the length that a client adds by itself."""
        names = {name.lower() for name, _ in self.fields}
        host = tuple(pair for pair in self.fields if pair[0].lower() == b"host")
        host = host or ((b"Host", self.authority.encode("utf-8", "surrogateescape")),)
        others = tuple(pair for pair in self.fields if pair[0].lower() != b"host")
        is_framed = not self.body or not names.isdisjoint((b"content-length", b"transfer-encoding"))
        length = () if is_framed else ((b"Content-Length", b"%d" % len(self.body)),)
        return (*host, *others, *length)

    def with_notes(self, *notes: str) -> Specimen:
        return replace(self, notes=(*self.notes, *notes))


def split_url(url: str) -> Target:
    """Return the parts of an absolute http(s) or ws(s) URL as clients send them: no fragment, encoded where it must.

    Raises BadInput.
    """
    scheme, separator, rest = url.strip().partition("://")
    known = _SCHEMES.get(scheme.lower())
    if known is None or not separator:
        raise BadInput(f"URL: {shown_url(url)!r} does not start with http:// or https://")
    rest = rest.partition("#")[0]
    end = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
    userinfo, _, authority = rest[:end].rpartition("@")
    if not authority:
        raise BadInput(f"URL: {shown_url(url)!r} names no host")
    target = quote(rest[end:].encode("utf-8", "surrogateescape"), safe=_AS_IT_IS)
    path = target if target.startswith("/") else f"/{target}"
    return Target(known, _named(authority), path, userinfo, scheme.lower() in ("ws", "wss"))


def specimen_of(url: str, *, method: str | None = None, fields: Iterable[Field] = ()) -> Specimen:
    """Return the request for a URL, as a client sends it that adds nothing of its own; raises BadInput."""
    parts = split_url(url)
    given = tuple(fields)
    login = basic_login(parts.userinfo, given)
    upgrade = _UPGRADE if parts.upgrade and not any(name.lower() == b"upgrade" for name, _ in given) else ()
    found = Specimen((method or "GET").upper(), parts.scheme, parts.authority, parts.target, (*login, *given, *upgrade))
    return found.with_notes("user and password of the URL go as Authorization") if login else found


def basic_login(userinfo: str, fields: Iterable[Field]) -> tuple[Field, ...]:
    """Return the Authorization that stands for a URL's user and password; none where there is one already."""
    if not userinfo or any(name.lower() == b"authorization" for name, _ in fields):
        return ()
    user, _, password = userinfo.partition(":")
    return (basic(f"{unquote(user)}:{unquote(password)}"),)


def basic(login: str) -> Field:
    """Return the Authorization of `user:password` (RFC 7617)."""
    return b"Authorization", b"Basic " + base64.b64encode(login.encode("utf-8", "surrogateescape"))


def parse_field(text: str) -> Field:
    """Return the field of `Name: value`; raises BadInput without repeating the value."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise BadInput(
            f"header {name.strip()[:40]!r}: a name, a colon and a value like 'Accept: text/html' is expected"
        )
    return name.encode("utf-8", "surrogateescape"), value.strip().encode("utf-8", "surrogateescape")


def shown_url(url: str) -> str:
    """Return a URL for an error: without user, password and query."""
    head, at, rest = url.partition("?")[0].rpartition("@")
    return (f"...@{rest}" if at else head + rest)[:120]


def _named(authority: str) -> str:
    """Return an authority with its host as browsers write it; one that cannot be is left for the policy to refuse."""
    if authority.isascii():
        return authority
    host, colon, port = authority.partition(":")
    try:
        return to_ascii(host) + colon + port
    except Unclear:
        return authority
