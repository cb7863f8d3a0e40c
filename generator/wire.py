"""The HTTP client. It dials only addresses that were checked, and trusts only the target's own authority.

A drill has one wire. Names are resolved once and pinned; every address is checked when it is pinned and again when a
socket is made for it. Environment, proxies, netrc, cookies and redirects are not followed (LEAKS GN-01 to GN-08).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict
from yarl import URL

from generator.outcome import Outcome
from generator.request import Request
from switchboard.dialing import check_address
from switchboard.errors import BadInput
from switchboard.switch import Switch
from switchboard.verdict import Upstream

ANSWER_LIMIT_S = 30.0
_RETRY_NAME_S = 1.0
_NEVER_ADDED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


Resolve = Callable[[str, int], Awaitable[tuple[str, ...]]]


async def resolve(host: str, port: int) -> tuple[str, ...]:
    """Return the addresses of a name as the system knows it; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))


@dataclass(frozen=True, slots=True)
class _Pin:
    """What a name was resolved to: addresses to dial, or why not, and until when (monotonic) that holds."""

    addresses: tuple[str, ...]
    refused: str | None
    until: float


class Wire:
    """Send requests of one drill to its target. `dialled` is told every address a connection is opened to."""

    def __init__(
        self,
        *,
        sandbox: str,
        switch: Callable[[], Switch],
        dialled: Callable[[str], None],
        ca: Path | None,
        connections: int,
        resolve: Resolve = resolve,
    ) -> None:
        self._lookup = resolve
        self._sandbox = sandbox
        self._switch = switch
        self._dialled = dialled
        self._trust = _trust_only(ca)
        self._connections = connections
        self._pins: dict[tuple[str, int], _Pin] = {}
        self._resolving = asyncio.Lock()

    async def __aenter__(self) -> Wire:
        connector = aiohttp.TCPConnector(
            resolver=_Pinned(self._pins),
            use_dns_cache=False,
            ssl=self._trust,
            limit=self._connections,
            socket_factory=self._open_socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NEVER_ADDED,
            timeout=aiohttp.ClientTimeout(total=ANSWER_LIMIT_S),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def refusal(self, upstream: Upstream) -> str | None:
        """Return why this place may not be dialled, or None. A name that cannot be resolved is not refused."""
        key = (upstream.host, upstream.port)
        pin = self._pins.get(key)
        if pin is None or pin.until < time.monotonic():
            async with self._resolving:
                pin = self._pins.get(key)
                if pin is None or pin.until < time.monotonic():
                    pin = self._pins[key] = await self._resolve(*key)
        return pin.refused

    async def send(self, request: Request, due_at: float) -> Outcome:
        """Send one request and read its answer to the end without keeping it."""
        upstream = request.upstream
        headers: CIMultiDict[str] = CIMultiDict(
            (name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in request.fields
        )
        status, error = 0, ""
        started_at = time.monotonic()
        try:
            url = URL(f"{upstream.scheme}://{upstream.authority}{request.target}", encoded=True)
            async with self._session.request(
                request.method, url, headers=headers, data=request.body or None, allow_redirects=False
            ) as answer:
                while await answer.content.readany():
                    pass
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            error = type(problem).__name__
        return Outcome(due_at, started_at, time.monotonic(), status, error)

    async def _resolve(self, host: str, port: int) -> _Pin:
        try:
            addresses = await self._lookup(host, port)
        except OSError:
            return _Pin((), None, time.monotonic() + _RETRY_NAME_S)
        reasons = filter(None, (self._check(address, port) for address in addresses))
        # One bad address refuses the name: it is not ours to guess which of them the client would be led to.
        return _Pin(addresses, next(reasons, None), float("inf"))

    def _check(self, address: str, port: int) -> str | None:
        return check_address(address, port, switch=self._switch(), sandbox=self._sandbox)

    def _open_socket(self, info: aiohttp.AddrInfoType) -> socket.socket:
        """Make the socket of one connection: the last place where an address can be refused."""
        family, kind, protocol, _, place = info
        address, port = str(place[0]), int(place[1])
        if reason := self._check(address, port):
            raise OSError(f"{address}:{port}: {reason}")
        self._dialled(f"[{address}]:{port}" if ":" in address else f"{address}:{port}")
        return socket.socket(family, kind, protocol)


class _Pinned(AbstractResolver):
    """Answer aiohttp from the pins only; a name without one does not exist."""

    def __init__(self, pins: dict[tuple[str, int], _Pin]) -> None:
        self._pins = pins

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        pin = self._pins.get((host, port))
        if pin is None or pin.refused is not None or not pin.addresses:
            raise OSError(f"{host}:{port}: no address to dial")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in pin.addresses
        ]

    async def close(self) -> None:
        return None


def _trust_only(ca: Path | None) -> ssl.SSLContext:
    """Return a client context that trusts one file; without it, nobody (design 6, lock 2). Raises BadInput."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise BadInput(f"ca: {ca}: {error} (a PEM file with the sandbox's authority)") from error
    return context
