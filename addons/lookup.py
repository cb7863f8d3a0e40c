"""Names to addresses, so that one client's slow names hold up nobody else.

The system's resolver can only be waited for in a thread, and a thread cannot be stopped. So lookups have threads of
their own (mitmproxy and file writes use others), an answer is waited for three seconds, and what was found is
remembered for a moment.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

_THREADS = 64
_PATIENCE_S = 3.0
_REMEMBERED_S = 2.0
_MOST_REMEMBERED = 1024


class Lookup:
    """`await lookup(host, port)` returns the addresses of a name in the system's order; raises OSError."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="lookup")
        self._found: OrderedDict[tuple[str, int], tuple[float, list[str]]] = OrderedDict()

    async def __call__(self, host: str, port: int) -> list[str]:
        now = time.monotonic()
        until, addresses = self._found.get((host, port), (0.0, []))
        if now < until:
            return addresses
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                addresses = await loop.run_in_executor(self._threads, _addresses, host, port)
        except TimeoutError as error:
            raise OSError(f"no answer for this name within {_PATIENCE_S:.0f} s") from error
        self._found[host, port] = now + _REMEMBERED_S, addresses
        while len(self._found) > _MOST_REMEMBERED:
            self._found.popitem(last=False)
        return addresses

    def close(self) -> None:
        """Wait for no thread; what still looks up ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label longer than 63 octets
        raise OSError("not a name") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
