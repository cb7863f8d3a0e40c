"""Header fields at the border between production's clients and a sandbox: what crosses, what never does.

Fields are (name, value) pairs of bytes in their order, as they came off the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from itertools import compress
from urllib.parse import unquote_plus

Field = tuple[bytes, bytes]

MOST_BYTES = 64 * 1024

_MOST_REMEMBERED = 4096
_NOTHING: frozenset[bytes] = frozenset()

# RFC 9110 5.6.2 and 5.5: what names and values are made of; whatever `translate` leaves over is not allowed.
_IN_NAME = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_IN_VALUE = bytes({*range(256)} - {*range(0x09), *range(0x0A, 0x20), 0x7F})
# Dropping one of these because a Connection field names it would unframe the body or the request (RFC 9110 7.6.1).
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"host"})
_ONCE = b"host content-length transfer-encoding upgrade expect content-type sec-websocket-version".split()
# Requests with none of these, most of them, can only be ambiguous about their host.
_TELLING = frozenset({*_ONCE, b"trailer", b"service-worker"} - {b"host"})

# Anything that looks like a credential and has no rule is removed. RFC 9110 11.6, and what APIs commonly use.
_CREDENTIALS = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"cookie2", b"dpop", b"client-cert"})
_CREDENTIAL_WORD = re.compile(
    rb"token|secret|passw|(api|access|private|subscription|functions)-?key|auth|session|credential|jwt|csrf|xsrf"
    rb"|assertion|signature|remote-user|client-cert|bearer|(^|-)(sid|otp|pin|sso)(-|$)|^sm-"
)
_NO_CREDENTIALS = frozenset(
    {b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol", b"sec-websocket-extensions"}
)
# Names of query and path parameters, decoded and in lower case.
_CREDENTIAL_PARAMETER = re.compile(
    r"token(?![a-z])|secret|passw|pwd|session|jwt|signature|credential|assertion|saml|oauth|csrf|xsrf|bearer"
    r"|(api|access|private|subscription)[_-]?key|^(key|sid|sig|code|auth|authorization|otp|pin|sso)$|_sid$"
)
_PATH_PARAMETER = re.compile(r";([^/;=]*)(?:=[^/;]*)?")
_PARAMETER = re.compile(r"(^|[&;])([^&;]*)")
# Routing that a server behind could obey instead of Host (LEAKS HT-11).
_ROUTING = re.compile(
    rb"x-forwarded-.*|forwarded|x-real-ip|x-original-.*|x-rewrite-url|x-host|x-(http-)?method(-override)?|via"
    rb"|true-client-ip|x-client-ip|x-cluster-client-ip|(cf|fastly|akamai)-.*|x-envoy-.*|x-tenant.*|x-env(ironment)?"
)
# What one side's caches and cursors remember of the other (HT-16, HT-17).
_CONDITIONAL = re.compile(rb"if-.*|range|last-event-id")
# Identifiers that would join a drill to production's traces (DT-09).
_TRACING = re.compile(
    rb"trace(parent|state)|baggage|b3|x-b3-.*|sentry-trace|x-datadog-.*|x-amzn-trace-id|uber-.*|newrelic|elastic-apm-.*"
    rb"|x-cloud-trace-context|x-ot-span-context|(x-)?(request|correlation|trace)-id"
)
_HOP_BY_HOP = frozenset({b"proxy-connection", b"keep-alive", b"te", b"http2-settings", b"proxy-authenticate"})
_REQUEST_DROPPED = frozenset({b"referer", b"host", b"service-worker"})

# Answers that would outlive the drill in the browser, or lead out of it (LEAKS BR-01 to BR-11, TL-12).
_ANSWER_DROPPED = frozenset(
    b"set-cookie set-cookie2 strict-transport-security public-key-pins public-key-pins-report-only expect-ct nel"
    b" report-to reporting-endpoints alt-svc alt-used clear-site-data accept-ch critical-ch etag last-modified"
    b" expires age service-worker-allowed content-security-policy-report-only link speculation-rules"
    b" authentication-info proxy-authentication-info permissions-policy-report-only keep-alive proxy-connection"
    b" x-hms-drill cache-control pragma".split()
)


@dataclass(frozen=True, slots=True)
class Crossed:
    """Fields to send, and the names of those taken out because they look like credentials."""

    fields: tuple[Field, ...]
    removed: tuple[str, ...] = ()


def canonical(name: bytes) -> bytes:
    """Return a field name as servers that hand fields on as variables read it: any case, `_` for `-` (RFC 3875)."""
    return name.lower().replace(b"_", b"-")


def screen(fields: Iterable[Field]) -> str | None:
    """Return why a request's fields cannot be trusted to mean one thing, or None (RFC 9110 5.5, RFC 9112 6)."""
    fields = tuple(fields)
    names, values = _names(fields), [value for _, value in fields]
    if names.flaw is not None:
        return names.flaw
    text = b"".join(values)
    if text.translate(None, _IN_VALUE):
        return "control character in header value"
    if names.size + len(text) > MOST_BYTES:
        return "header fields larger than 64 KiB"
    if not names.telling:
        return None
    found = dict(zip(names.canonical, values, strict=True))
    return _framing(found) or _upgrade(found)


