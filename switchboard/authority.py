"""Host names and ports as clients write them, brought to one certain form or refused.

A name that can be read in two ways is never guessed at: `Unclear` carries the reason and the caller blocks.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

import idna

DEFAULT_PORTS = {"http": 80, "https": 443}

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
# WHATWG URL "ends in a number": such a host is an IPv4 address in one of its spellings, or an error.
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\Z")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Unclear(ValueError):
    """The text names no host with certainty; `str()` is the reason."""


class Authority(NamedTuple):
    """A host in lower case without trailing dot, and a port (always present)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_host(text: str) -> str:
    """Return the name of `text` in lower case without its trailing dot (RFC 1034, RFC 5890 A-labels).

    Raises Unclear for address literals in any spelling, non-ASCII, percent signs and bad labels.
    """
    if not text.isascii():
        raise Unclear("non-ASCII host")
    host = text.lower().removesuffix(".")
    if not host:
        raise Unclear("empty host")
    if len(host) > 253:
        raise Unclear("host longer than 253 octets")
    if host[0] == "[" or ":" in host:
        raise Unclear("address literal")
    labels = host.split(".")
    if _NUMBER.match(labels[-1]):
        raise Unclear("address literal")
    if not all(map(_LABEL.match, labels)):
        raise Unclear("not a host name")
    return host


def parse_authority(text: str, scheme: str) -> Authority:
    """Return host and port of an `authority` (RFC 3986 3.2) without userinfo; the port defaults by `scheme`.

    Raises Unclear with the reason.
    """
    if "@" in text:
        raise Unclear("userinfo in authority")
    if text.startswith("["):
        raise Unclear("address literal")
    host, colon, port = text.partition(":")
    if colon and not port:
        port = ""  # RFC 3986 3.2.3: an empty port is the default one
    elif colon and not (_PORT.match(port) and 0 < int(port) < 65536):
        raise Unclear("not a port")
    return Authority(parse_host(host), int(port) if port else DEFAULT_PORTS[scheme])


def to_ascii(name: str) -> str:
    """Return a name that a person wrote (perhaps in Unicode) as A-labels; raises Unclear.

    Uses UTS 46 as browsers do, so that an estate file may say `bücher.example`.
    """
    if name.isascii():
        return parse_host(name)
    try:
        return parse_host(idna.encode(name, uts46=True, transitional=False).decode())
    except (idna.IDNAError, UnicodeError) as error:
        raise Unclear(f"not an internationalised host name: {error}") from error
