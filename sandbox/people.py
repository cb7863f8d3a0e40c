"""Who is logged in on one side, and what their profile holds. In memory, bounded, gone with the process."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sandbox.side import Side

LIMIT = 10_000


class People:
    """Sessions and profiles of one side. A session of the other side means nothing here."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._sessions: OrderedDict[str, str] = OrderedDict()
        self._profiles: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def log_in(self, name: str) -> str:
        """Return a new session token; it starts with the side, so that a stray one is recognised at sight."""
        token = f"{self._side}-{secrets.token_hex(16)}"
        _put(self._sessions, token, name)
        return token

    def log_out(self, token: str | None) -> None:
        self._sessions.pop(token or "", None)

    def name(self, token: str | None) -> str | None:
        return self._sessions.get(token or "")

    def profile(self, name: str) -> Mapping[str, Any]:
        return self._profiles.get(name) or {
            "name": name,
            "household": 1,
            "county": "Fairfield",
            "income": 42_000,
        }

    def save(self, name: str, profile: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the profile of `name` after `profile` was laid over it."""
        merged = {**self.profile(name), **profile}
        _put(self._profiles, name, merged)
        return merged


def _put(shelf: OrderedDict[str, Any], key: str, value: Any) -> None:
    shelf[key] = value
    shelf.move_to_end(key)
    while len(shelf) > LIMIT:
        shelf.popitem(last=False)