def can_split(texts: Iterable[bytes]) -> bool:
    """Return whether some text, carried in a frame until now, would end a line of HTTP/1 (RFC 9113 8.2.1)."""
    text = b"".join(texts)
    return b"\r" in text or b"\n" in text or b"\0" in text


def _framing(found: dict[bytes, bytes]) -> str | None:
    coding = found.get(b"transfer-encoding")
    if coding is not None and b"content-length" in found:
        return "both content-length and transfer-encoding"
    if coding is not None and coding.strip().lower() != b"chunked":
        return "transfer coding other than chunked"
    if b"trailer" in found:
        return "trailer fields"
    if found.get(b"expect", b"100-continue").lower() != b"100-continue":
        return "expectation other than 100-continue"
    return None


def _upgrade(found: dict[bytes, bytes]) -> str | None:
    upgrade = found.get(b"upgrade")
    if upgrade is None:
        return None
    if upgrade.strip().lower() != b"websocket" or found.get(b"sec-websocket-version") != b"13":
        return "upgrade other than WebSocket 13"
    return None


def is_websocket(fields: Iterable[Field]) -> bool:
    return any(name.lower() == b"upgrade" for name, _ in fields)


def looks_like_credential(name: bytes) -> bool:
    """Return whether a header of this name (any case) is treated as carrying a credential."""
    lower = canonical(name)
    if lower in _NO_CREDENTIALS:
        return False
    return lower in _CREDENTIALS or _CREDENTIAL_WORD.search(lower) is not None


class _Fate(Enum):
    """What becomes of a request field on its way to a sandbox, told by its name alone."""

    CROSSES = auto()  # unless Connection lists it
    STAYS = auto()
    CONNECTION = auto()  # stays, and keeps others from crossing
    CREDENTIAL = auto()
    ORIGIN = auto()
    SUBPROTOCOLS = auto()
    UPGRADE = auto()


# As plain names: an Enum's attributes cost more to reach than a field costs to judge.
_CROSSES, _STAYS, _CONNECTION, _CREDENTIAL, _ORIGIN, _SUBPROTOCOLS, _UPGRADE = _Fate
_OWN_FATE = {
    b"connection": _CONNECTION,
    b"origin": _ORIGIN,
    b"sec-websocket-protocol": _SUBPROTOCOLS,
    b"upgrade": _UPGRADE,
}
_BY_VALUE = frozenset({_ORIGIN, _SUBPROTOCOLS, _UPGRADE})


@dataclass(frozen=True, slots=True)
class _Names:
    """What the names of a request's fields say by themselves, in the order of the fields.

    `flaw`: why the request is not to be trusted, whatever its values. `telling`: some values say how it is framed.
    `crosses` and `connection` (places): of fields whose fate is so. `by_value`: some fate depends on a value.
    """

    canonical: tuple[bytes, ...]
    size: int
    flaw: str | None
    telling: bool
    fates: tuple[_Fate, ...]
    crosses: tuple[bool, ...]
    connection: tuple[int, ...]
    by_value: bool
    removed: tuple[str, ...]


def _names(fields: tuple[Field, ...]) -> _Names:
    names = tuple([name for name, _ in fields])
    # They come from outside: only few and short rows of names are remembered, and never a value.
    return _read(names) if len(b"".join(names)) <= _MOST_REMEMBERED else _read.__wrapped__(names)


@lru_cache(256)  # clients send the same rows of names all the time
def _read(names: tuple[bytes, ...]) -> _Names:
    lower = tuple(map(canonical, names))
    fates = tuple(map(_fate, lower))
    return _Names(
        canonical=lower,
        size=sum(map(len, lower)) + 4 * len(lower),
        flaw=_flaw(lower),
        telling=not _TELLING.isdisjoint(lower),
        fates=fates,
        crosses=tuple(fate is _CROSSES for fate in fates),
        connection=tuple(at for at, fate in enumerate(fates) if fate is _CONNECTION),
        by_value=not _BY_VALUE.isdisjoint(fates),
        removed=tuple(
            name.decode("ascii", "replace") for name, fate in zip(lower, fates, strict=True) if fate is _CREDENTIAL
        ),
    )


def _flaw(lower: tuple[bytes, ...]) -> str | None:
    if b"" in lower or b"".join(lower).translate(None, _IN_NAME):
        return "bad header name"
    for name in _ONCE:
        if lower.count(name) > 1:
            return f"more than one {name.decode()}"
    if b"service-worker" in lower:
        return "service worker scripts stay out of drills"
    return None


