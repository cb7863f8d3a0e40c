"""What all sides of the proxy rows share: one estate, one origin, one request."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child, child, module
from bench.estates import BEARER, SESSION, write_out
from sandbox.certificates import Authority
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.errors import Unavailable

CLIENT, ORIGIN = "127.0.0.1", "127.0.2.1"
ASKED, DRILL = "api.cms.example", "bench"
SANDBOX = "sandbox-svc.test"

# What a browser sends; production's credentials must not arrive, the path must be moved.
_FIELDS = f"""Host: {{host}}\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r
Accept: application/json\r
Accept-Language: en-US,en;q=0.5\r
Accept-Encoding: gzip, deflate, br\r
Referer: https://www.cms.example/enroll/start\r
Authorization: Bearer {BEARER}\r
Cookie: session={SESSION}; theme=dark; seen=1\r
Connection: keep-alive\r
\r
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where things are: `http` and `tls` are ports of the origin, `redis` is the URL of the store of all workers."""

    folder: Path
    origin: Child
    http: int
    tls: int
    redis: str

    def estate(self, text: str, port: int) -> str:
        """Return an estate of `estates` as the file of workers that listen at `port`."""
        return write_out(text, folder=self.folder, port=port, ports=(self.http, self.tls))

    @property
    def sandbox_ca(self) -> Path:
        return self.folder / "sandbox-ca.pem"


def document() -> SwitchDocument:
    """Return the state in which the measured client is in a running drill."""
    drill = Drill(
        id=DRILL,
        target="staging",
        cohort="rookies",
        phase=Phase.RUNNING,
        started="2026-01-01T00:00:00Z",
        deadline="2026-01-01T08:00:00Z",
        edge=1,
    )
    return SwitchDocument(epoch=2, drills=(drill,))


def head(target: str, host: str = ASKED) -> str:
    """Return one request; `target` is in origin-form or absolute-form."""
    return f"GET {target} HTTP/1.1\r\n" + _FIELDS.format(host=host)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    """Write the certificates, start the origin and a private Redis."""
    now = datetime.datetime.now(datetime.UTC)
    authority = Authority.create("Sandbox CA", now=now)
    authority.write(folder / "sandbox-ca.pem")
    files = authority.issue([SANDBOX, ORIGIN], now=now).write(folder, "sandbox")
    first = {"host": ORIGIN, "chain": str(files.chain), "key": str(files.key)}
    with (
        child(module("origin"), first=first) as origin,
        child(module("redis"), first={"state": str(folder / "store")}) as redis,
    ):
        yield Scene(folder, origin, origin.ready["http"], origin.ready["tls"], redis.ready["url"])


@contextmanager
def shared_port() -> Iterator[int]:
    """Hold a free port that several workers can listen at while this context lasts."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            holder.bind((CLIENT, 0))  # bound but not listening: it takes no connections
        except OSError as error:
            raise Unavailable(f"no free port on {CLIENT}: {error.strerror}", code="port_in_use") from error
        yield holder.getsockname()[1]
