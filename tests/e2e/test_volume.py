"""Large uploads and downloads meet none of the bounds: they stream at full speed with flat memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from tests.e2e import asking
from tests.e2e.asking import head
from tests.e2e.pushing import (
    BLOCK,
    CHUNK,
    CHUNKED,
    MIB,
    WWW,
    downloaded,
    post,
    upload,
)
from tests.e2e.stage import MEMBER, OUTSIDER, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("scene")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def drill(scene: Stage) -> AsyncIterator[Stage]:
    await scene.start()
    scene.worker.witness.totals.clear()
    try:
        yield scene
    finally:
        await scene.end()


def resident() -> int:
    """Return the memory of this process, in bytes."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@asynccontextmanager
async def watched(limit: int) -> AsyncIterator[None]:
    """Look at the memory ten times a second; fail where it grows beyond a limit."""
    before, peak = resident(), 0

    async def look() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident() - before)
            await asyncio.sleep(0.05)

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(look())
        yield
        looking.cancel()
    assert peak < limit, f"memory grew by {peak / MIB:.0f} MiB"


VOLUME = 300 * MIB


@pytest.mark.parametrize("client", [MEMBER, OUTSIDER], ids=["member", "outsider"])
@pytest.mark.parametrize("fields", [f"Content-Length: {VOLUME}", CHUNKED], ids=["length", "chunked"])
async def test_a_large_upload_streams_with_flat_memory(drill: Stage, client: str, fields: str) -> None:
    async with asyncio.timeout(60), watched(40 * MIB), asking.line(drill.proxy, client=client) as line:
        await line.send(post(f"{WWW}/upload", fields))
        for _ in range(VOLUME // MIB):
            await line.send(CHUNK if fields == CHUNKED else BLOCK)
        await line.send(b"0\r\n\r\n" if fields == CHUNKED else b"")
        answer = await line.answer()
    assert answer.status == 201
    assert str(VOLUME).encode() in answer.body


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
async def test_a_large_download_streams_with_flat_memory(drill: Stage, protocol: str) -> None:
    path = f"/stream?bytes={VOLUME}"
    async with asyncio.timeout(60), watched(40 * MIB):
        if protocol == "h2":
            async with asking.two(drill) as two:
                stream = await two.start(head("GET", "www.cms.example", path))
                taken = await downloaded(two, stream)
        else:
            async with asking.line(drill.proxy) as line:
                await line.send(f"GET {WWW}{path} HTTP/1.1\r\nHost: www.cms.example\r\n\r\n".encode())
                await line.head()
                taken = 0
                while taken < VOLUME:
                    taken += len(await line.reader.read(MIB))
    assert taken == VOLUME


async def test_an_http2_upload_with_a_length_streams_with_flat_memory(drill: Stage) -> None:
    size = 64 * MIB
    async with asyncio.timeout(60), watched(40 * MIB), asking.two(drill) as two:
        fields = head("POST", "www.cms.example", "/upload", ("content-length", str(size)))
        stream = await two.start(fields, end=False)
        await upload(two, stream, size)
        answer = await two.answer(stream)
    assert answer.status == 201
