"""Sessions of browsers: each proves that a right token was shown at most twelve hours ago, and no logout since.

A session is `{issued}.{random}.{MAC}`: nothing is kept of it, so it outlives a restart of the admin. What is kept,
in the state folder, are the digests of those that were logged out, until they would have ended by themselves.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from switchboard.errors import Unavailable

SESSION_S = 12 * 3600
FORGOTTEN_FILE = "admin.forgotten"
_MOST_TOKENS = 1_000
_SESSION = re.compile(r"([0-9a-f]{1,16})\.[0-9a-f]{32}\.[0-9a-f]{64}", re.ASCII)
_LINE = re.compile(r"([0-9]{1,16}) ([0-9a-f]{64})", re.ASCII)


class Sessions:
    """Open, know and forget sessions. `key` signs them; `clock` gives Unix seconds."""

    def __init__(self, *, key: str, state: Path, clock: Callable[[], float] = time.time) -> None:
        self._key = key.encode()
        self._clock = clock
        self._tokens: dict[str, None] = {}
        self._path = state / FORGOTTEN_FILE
        self._forgotten = _read_forgotten(self._path, int(clock()))

    def accept(self, token_digest: str) -> None:
        """Let sessions count that were opened with the token of this digest."""
        if len(self._tokens) < _MOST_TOKENS:
            self._tokens[token_digest] = None

    def open(self, token_digest: str) -> str:
        """Return a new session for a token that was found to be right."""
        self.accept(token_digest)
        head = f"{int(self._clock()):x}.{secrets.token_hex(16)}"
        return f"{head}.{self._mac(head, token_digest)}"

    def knows(self, session: str) -> bool:
        """Tell whether a cookie's value is a session that counts now."""
        found = _SESSION.fullmatch(session)
        if found is None:
            return False
        head, _, mac = session.rpartition(".")
        # All are compared, whichever fits: the time taken tells nothing.
        fits = sum([hmac.compare_digest(mac, self._mac(head, token)) for token in self._tokens]) > 0
        age_s = self._clock() - int(found[1], 16)
        return fits and -1 <= age_s < SESSION_S and _digest(session) not in self._forgotten

    def forget(self, session: str) -> None:
        """End a session that is known, for good; raises Unavailable where that cannot be written down."""
        if not self.knows(session):
            return
        until = int(session.partition(".")[0], 16) + SESSION_S
        self._forgotten[_digest(session)] = until
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{until} {_digest(session)}\n")
        except OSError as error:
            raise _unusable(self._path, error) from error

    def _mac(self, head: str, token_digest: str) -> str:
        return hmac.new(self._key, f"session:{head}:{token_digest}".encode(), "sha256").hexdigest()


def _digest(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


def _read_forgotten(path: Path, now: int) -> dict[str, int]:
    """Return the digests that still matter, and drop the others from the file."""
    try:
        lines = path.read_text("ascii", "replace").splitlines() if path.exists() else []
        found = {match[2]: int(match[1]) for line in lines if (match := _LINE.fullmatch(line))}
        kept = {digest: until for digest, until in found.items() if until > now}
        if len(kept) < len(lines):
            draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.writelines(f"{until} {digest}\n" for digest, until in kept.items())
            draft.replace(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return kept


def _unusable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"state folder: '{path}' cannot be used ({error}); give another one with --state", code="state_unusable"
    )
