"""What a twin may hold where it goes, and how it is written there.

A twin comes from a file, the environment or a sandbox's answer, and ends up in a request: what could end a
line or a field there (header injection) is refused when it is read, and again when it is used.
"""

from __future__ import annotations

import base64
import re

MOST_CHARACTERS = 16 * 1024

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # lone surrogates: no coding carries them
_NOT_LATIN = re.compile(r"[^\x00-\xff]")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
_IN_FIELDS = frozenset({"header", "metadata", "cookie"})
_ENCODED_SUBPROTOCOL = "base64url."


def fold(name: str) -> str:
    """Return a name as the most lenient server compares it: any case, `_` for `-`, as `headers.canonical` does."""
    return name.casefold().replace("_", "-")


def twin_flaw(text: str, *, place: str, name: str = "") -> str | None:
    """Return why `text` cannot stand in a credential's place, or None. Never repeats it."""
    if not text or text != text.strip():
        return "it starts or ends with white space" if text else "it is empty"
    if len(text) > MOST_CHARACTERS:
        return f"it is longer than {MOST_CHARACTERS} characters"
    if _CONTROL.search(text):
        return "it holds a control character"
    if place in _IN_FIELDS and _NOT_LATIN.search(text):
        return "it holds a character that no header carries"
    return _own_flaw(text, place=place, name=name)


def _own_flaw(text: str, *, place: str, name: str) -> str | None:
    if place == "cookie" and ";" in text:
        return "it holds a semicolon, which ends a cookie"
    if place == "basic" and ":" not in text:
        return "it is not of the form user:password"
    if place == "metadata" and is_binary(name) and not _BASE64.fullmatch(text):
        return "it is not the base64 that gRPC sends under a name ending in -bin"
    if place == "websocket" and name and not _TOKEN.fullmatch(in_subprotocol(text, name)):
        return "it holds a character that no subprotocol carries"
    return None


def is_binary(name: str) -> bool:
    """Return whether gRPC metadata of this name is binary, and its value base64."""
    return fold(name).endswith("-bin")


def in_field(twin: str, *, place: str, scheme: str | None) -> str:
    """Return a twin as the value of a header, or of what stands for one in a message."""
    if place == "basic":
        return "Basic " + base64.b64encode(twin.encode()).decode()
    return f"{scheme} {twin}" if scheme else twin


def is_prefix(subprotocol: str) -> bool:
    """Return whether a rule's subprotocol is the start of the entry (`bearer.`), not an entry before it (`token`)."""
    return not subprotocol[-1:].isalnum()


def in_subprotocol(twin: str, name: str) -> str:
    """Return a twin as a subprotocol, or as the part of one that follows the prefix `name`."""
    if fold(name).startswith(_ENCODED_SUBPROTOCOL):  # Kubernetes: base64url.bearer.authorization.k8s.io.TOKEN
        return base64.urlsafe_b64encode(twin.encode()).decode().rstrip("=")
    return twin
