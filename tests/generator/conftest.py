"""A real sandbox server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.generator.stage import Sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    it = Sandbox()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", it.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    it.url = f"http://127.0.0.1:{port}"
    yield it
    await runner.cleanup()
