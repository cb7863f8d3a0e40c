"""What one side received: every connection, every byte, every request. The proof of silence.

Bytes and connections are counted by `tap` below TLS, so a failed handshake or half a request line counts too.
Credentials are kept as fingerprints under a key that dies with the process: `saw(value)` answers, nobody
can read back.
Every collection is bounded, and a full one says so instead of forgetting.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from sandbox.side import Side

LAST = 1_000
KEYS = 1_000
FINGERPRINTS = 100_000
OTHERS = "(others)"

_LOOKS_SECRET = re.compile(
    r"auth|cookie|credential|jwt|passw|secret|session|token|signature|(^|[-_])(api|access)?[-_]?key([-_]|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request. `path` is raw and without its query; `headers` is empty unless the books keep raw ones."""

    method: str
    host: str
    path: str
    service: str
    credentials: tuple[str, ...]
    headers: tuple[tuple[str, str], ...] = ()


class Books:
    """The books of one side. `keep_headers` keeps raw fields in memory (for tests; never in `summary`)."""

    def __init__(self, side: Side, *, keep_headers: bool = False) -> None:
        self.side = side
        self.connections = 0
        self.bytes = 0
        self.requests = 0
        self.peers: Counter[str] = Counter()
        self.methods: Counter[str] = Counter()
        self.hosts: Counter[str] = Counter()
        self.services: Counter[str] = Counter()
        self.credentials: Counter[str] = Counter()
        self.found: Counter[bytes] = Counter()
        self.last: deque[Entry] = deque(maxlen=LAST)
        self._keep_headers = keep_headers
        self._key = secrets.token_bytes(32)
        self._full = False

    @property
    def silent(self) -> bool:
        """True as long as nobody so much as connected."""
        return not (self.connections or self.bytes or self.requests)

    @property
    def needles(self) -> tuple[bytes, ...]:
        return tuple(self.found)

    def watch(self, *needles: bytes) -> None:
        """Look for these in everything that arrives from now on, bodies included; counts are in `found`."""
        for needle in needles:
            if not needle:
                raise ValueError("an empty needle is found everywhere")
            self.found.setdefault(needle, 0)

    def connected(self, peer: str) -> None:
        self.connections += 1
        _add(self.peers, peer)

    def enter(self, *, method: str, host: str, target: str, service: str, headers: Iterable[tuple[str, str]]) -> None:
        """Write one request down; `target` is raw with its query."""
        fields = tuple(headers)
        path, _, query = target.partition("?")
        marks = tuple(map(self.fingerprint, dict.fromkeys(_secrets(fields, query))))
        self.requests += 1
        for counter, key in ((self.methods, method), (self.hosts, host), (self.services, service)):
            _add(counter, key)
        for mark in marks:
            self._full |= mark not in self.credentials and len(self.credentials) >= FINGERPRINTS
            if not self._full or mark in self.credentials:
                self.credentials[mark] += 1
        kept = fields if self._keep_headers else ()
        self.last.append(Entry(method, host[:255], path[:2000], service, marks, kept))

    def fingerprint(self, value: str) -> str:
        """Return 16 hexadecimal digits that stand for `value` in these books only."""
        text = value.encode("utf-8", "surrogateescape")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()[:16]

    def saw(self, value: str) -> bool:
        """Say whether a credential of exactly this value arrived in a header, cookie or query parameter.

        Raises OverflowError where the books were full before, because then "no" would be a guess.
        """
        if self.fingerprint(value) in self.credentials:
            return True
        if self._full:
            raise OverflowError(f"more than {FINGERPRINTS} different credentials arrived: the books are full")
        return False

    def summary(self) -> dict[str, Any]:
        """Return what `GET /books` shows: figures, fingerprints and the newest requests, no secret."""
        return {
            "side": self.side,
            "connections": self.connections,
            "bytes": self.bytes,
            "requests": self.requests,
            "peers": dict(self.peers),
            "methods": dict(self.methods),
            "hosts": dict(self.hosts),
            "services": dict(self.services),
            "credentials": dict(self.credentials),
            "credentials_full": self._full,
            "last": [
                {
                    "method": entry.method,
                    "host": entry.host,
                    "path": entry.path,
                    "service": entry.service,
                    "credentials": list(entry.credentials),
                }
                for entry in self.last
            ],
        }


def _add(counter: Counter[str], key: str) -> None:
    key = key[:255]
    counter[key if key in counter or len(counter) < KEYS else OTHERS] += 1


def _secrets(fields: Iterable[tuple[str, str]], query: str) -> Iterator[str]:
    for name, value in fields:
        if not _LOOKS_SECRET.search(name):
            continue
        yield value
        if name.lower() in ("cookie", "set-cookie"):
            for pair in value.split(";"):
                yield pair.partition("=")[2].strip().strip('"')
        elif " " in value:
            yield value.partition(" ")[2].strip()
    for name, value in parse_qsl(query, keep_blank_values=False, max_num_fields=None, errors="surrogateescape"):
        if _LOOKS_SECRET.search(name):
            yield value
