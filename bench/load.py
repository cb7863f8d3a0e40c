"""The load generator: keep-alive connections in a closed loop, each sending its next request on an answer.

Only a complete 200 whose body begins with the expected marker counts as right. Anything else is counted as
wrong, so a fast proxy that leads astray cannot win.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from bench import child

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Plan:
    """One round: `head` is the request as it is sent, `{n}` in it becomes a number, so that no two are the same.

    With `tunnel` it goes through CONNECT and TLS to that host.
    """

    port: int
    head: str
    marker: str
    seconds: float
    warm_s: float
    connections: int
    tunnel: str | None = None
    ca: str | None = None
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Count:
    """What a round gave; `wrong` and `lost` (connections) count from its first request, warm-up included."""

    right: int
    wrong: int
    lost: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.right / self.seconds


@dataclass(slots=True)
class Tally:
    sent: int = 0
    right: int = 0
    wrong: int = 0
    lost: int = 0
    over: bool = False


class Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, tally: Tally, head: bytes, marker: bytes) -> None:
        self._tally = tally
        self._before, self._numbered, self._after = head.partition(b"{n}")
        self._marker = marker
        self._received = b""
        self._needed = 0
        self._chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are of no class of asyncio

    def connection_lost(self, error: Exception | None) -> None:
        if not self._tally.over:
            self._tally.lost += 1

    def send(self) -> None:
        self._received = b""
        self._needed = 0
        self._tally.sent += 1
        number = b"%d" % self._tally.sent if self._numbered else b""
        self.transport.write(self._before + number + self._after)

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if not self._needed and not self._measured():
            return
        if len(self._received) >= self._needed and (not self._chunked or self._received.endswith(_LAST_CHUNK)):
            self._judge()

    def _measured(self) -> bool:
        """Find out how long the answer is; False while its head is incomplete or where it cannot be told."""
        end = self._received.find(_HEAD_END)
        if end < 0:
            return False
        length = _LENGTH.search(self._received, 0, end + 2)
        self._body = end + len(_HEAD_END)
        self._chunked = length is None and _CHUNKED.search(self._received, 0, end + 2) is not None
        if self._chunked:
            self._needed = self._body + len(_LAST_CHUNK)
        elif length is not None:
            self._needed = self._body + int(length[1])
        else:
            self._tally.wrong += 1
            self.transport.abort()
            return False
        return True

    def _judge(self) -> None:
        begin = self._received.find(b"\r\n", self._body) + 2 if self._chunked else self._body
        right = self._received.startswith(b"HTTP/1.1 200") and self._received.startswith(self._marker, begin)
        if right and (self._chunked or len(self._received) == self._needed):
            self._tally.right += 1
        else:
            self._tally.wrong += 1
        if not self._tally.over:
            self.send()


async def measure(plan: Plan) -> Count:
    """Send for one round; raises OSError where a connection or a tunnel cannot be had."""
    tally = Tally()
    senders = await asyncio.gather(*(_connect(plan, tally) for _ in range(plan.connections)))
    for sender in senders:
        sender.send()
    await asyncio.sleep(plan.warm_s)
    before, started_at = tally.right, time.monotonic()
    await asyncio.sleep(plan.seconds)
    right, seconds = tally.right - before, time.monotonic() - started_at
    tally.over = True
    for sender in senders:
        sender.transport.abort()
    return Count(right, tally.wrong, tally.lost, seconds)


async def _connect(plan: Plan, tally: Tally) -> Sender:
    loop = asyncio.get_running_loop()
    sock = socket.socket()
    sock.setblocking(False)
    await loop.sock_connect(sock, (plan.host, plan.port))
    context = await _tunnelled(sock, plan.tunnel, plan.ca) if plan.tunnel else None
    _, sender = await loop.create_connection(
        lambda: Sender(tally, plan.head.encode(), plan.marker.encode()),
        sock=sock,
        ssl=context,
        server_hostname=plan.tunnel,
    )
    return sender


async def _tunnelled(sock: socket.socket, host: str, ca: str | None) -> ssl.SSLContext:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    answer = b""
    while _HEAD_END not in answer:
        if not (chunk := await loop.sock_recv(sock, 4096)):
            raise ConnectionError("tunnel was refused")
        answer += chunk
    if b" 200 " not in answer.split(b"\r\n", 1)[0]:
        raise ConnectionError(f"tunnel was refused: {answer[:80]!r}")
    return ssl.create_default_context(cafile=ca)


def _main() -> None:
    child.say(ready=True)
    while True:
        try:
            given = child.first_line()
        except ValueError:  # the input has ended
            return
        child.say(**asdict(uvloop.run(measure(Plan(**given)))))


if __name__ == "__main__":
    _main()
