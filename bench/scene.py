"""What all sides of the proxy rows share: one estate, one origin, one request."""

from __future__ import annotations

import datetime
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child, child, module
from sandbox.certificates import Authority
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.errors import Unavailable

CLIENT, ORIGIN = "127.0.0.1", "127.0.2.1"
ASKED, DRILL = "api.cms.example", "bench"
SANDBOX = "sandbox-svc.test"

# An estate as an agency would write it: many hosts, prefixes on one of them, mocks, blocks and a deny list.
_ESTATE = """
version: 1
clients: [127.0.0.0/24]
production:
  hosts: [www.cms.example, api.cms.example, forms.cms.example, static.cms.example, id.cms.example, "*.cms.example"]
  networks: [127.0.1.0/24, 203.0.113.0/24, "2001:db8:10::/48"]
cohorts:
  rookies: {{clients: [127.0.0.0/24], gate: connection}}
  agents: {{clients: [10.77.2.0/24], gate: connection}}
targets:
  staging:
    routes:
      - {{from: "www.cms.example", to: "http://sandbox-mfe.test:{http}"}}
      - {{from: "forms.cms.example", to: "http://sandbox-mfe.test:{http}/forms"}}
      - {{from: "static.cms.example", to: "http://sandbox-mfe.test:{http}/static"}}
      - from: "http://api.cms.example/profile"
        to: "http://sandbox-svc.test:{http}/sandbox/profile"
        name: svc-profile
        methods: [GET, PUT]
      - from: "https://api.cms.example/profile"
        to: "https://sandbox-svc.test:{tls}/sandbox/profile"
        name: svc-profile-tls
        methods: [GET, PUT]
      - {{from: "http://api.cms.example/plans/2020", to: "http://sandbox-svc.test:{http}/sandbox/plans"}}
      - {{from: "http://api.cms.example/plans", to: "http://sandbox-svc.test:{http}/sandbox/all-plans"}}
      - {{from: "http://api.cms.example", to: "http://sandbox-svc.test:{http}/sandbox"}}
      - {{from: "https://api.cms.example", to: "https://sandbox-svc.test:{tls}/sandbox"}}
      - {{from: "id.cms.example", to: "http://sandbox-svc.test:{http}/sandbox/id"}}
    block: ["*.cms.example"]
    networks: [127.0.2.0/24]
    ca: {folder}/sandbox-ca.pem
    allow: [fonts.example.net]
    mocks:
      - {{match: "POST https://payments.example/*", status: 202, json: {{accepted: true}}}}
deny: [files.example.org, 198.51.100.0/24]
listeners: {{proxy: ["regular@127.0.0.1:{port}"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}}
"""

# What a browser sends; Authorization and Cookie must not arrive, the path must be moved.
_FIELDS = """Host: {host}\r
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r
Accept: application/json\r
Accept-Language: en-US,en;q=0.5\r
Accept-Encoding: gzip, deflate, br\r
Referer: https://www.cms.example/enroll/start\r
Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl\r
Cookie: session=c2Vzc2lvbg; theme=dark; seen=1\r
Connection: keep-alive\r
\r
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where things are: `http` and `tls` are ports of the origin."""

    folder: Path
    origin: Child
    http: int
    tls: int

    def estate(self, port: int) -> str:
        """Return the estate file of workers that listen at `port`."""
        return _ESTATE.format(folder=self.folder, port=port, http=self.http, tls=self.tls)

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
    """Write the certificates and start the origin."""
    now = datetime.datetime.now(datetime.UTC)
    authority = Authority.create("Sandbox CA", now=now)
    authority.write(folder / "sandbox-ca.pem")
    files = authority.issue([SANDBOX, ORIGIN], now=now).write(folder, "sandbox")
    first = {"host": ORIGIN, "chain": str(files.chain), "key": str(files.key)}
    with child(module("origin"), first=first) as origin:
        yield Scene(folder, origin, origin.ready["http"], origin.ready["tls"])


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