def _fate(lower: bytes) -> _Fate:
    if looks_like_credential(lower):
        return _CREDENTIAL
    if lower in _OWN_FATE:
        return _OWN_FATE[lower]
    if lower in _HOP_BY_HOP or lower in _REQUEST_DROPPED or lower.startswith(b"x-hms-"):
        return _STAYS
    if any(pattern.fullmatch(lower) for pattern in (_ROUTING, _CONDITIONAL, _TRACING)):
        return _STAYS
    return _CROSSES


def to_sandbox(fields: Iterable[Field], *, authority: str, drill: str | None, origin: bytes | None) -> Crossed:
    """Return the fields to send to a sandbox: its own Host and Origin, the mark of the drill, no credentials.

    `origin` is what the Origin field becomes where the request has one (None: it is taken out).
    """
    fields = tuple(fields)
    names = _names(fields)
    listed = _NOTHING.union(*[_listed(fields[at][1]) for at in names.connection]) if names.connection else _NOTHING
    crossing: Iterable[Field] = compress(fields, names.crosses)
    if listed or names.by_value:
        crossing = _one_by_one(fields, names, listed=listed, origin=origin)
    mark = (b"baggage", _mark(drill))
    return Crossed(((b"Host", authority.encode()), *crossing, (b"X-HMS-Env", b"sandbox"), mark), names.removed)


def _one_by_one(
    fields: tuple[Field, ...], names: _Names, *, listed: frozenset[bytes], origin: bytes | None
) -> Iterator[Field]:
    """Give the fields that cross where a value has a say in it."""
    for field, lower, fate in zip(fields, names.canonical, names.fates, strict=True):
        name, value = field
        if fate is _UPGRADE or (fate is _CROSSES and lower not in listed):
            yield field
        elif fate is _ORIGIN and origin is not None:
            yield name, origin
        elif fate is _SUBPROTOCOLS and (plain := _plain_subprotocols(value)):
            yield name, plain
    if _UPGRADE in names.fates:
        yield b"Connection", b"Upgrade"


@lru_cache(64)
def _mark(drill: str | None) -> bytes:
    return f"env=sandbox,drill={drill}".encode() if drill else b"env=sandbox"


@lru_cache(64)
def _listed(connection: bytes) -> frozenset[bytes]:
    """Return the names that a Connection makes hop-by-hop (RFC 9110 7.6.1), but for those that never cross anyway."""
    return frozenset(canonical(token.strip()) for token in connection.split(b",")) - _FRAMING - _HOP_BY_HOP


def _plain_subprotocols(value: bytes) -> bytes:
    """Return the subprotocols that are names; tokens are known to travel in this list (LEAKS WS-03)."""
    names = [name.strip() for name in value.split(b",")]
    return b", ".join(n for n in names if n and len(n) <= 40 and not looks_like_credential(n) and b"bearer" not in n)


def clean_query(target: str) -> tuple[str, tuple[str, ...]]:
    """Return the request target without credential-like parameters in query and path, and the names taken out."""
    path, question, query = target.partition("?")
    removed: list[str] = []
    if ";" in path:
        path = _clean_path(path, removed)
    if not question:
        return path, tuple(removed)
    kept = ""
    # Some servers split at semicolons too (RFC 1866 8.2.1), and all of them decode names.
    for separator, part in _PARAMETER.findall(query):
        name = _plain_name(part.partition("=")[0])
        if _CREDENTIAL_PARAMETER.search(name):
            removed.append(f"?{name}")
        else:
            kept += (separator if kept else "") + part
    if not removed:
        return target, ()
    return (f"{path}?{kept}" if kept else path), tuple(removed)


def _plain_name(raw: str) -> str:
    return unquote_plus(unquote_plus(raw)).strip().partition("[")[0].lower()


def _clean_path(path: str, removed: list[str]) -> str:
    """Take session ids and the like out of path parameters (RFC 3986 3.3), as `;jsessionid=` carries them."""

    def kept(match: re.Match[str]) -> str:
        name = _plain_name(match.group(1))
        if not _CREDENTIAL_PARAMETER.search(name):
            return match.group(0)
        removed.append(f";{name}")
        return ""

    return _PATH_PARAMETER.sub(kept, path)


def to_client(fields: Iterable[Field], *, drill: str | None) -> tuple[Field, ...]:
    """Return the fields of a sandbox's answer that may reach a browser: nothing in them outlives the drill."""
    kept = [(name, value) for name, value in fields if name.lower() not in _ANSWER_DROPPED]
    kept.append((b"Cache-Control", b"no-store"))
    kept.append((b"X-HMS-Drill", (drill or "sandbox").encode()))
    return tuple(kept)
