"""How many connections one client may have open at a worker, so that no client takes the files of all others."""

from __future__ import annotations

import ipaddress
import resource
import sys
from collections import Counter

from switchboard.switch import parse_address

MOST = 2_000
_SHARE = 4  # no client gets more than this part of the files the process may open


class Crowd:
    """Counts open connections by client address; an IPv6 client counts by its /64, all of which it may use."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._inside: dict[str, str] = {}
        self._count: Counter[str] = Counter()

    def admit(self, connection_id: str, address: str) -> bool:
        """Count a connection in; False where its client has too many open."""
        key = _key(address)
        if self._count[key] >= min(self._most, _files() // _SHARE):
            return False
        self._count[key] += 1
        self._inside[connection_id] = key
        return True

    def leave(self, connection_id: str) -> None:
        """Count a connection out; one that was never admitted does not matter."""
        key = self._inside.pop(connection_id, None)
        if key is None:
            return
        self._count[key] -= 1
        if not self._count[key]:
            del self._count[key]


def _files() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def _key(address: str) -> str:
    found = parse_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found or address)
