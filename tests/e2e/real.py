"""Workers in processes of their own, as `hms-esr up` runs them, before a sandbox that a test writes itself."""

from __future__ import annotations

import datetime
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.agency import Agency, agency
from sandbox.certificates import Authority
from sandbox.side import Side
from switchboard.client import ApiClient
from switchboard.roles import Place
from switchboard.scene import PROD, SANDBOX
from switchboard.settings import Settings
from switchboard.up import Running, up
from tests.e2e.origin import Origin, origin

WWW = "www.cms.example"

_HEAD = """
version: 1
production:
  hosts: [www.cms.example, "*.cms.example"]
  networks: [127.0.1.0/24]
  connect: {{"www.cms.example:80": "127.0.1.1:{prod}"}}
cohorts:
  rookies: {{clients: [127.0.0.1], gate: connection}}
listeners: {{proxy: ["regular@127.0.0.1:0"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}}
workers: {workers}
targets:
  staging:
    routes: [{{from: "http://www.cms.example", to: "http://127.0.2.1:{port}"}}]
    block: ["*.cms.example"]
    networks: [127.0.2.0/24]
"""


@dataclass(frozen=True, slots=True)
class Real:
    production: Agency
    sandbox: Origin
    running: Running
    api: ApiClient
    state: Path

    @property
    def proxy(self) -> str:
        door = self.running.listeners.proxy[0]
        return f"http://{door.host}:{door.port}"

    @property
    def port(self) -> int:
        return self.running.listeners.proxy[0].port

    def workers(self) -> list[int]:
        """Return the processes of the proxy workers."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"proxy" in words and os.fsencode(self.state) in b"\0".join(words):
                found.append(int(path.parent.name))
        return found


@asynccontextmanager
async def real(folder: Path, *, target: str = "", workers: int = 1) -> AsyncIterator[Real]:
    """Run it, in a drill; `target` are further lines of the target. `folder` needs a short path (Redis is below it)."""
    now = datetime.datetime.now(datetime.UTC)
    tls = Authority.create("Production CA", now=now).issue(["*.cms.example"], now=now).write(folder, "prod")
    async with agency(Side.PROD, PROD, tls=tls) as production, origin(SANDBOX, 0) as sandbox:
        path = folder / "switchboard.yml"
        path.write_text(_HEAD.format(prod=production.http_port, workers=workers, port=sandbox.port) + target, "utf-8")
        settings = Settings(estate=path, state=folder / "state")
        async with (
            up(Place(settings, node="up"), say=lambda text: None) as running,
            ApiClient(running.admin, token=running.token) as api,
        ):
            await api.set_mode("sandbox", target="staging", cohort="rookies")
            yield Real(production, sandbox, running, api, settings.state)


def peak(pid: int) -> int:
    """Return the most bytes of memory that a process has held."""
    return _status(pid, "VmHWM")


def now_held(pid: int) -> int:
    return _status(pid, "VmRSS")


def _status(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def forget_peak(pid: int) -> None:
    """Let the peak of a process begin anew (proc(5): clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
