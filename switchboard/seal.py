"""What the store holds of credentials: sealed, so that whoever reads or writes Redis learns and changes nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from switchboard.errors import Unavailable

KEY_BYTES = 32
_NONCE_BYTES = 12


class Broken(ValueError):
    """Sealed bytes that were not sealed with this key, or not for this place."""


class Seal:
    """AES-256-GCM under one key that all workers share. `place` binds what is sealed to where it belongs."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a seal needs a key of {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)

    def close(self, data: bytes, *, place: bytes) -> bytes:
        """Return `data` sealed for `place`; never the same bytes twice."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, data, place)

    def open(self, sealed: bytes, *, place: bytes) -> bytes:
        """Return what was sealed for `place`; raises Broken."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise Broken("sealed bytes cannot be opened with this key in this place") from None


def load_key(path: Path) -> bytes:
    """Return the key in a file, made where there is none, the same for all processes; raises Unavailable."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise Unavailable(f"{path}: the key cannot be used: {error.strerror}", code="key") from error
    if len(key) != KEY_BYTES:
        raise Unavailable(f"{path}: not a key of {KEY_BYTES} bytes; end all drills, then delete this file", code="key")
    return key


def _make(path: Path) -> None:
    """Write a new key whole under a name of its own, then give it its name unless another process was first."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
