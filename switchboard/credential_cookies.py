"""Cookies on their way to a sandbox: twins for those with a rule, and what becomes of the others.

With `cookies: isolate` nothing else crosses: the sandbox's own cookies come from the jar. With `pass` the browser's
cookies cross, but for the drill cookie.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from switchboard.credential_rules import Learned, Rules
from switchboard.headers import Field
from switchboard.twins import fold

# Some servers split at commas too (RFC 2965 3.3.4), and clients join header fields with them.
_SEPARATOR = re.compile(r"([;,])")
_DRILL_COOKIES = frozenset({"--secure-esr", "esr"})


@dataclass(frozen=True, slots=True)
class SwappedCookies:
    """The Cookie value to send, None where none is left; labels of cookies swapped and removed."""

    value: bytes | None
    swapped: tuple[str, ...]
    removed: tuple[str, ...]


def swap_cookies(values: Iterable[bytes], *, rules: Rules, learned: Learned) -> SwappedCookies:
    """Return the one Cookie that stands for the values of all Cookie fields of a request."""
    kept, swapped, removed = "", [], []
    seen = set()
    for separator, part in _parts(b"; ".join(values).decode("latin-1")):
        name = cookie_name(part)
        rule = rules.cookies.get(fold(name))
        if rule is not None:
            twin = rule.twin(learned)
            if twin is None or rule.key in seen:
                removed += [rule.label] if twin is None else []
                continue
            seen.add(rule.key)
            swapped.append(rule.label)
            part = f" {rule.name}={twin}" if kept else f"{rule.name}={twin}"
            separator = ";"
        elif not rules.passes:
            removed += ["cookie"] if part.strip() else []
            continue
        elif fold(name) in _DRILL_COOKIES:
            continue
        kept += (separator if kept else "") + part
    kept = kept.strip()
    return SwappedCookies(kept.encode("latin-1") or None, tuple(swapped), tuple(dict.fromkeys(removed)))


def cookie_name(part: str) -> str:
    """Return a cookie's name as a server may read it: some decode it, some drop what stands empty before it."""
    name = part.strip().lstrip("=").partition("=")[0].strip()
    return unquote(name) if "%" in name else name


def with_jar(vouched: tuple[Field, ...], jar: bytes | None) -> tuple[Field, ...]:
    """Return the fields with a jar's Cookie joined to theirs; a cookie of the jar stands for its twin."""
    if jar is None:
        return vouched
    ours = {cookie_name(part) for part in jar.decode("latin-1").split(";")}
    theirs = [
        part.strip()
        for name, value in vouched
        if name.lower() == b"cookie"
        for part in value.split(b";")
        if cookie_name(part.decode("latin-1")) not in ours
    ]
    others = [field for field in vouched if field[0].lower() != b"cookie"]
    return (*others, (b"Cookie", b"; ".join([jar, *theirs])))


def _parts(text: str) -> Iterable[tuple[str, str]]:
    pieces = _SEPARATOR.split(text)
    return zip(["", *pieces[1::2]], pieces[::2], strict=True)
