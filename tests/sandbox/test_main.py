from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox.__main__ import arguments
from sandbox.agency import Agency
from sandbox.certificates import ServerFiles
from sandbox.placing import Name


@contextlib.asynccontextmanager
async def program(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "sandbox", *words, stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_the_program_says_where_it_listens_and_ends_on_sigterm(server_files: ServerFiles) -> None:
    tls = ("--cert", str(server_files.chain), "--key", str(server_files.key))
    async with program("--side", "prod", "--host", "127.0.3.1", *tls, "--books-port", "0") as process:
        assert process.stdout
        ports = json.loads(await process.stdout.readline())
        assert (ports["side"], ports["host"], bool(ports["tls"])) == ("prod", "127.0.3.1", True)
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.3.1:{ports['http']}/") as answer:
                assert answer.headers["X-Agency-Side"] == "prod"
            async with session.get(f"http://127.0.3.1:{ports['books']}/books") as answer:
                assert (await answer.json())["requests"] == 1
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


async def test_a_port_in_use_ends_with_5_and_one_line(running: Agency) -> None:
    async with program("--side", "prod", "--http-port", str(running.http_port)) as process:
        _, errors = await process.communicate()
    assert process.returncode == 5
    assert errors.decode().count("\n") == 1
    assert f"cannot listen on 127.0.0.1:{running.http_port}" in errors.decode()


def test_prefixes_are_added_to_the_known_ones() -> None:
    chosen = arguments(["--side", "prod", "--prefix", "/a", "--prefix", "/a/b=services"])
    assert chosen.prefixes["/a"] is None
    assert chosen.prefixes["/a/b"] is Name.SERVICES
    assert chosen.prefixes["/svc"] is Name.SERVICES


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--side", "live"], "invalid choice: 'live'"),
        (["--side", "prod", "--cert", "x.pem"], "go together"),
        (["--side", "prod", "--prefix", "a"], "is not a path"),
        (["--side", "prod", "--prefix", "/a=shop"], "'shop' is not one of"),
    ],
)
def test_bad_words_end_with_2_and_a_reason(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(words)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
