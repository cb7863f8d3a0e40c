"""Routes read backwards: which production URL a place of the sandbox leads back to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from switchboard.authority import DEFAULT_PORTS
from switchboard.estate import Origin, Route
from switchboard.spelling import GOES_ON, SLASH

Scheme = Literal["http", "https"]

_PATH_END = rb"(?!\.?(?:[A-Za-z0-9_~$+@=\x80-\xff-]|(?i:" + GOES_ON + rb")))"


@dataclass(frozen=True, slots=True)
class Lead:
    """Where a sandbox URL leads back to: `scheme` None is that of the client's request."""

    scheme: Scheme | None
    authority: bytes
    prefix: bytes

    @property
    def host(self) -> bytes:
        return self.authority.partition(b":")[0]

    def shown(self, scheme: Scheme, *, is_socket: bool = False) -> bytes:
        """Return the scheme to write, where that of the client's request is `scheme`."""
        if is_socket:
            return b"wss" if (self.scheme or scheme) == "https" else b"ws"
        return b"https" if (self.scheme or scheme) == "https" else b"http"

    def origin(self, scheme: Scheme, *, is_socket: bool = False) -> bytes:
        return self.shown(scheme, is_socket=is_socket) + b"://" + self.authority


@dataclass(frozen=True, slots=True)
class Place:
    """A sandbox's host and port: its path prefixes, longest first, and what each leads back to."""

    prefixes: tuple[bytes, ...]
    leads: tuple[tuple[Lead, ...], ...]
    paths: re.Pattern[bytes]

    @property
    def all(self) -> Iterator[Lead]:
        return (lead for leads in self.leads for lead in leads)

    def find(self, text: bytes, at: int) -> tuple[int, tuple[Lead, ...]] | None:
        """Return where the longest prefix ends that the path at `at` is under, and its leads."""
        found = self.paths.match(text, at)
        if found is not None:
            return found.end(), self.leads[(found.lastindex or 0) - 1]
        return (at, self.leads[-1]) if not self.prefixes[-1] else None


def lead_for(leads: tuple[Lead, ...], scheme: Scheme) -> Lead:
    """Return the lead that fits the scheme of a client's request, else the first in the order of the estate."""
    for lead in leads:
        if lead.scheme is None or lead.scheme == scheme:
            return lead
    return leads[0]


def places_of(routes: tuple[Route, ...]) -> dict[bytes, dict[int, Place]]:
    """Return the sandbox's places by host, then port."""
    found: dict[tuple[bytes, int], dict[bytes, list[Lead]]] = {}
    for route in routes:
        key = (route.to.host.encode(), route.to.ports[0][1])
        lead = Lead(route.origin.scheme, authority_of(route.origin), route.origin.prefix.encode())
        found.setdefault(key, {}).setdefault(route.to.prefix.encode(), []).append(lead)
    places: dict[bytes, dict[int, Place]] = {}
    for (host, port), leads in found.items():
        places.setdefault(host, {})[port] = _place_of(leads)
    return places


def _place_of(leads: dict[bytes, list[Lead]]) -> Place:
    prefixes = tuple(sorted(leads, key=len, reverse=True))
    slash = rb"(?i:" + SLASH + rb")"
    spelled = [slash.join(map(re.escape, prefix.split(b"/"))) for prefix in prefixes if prefix]
    paths = rb"(?:" + rb"|".join(rb"(" + path + rb")" + _PATH_END for path in spelled) + rb")"
    never = rb"(?!)"
    return Place(prefixes, tuple(tuple(leads[p]) for p in prefixes), re.compile(paths if spelled else never))


def there_of(routes: tuple[Route, ...]) -> dict[bytes, bytes]:
    """Return `scheme://authority` of production -> that of the sandbox its shortest prefix leads to."""
    found: dict[bytes, tuple[int, bytes]] = {}
    for route in routes:
        assert route.to.scheme is not None
        sandbox = route.to.scheme.encode() + b"://" + authority_of(route.to)
        for scheme, _ in route.origin.ports:
            key = scheme.encode() + b"://" + authority_of(route.origin)
            depth = len(route.origin.prefix)
            if key not in found or depth < found[key][0]:
                found[key] = (depth, sandbox)
    return {key: sandbox for key, (_, sandbox) in found.items()}


def authority_of(origin: Origin) -> bytes:
    """Return host and port as a browser writes them: no port where it is the scheme's default."""
    if origin.port is None or (origin.scheme and origin.port == DEFAULT_PORTS[origin.scheme]):
        return origin.host.encode()
    return f"{origin.host}:{origin.port}".encode()
