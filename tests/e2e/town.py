"""Everything as a user runs it: `up` with its processes, a stand-in production and sandbox, and a client of the API."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from switchboard.client import ApiClient
from switchboard.roles import Place
from switchboard.scene import Scene, scene, write_estate
from switchboard.settings import Settings
from switchboard.up import Running, up


@dataclass(frozen=True, slots=True)
class Town:
    """`proxy` is the explicit proxy's URL, `ca` what its clients must trust."""

    scene: Scene
    running: Running
    settings: Settings
    api: ApiClient

    @property
    def proxy(self) -> str:
        door = self.running.listeners.proxy[0]
        return f"http://{door.host}:{door.port}"

    @property
    def ca(self) -> Path:
        return self.settings.state / "ca" / "hms-esr-ca-cert.pem"

    def pids(self, word: str) -> list[int]:
        """Return the processes of this town whose command line has a word."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if str(self.settings.state) in line and word in line:
                found.append(int(path.parent.name))
        return found

    def kill(self, word: str) -> None:
        """End the processes with a word in their command line at once, as a crash would."""
        pids = self.pids(word)
        assert pids, f"no process with {word!r} in its command line"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def town(folder: Path, *, scenarios: Path | None = None) -> AsyncIterator[Town]:
    """Run a whole town; `folder` gets its files. Short paths matter: Redis listens on a socket below it."""
    async with scene(folder) as running_scene:
        settings = Settings(estate=write_estate(running_scene), state=folder / "state")
        place = Place(settings, node="up", scenarios=scenarios)
        async with up(place, say=print) as running, ApiClient(running.admin, token=running.token) as api:
            yield Town(running_scene, running, settings, api)
