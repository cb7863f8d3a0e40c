"""Header fields at the border between production's clients and a sandbox: what crosses, what never does.

Fields are (name, value) pairs of bytes in their order, as they came off the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Field = tuple[bytes, bytes]

MOST_BYTES = 64 * 1024

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"content-type"})

# Anything that looks like a credential and has no rule is removed. RFC 9110 11.6, and what APIs commonly use.
_CREDENTIALS = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"cookie2", b"dpop", b"signature"})
_CREDENTIAL_WORD = re.compile(rb"token|secret|passw|api-?_?key|auth|session|credential|jwt|csrf|xsrf|assertion")
_CREDENTIAL_QUERY = re.compile(
    r"(?:access|id|refresh|auth|csrf|session)[_-]?token|token|api[_-]?key|apikey|key|secret|client_secret|password"
    r"|passwd|pwd|session(?:id)?|sid|jwt|sig|signature|code|assertion|samlresponse|x-amz-(?:signature|credential"
    r"|security-token)|auth|authorization",
    re.IGNORECASE,
)
# Routing that a server behind could obey instead of Host (LEAKS HT-11).
_ROUTING = re.compile(
    rb"x-forwarded-.*|forwarded|x-real-ip|x-original-.*|x-rewrite-url|x-host|x-(http-)?method(-override)?|via"
    rb"|true-client-ip|x-client-ip|x-cluster-client-ip|(cf|fastly|akamai)-.*|x-envoy-.*|x-tenant.*|x-env(ironment)?"
)
# What one side's caches and cursors remember of the other (HT-16, HT-17).
_CONDITIONAL = re.compile(rb"if-.*|range|last-event-id")
# Identifiers that would join a drill to production's traces (DT-09).
_TRACING = re.compile(rb"trace(parent|state)|baggage|b3|x-b3-.*|sentry-trace|x-datadog-.*|x-amzn-trace-id|uber-.*")
_HOP_BY_HOP = frozenset(
    {b"connection", b"proxy-connection", b"keep-alive", b"te", b"http2-settings", b"proxy-authenticate"}
)
_REQUEST_DROPPED = frozenset({b"referer", b"host", b"origin", b"service-worker"})

# Answers that would outlive the drill in the browser, or lead out of it (LEAKS BR-01 to BR-11, TL-12).
_ANSWER_DROPPED = frozenset(
    b"set-cookie set-cookie2 strict-transport-security public-key-pins public-key-pins-report-only expect-ct nel"
    b" report-to reporting-endpoints alt-svc alt-used clear-site-data accept-ch critical-ch etag last-modified"
    b" expires age service-worker-allowed content-security-policy-report-only link speculation-rules"
    b" authentication-info proxy-authentication-info permissions-policy-report-only keep-alive proxy-connection"
    b" x-hms-drill cache-control pragma".split()
)
_LOCATIONS = frozenset({b"location", b"content-location"})


@dataclass(frozen=True, slots=True)
class Crossed:
    """Fields to send, and the names of those taken out because they look like credentials."""

    fields: tuple[Field, ...]
    removed: tuple[str, ...] = ()


def screen(fields: Iterable[Field]) -> str | None:
    """Return why a request's fields cannot be trusted to mean one thing, or None (RFC 9110 5.5, RFC 9112 6)."""
    counts: dict[bytes, list[bytes]] = {}
    total = 0
    for name, value in fields:
        total += len(name) + len(value) + 4
        if not _TOKEN.match(name):
            return "bad header name"
        if _BAD_VALUE.search(value):
            return "control character in header value"
        counts.setdefault(name.lower(), []).append(value)
    if total > MOST_BYTES:
        return "header fields larger than 64 KiB"
    for name in _ONCE:
        if len(counts.get(name, ())) > 1:
            return f"more than one {name.decode()}"
    return _framing(counts) or _upgrade(counts)


def _framing(counts: dict[bytes, list[bytes]]) -> str | None:
    coding = counts.get(b"transfer-encoding")
    if coding and b"content-length" in counts:
        return "both content-length and transfer-encoding"
    if coding and coding[0].strip().lower() != b"chunked":
        return "transfer coding other than chunked"
    if b"trailer" in counts:
        return "trailer fields"
    if counts.get(b"expect", [b"100-continue"])[0].lower() != b"100-continue":
        return "expectation other than 100-continue"
    return None


