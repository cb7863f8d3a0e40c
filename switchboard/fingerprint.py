"""How a credential is told from another in logs, counters and explanations, without being shown or stored."""

from __future__ import annotations

import hmac

_SHOWN = 16


def fingerprint(value: str, *, key: bytes) -> str:
    """Return 16 hexadecimal digits of HMAC-SHA-256; of use only beside others made with the same `key`.

    Without a secret key a short credential could be guessed from it: raises ValueError for one under 16 bytes.
    """
    if len(key) < 16:
        raise ValueError("a fingerprint needs a key of at least 16 bytes")
    return hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256").hex()[:_SHOWN]
