"""Header fields of a sandbox's answer that name places of the sandbox -> the same with places of production.

Links of every kind (Location, Link, Refresh, and whatever a service calls its own) hold URLs and are rewritten as
text. Some fields name origins or hosts instead, and are read by their grammar: CSP source lists, the origins of CORS
and of timing, the Domain and Path of a cookie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from switchboard.headers import Field
from switchboard.leads import Lead, Place, Scheme, lead_for
from switchboard.mapping import UrlMap

# Ways around the proxy: other endpoints for the same origin (RFC 7838), and what goes with them.
_REMOVED = frozenset({b"alt-svc", b"alt-used"})
_POLICIES = frozenset({b"content-security-policy", b"content-security-policy-report-only"})
_ORIGINS = frozenset({b"access-control-allow-origin", b"timing-allow-origin"})
_LOCATIONS = frozenset({b"location", b"content-location"})
_OWN_GRAMMAR = _POLICIES | _ORIGINS | _LOCATIONS | {b"set-cookie"}

# CSP 3, 2.3.1: scheme-source and keywords are not matched, they name no host.
_SOURCE = re.compile(
    rb"(?:(?P<scheme>https?|wss?)://)?(?P<wildcard>\*\.)?(?P<host>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)\.?"
    rb"(?::(?P<port>[0-9]{1,5}|\*))?(?P<path>/[^\s;,]*)?",
    re.IGNORECASE,
)
_ATTRIBUTE = re.compile(rb"(;\s*)(domain|path)(\s*=\s*)([^;]*)", re.IGNORECASE)


def back_fields(
    fields: Sequence[Field],
    url_map: UrlMap,
    *,
    scheme: Scheme = "https",
    origin: bytes | None = None,
    at: tuple[str, int] | None = None,
) -> tuple[Field, ...]:
    """Return the fields with places of production, without Alt-Svc.

    `scheme` and `origin` (its Origin field) are those of the client's request. `at` is the sandbox's host and port
    that answered: it gives a meaning to paths without a host.
    """
    place = url_map.places.get(at[0].encode(), {}).get(at[1]) if at is not None else None
    moved = place is not None and place.prefixes != (b"",)
    if not _needs_mapping(fields, url_map, moved=moved):
        return tuple(field for field in fields if field[0].lower() not in _REMOVED)
    mapper = _Mapper(url_map, scheme, origin, place=place)
    return tuple((name, mapper.value(name.lower(), value)) for name, value in fields if name.lower() not in _REMOVED)


def _needs_mapping(fields: Sequence[Field], url_map: UrlMap, *, moved: bool) -> bool:
    """Return whether some field may change; `moved`: paths without a host are others in production."""
    for name, value in fields:
        lower = name.lower()
        if lower in _POLICIES or (lower == b"set-cookie" and (moved or b"domain" in value.lower())):
            return True  # hosts without a scheme, and domains above them, need not hold an anchor
        if moved and lower in _LOCATIONS:
            return True
    return url_map.mentions(b"\n".join([value for _, value in fields]))


class _Mapper:
    def __init__(self, url_map: UrlMap, scheme: Scheme, origin: bytes | None, *, place: Place | None) -> None:
        self._map = url_map
        self._scheme: Scheme = scheme
        self._origin = origin
        self._place = place

    def value(self, name: bytes, value: bytes) -> bytes:
        if name not in _OWN_GRAMMAR:
            return self._map.rewrite(value, scheme=self._scheme) if self._map.mentions(value) else value
        if name in _LOCATIONS:
            return self._location(value)
        if name in _ORIGINS:
            return b", ".join(self._allowed(part.strip()) for part in value.split(b","))
        if name in _POLICIES:
            return b",".join(b";".join(map(self._directive, part.split(b";"))) for part in value.split(b","))
        return _ATTRIBUTE.sub(self._attribute, value)

    def _location(self, value: bytes) -> bytes:
        if not value.startswith(b"/") or value.startswith(b"//"):
            return self._map.back(value, scheme=self._scheme)
        moved = self._moved(value)
        return value if moved is None else moved[0].origin(self._scheme) + moved[1]

    def _moved(self, path: bytes) -> tuple[Lead, bytes] | None:
        """Return the lead of a path of the place that answered, and the path it has in production."""
        found = self._place.find(path, 0) if self._place is not None else None
        if found is None:
            return None
        end, leads = found
        lead = lead_for(leads, self._scheme)
        return (lead, lead.prefix + path[end:]) if end or lead.prefix else None

    def _allowed(self, value: bytes) -> bytes:
        """Return the origin that a browser compares with its own (Fetch 3.3.5): the client's, where it can be."""
        origins = self._origins(value)
        return self._origin if self._origin in origins and self._origin else next(iter(origins), value)

    def _origins(self, value: bytes) -> list[bytes]:
        found = _SOURCE.fullmatch(value)
        if found is None or found["scheme"] is None or found["path"] or found["wildcard"]:
            return []
        leads = sorted(self._leads(found), key=lambda lead: lead.scheme not in (None, self._scheme))
        return list(dict.fromkeys(lead.origin(self._scheme) for lead in leads))

    def _directive(self, directive: bytes) -> bytes:
        return b" ".join(b" ".join(self._sources(token)) if token else token for token in directive.split(b" "))

    def _sources(self, token: bytes) -> Iterable[bytes]:
        """Return the production sources for one of a sandbox; the same one where it names no place of it."""
        found = _SOURCE.fullmatch(token)
        leads = list(self._leads(found)) if found is not None else []
        if found is None or not leads:
            return (token,)
        written = (found["scheme"] or b"").lower()
        if written and not found["wildcard"] and len(found["path"] or b"") > 1:
            mapped = self._map.back(token, scheme=self._scheme)
            if mapped != token:
                return (mapped,)
        is_socket = written.startswith(b"ws")
        return dict.fromkeys(lead.origin(self._scheme, is_socket=is_socket) for lead in leads)

    def _leads(self, found: re.Match[bytes]) -> Iterator[Lead]:
        host, port = found["host"].lower(), found["port"]
        scheme = (found["scheme"] or b"").lower()
        defaults = {b"": (80, 443), b"http": (80,), b"ws": (80,)}.get(scheme, (443,))
        for ports in self._ports(host) if found["wildcard"] else [self._map.places.get(host, {})]:
            for number, place in ports.items():
                if port == b"*" or number in ((int(port),) if port else defaults):
                    yield from place.all

    def _ports(self, domain: bytes) -> Iterator[dict[int, Place]]:
        """Yield the places of all hosts below a domain."""
        return (ports for host, ports in self._map.places.items() if host.endswith(b"." + domain))

    def _attribute(self, found: re.Match[bytes]) -> bytes:
        start, name, equals, value = found.groups()
        value = value.strip()
        if name.lower() == b"domain":
            domain = self._domain(value.strip(b'".').lower(), value)
            return start + name + equals + domain if domain else b""
        moved = self._moved(value)
        return start + name + equals + ((moved[1] or b"/") if moved else value)

    def _domain(self, domain: bytes, value: bytes) -> bytes | None:
        """Return the Domain for production; None leaves the cookie with the host that it was asked of.

        A domain above several hosts becomes what their production hosts have in common, at least two labels.
        """
        around = [self._map.places.get(domain, {}), *self._ports(domain)]
        hosts = {lead.host for ports in around for place in ports.values() for lead in place.all}
        if not hosts:
            return value
        common = _common(hosts)
        return common if len(hosts) == 1 or common.count(b".") else None


def _common(hosts: Iterable[bytes]) -> bytes:
    """Return the labels that all hosts end with."""
    rows = [host.split(b".")[::-1] for host in hosts]
    labels = []
    for column in zip(*rows, strict=False):
        if len(set(column)) > 1:
            break
        labels.append(column[0])
    return b".".join(reversed(labels))