def _upgrade(counts: dict[bytes, list[bytes]]) -> str | None:
    upgrade = counts.get(b"upgrade")
    if upgrade is None:
        return None
    if upgrade[0].strip().lower() != b"websocket" or counts.get(b"sec-websocket-version") != [b"13"]:
        return "upgrade other than WebSocket 13"
    return None


def is_websocket(fields: Iterable[Field]) -> bool:
    return any(name.lower() == b"upgrade" for name, _ in fields)


def looks_like_credential(name: bytes) -> bool:
    """Return whether a header of this name (any case) is treated as carrying a credential."""
    lower = name.lower()
    if lower.startswith(b"sec-websocket-") or lower in (b"sec-fetch-site", b"proxy-authenticate"):
        return False
    return lower in _CREDENTIALS or _CREDENTIAL_WORD.search(lower) is not None


def to_sandbox(fields: Iterable[Field], *, authority: str, drill: str | None, origin: bytes | None) -> Crossed:
    """Return the fields to send to a sandbox: its own Host and Origin, the mark of the drill, no credentials.

    `origin` is what the Origin field becomes where the request has one (None: it is taken out).
    """
    kept: list[Field] = [(b"Host", authority.encode())]
    removed: list[str] = []
    listed: set[bytes] = set()
    fields = tuple(fields)
    for name, value in fields:
        if name.lower() == b"connection":
            listed |= {token.strip().lower() for token in value.split(b",")}
    upgrading = is_websocket(fields)
    for name, value in fields:
        lower = name.lower()
        if looks_like_credential(lower):
            removed.append(lower.decode())
        elif lower == b"origin" and origin is not None:
            kept.append((name, origin))
        elif lower == b"sec-websocket-protocol":
            kept += [(name, plain)] if (plain := _plain_subprotocols(value)) else []
        elif lower == b"upgrade" or (lower not in listed and not _stays(lower)):
            kept.append((name, value))
    if upgrading:
        kept.append((b"Connection", b"Upgrade"))
    kept.append((b"X-HMS-Env", b"sandbox"))
    mark = f"env=sandbox,drill={drill}" if drill else "env=sandbox"
    kept.append((b"baggage", mark.encode()))
    return Crossed(tuple(kept), tuple(removed))


def _stays(lower: bytes) -> bool:
    """Return whether a request field never crosses (a WebSocket's own fields and the rest do)."""
    return (
        lower in _HOP_BY_HOP
        or lower in _REQUEST_DROPPED
        or lower.startswith(b"x-hms-")
        or any(pattern.fullmatch(lower) for pattern in (_ROUTING, _CONDITIONAL, _TRACING))
    )


def _plain_subprotocols(value: bytes) -> bytes:
    """Return the subprotocols that are names; tokens are known to travel in this list (LEAKS WS-03)."""
    names = [name.strip() for name in value.split(b",")]
    return b", ".join(n for n in names if n and len(n) <= 40 and not looks_like_credential(n) and b"bearer" not in n)


def clean_query(target: str) -> tuple[str, tuple[str, ...]]:
    """Return the request target without credential-like query parameters, and the names taken out."""
    path, question, query = target.partition("?")
    if not question:
        return target, ()
    kept, removed = [], []
    for part in query.split("&"):
        name = part.partition("=")[0]
        if _CREDENTIAL_QUERY.fullmatch(name):
            removed.append(f"?{name.lower()}")
        else:
            kept.append(part)
    if not removed:
        return target, ()
    return (f"{path}?{'&'.join(kept)}" if kept else path), tuple(removed)


def to_client(fields: Iterable[Field], *, drill: str | None, origins: dict[bytes, bytes]) -> tuple[Field, ...]:
    """Return the fields of a sandbox's answer as the client gets them.

    `origins` maps `scheme://authority` of the sandbox to that of production, for redirects.
    """
    kept: list[Field] = []
    for name, value in fields:
        lower = name.lower()
        if lower in _LOCATIONS:
            kept.append((name, _mapped(value, origins)))
        elif lower not in _ANSWER_DROPPED:
            kept.append((name, value))
    kept.append((b"Cache-Control", b"no-store"))
    kept.append((b"X-HMS-Drill", (drill or "sandbox").encode()))
    return tuple(kept)


def _mapped(location: bytes, origins: dict[bytes, bytes]) -> bytes:
    for sandbox, production in origins.items():
        rest = location[len(sandbox) :]
        if location.startswith(sandbox) and rest[:1] in (b"", b"/", b"?", b"#"):
            return production + rest
    return location
