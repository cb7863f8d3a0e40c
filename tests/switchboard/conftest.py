"""An admin on a real Redis, with nodes that only acknowledge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from switchboard.admin import admin
from switchboard.client import ApiClient
from switchboard.drill import SwitchDocument
from switchboard.errors import InvalidFile, Problem, Unavailable
from switchboard.estate import Estate
from switchboard.node import NodeState
from switchboard.scenario import Scenario
from switchboard.store import Store

TOKEN = "a-token-of-the-tests"

ESTATE: dict[str, Any] = {
    "version": 1,
    "production": {
        "hosts": ["www.cms.example", "*.cms.example"],
        "networks": ["203.0.113.0/24", "2001:db8:10::/48"],
    },
    "cohorts": {
        "rookies": {"clients": ["127.0.3.0/24"], "gate": "connection"},
        "agents": {"clients": ["127.0.4.9/32"], "gate": "connection"},
        "late": {"clients": ["127.0.3.128/25"], "gate": "connection"},
    },
    "targets": {
        "staging": {
            "routes": [{"from": "https://www.cms.example", "to": "http://sandbox.test:8080", "name": "portal"}],
            "block": ["*.cms.example"],
            "allow": ["fonts.example.net"],
            "mocks": [{"match": "POST https://payments.example/*", "status": 202}],
            "credentials": [{"in": "header", "name": "Authorization", "twin": {"value": "hush-hush"}}],
        }
    },
    "listeners": {"admin": "127.0.0.1:0", "proxy": ["steered@127.0.0.1:8443", "regular@127.0.0.1:8080"]},
    "arm_timeout": 1.0,
}

SCENARIOS: Mapping[str, Scenario | InvalidFile] = {
    "surge": Scenario(id="surge", source="replay_logs", log_path="a.log", speed=2.0, title="A surge"),
    "narrow": Scenario(id="narrow", source="replay_logs", log_path="a.log", target="svc-nowhere"),
    "broken": InvalidFile([Problem("broken.yml", 3, "speed", "'2y'", "a number with an optional x")]),
}


@dataclass(frozen=True)
class Stage:
    """A running admin: its URL, a client with the right token, a store of the same Redis."""

    url: str
    state: Path
    store: Store
    api: ApiClient
    http: ClientSession

    @asynccontextmanager
    async def node(self, node_id: str) -> AsyncIterator[None]:
        """A node that acknowledges every epoch as soon as it comes."""
        async with asyncio.TaskGroup() as tasks:
            first = asyncio.Event()
            task = tasks.create_task(_acknowledging(self.store, node_id, first))
            await first.wait()
            try:
                yield
            finally:
                task.cancel()

    async def silent_node(self, node_id: str) -> None:
        """A node that registered once and never answers again."""
        await self.says(node_id)

    async def says(self, node_id: str, **more: Any) -> None:
        """A node says that it applies the switch that is stored now, but for what is given."""
        document = await self.store.read_switch() or SwitchDocument()
        applied = {"epoch": document.epoch, "lineage": document.lineage, "ready": True, "seen": time.time()}
        await self.store.acknowledge(NodeState.model_validate({"id": node_id, "role": "proxy", **applied, **more}))


async def _acknowledging(store: Store, node_id: str, first: asyncio.Event) -> None:
    async for document in store.watch_switch():
        try:
            await store.acknowledge(
                NodeState(
                    id=node_id,
                    role="proxy",
                    epoch=document.epoch,
                    lineage=document.lineage,
                    ready=True,
                    seen=time.time(),
                )
            )
        except Unavailable:
            continue
        first.set()


async def eventually(question: Callable[[], Awaitable[bool]], *, timeout_s: float = 4.0) -> None:
    """Return as soon as the answer is yes; fails when it is not within `timeout_s`."""
    until = time.monotonic() + timeout_s
    while not await question():
        if time.monotonic() > until:
            pytest.fail(f"not within {timeout_s} s")
        await asyncio.sleep(0.01)


@pytest.fixture(name="eventually")
def _eventually() -> Callable[..., Awaitable[None]]:
    return eventually


OpenStage = Callable[..., AbstractAsyncContextManager[Stage]]


@pytest.fixture
def estate() -> Estate:
    return Estate.model_validate(ESTATE)


@pytest.fixture
def stage(redis_url: str, tmp_path: Path, estate: Estate) -> OpenStage:
    """Open an admin: `async with stage() as it`; options as of `admin`."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[Stage]:
        usual: dict[str, Any] = {"state": tmp_path / "state", "scenarios": lambda: SCENARIOS, "token": TOKEN}
        settings = {**usual, "trust_after_s": 0.0, **options}
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(Store.open(redis_url))
            url = await stack.enter_async_context(admin(settings.pop("estate", estate), store=store, **settings))
            api = await stack.enter_async_context(ApiClient(url, token=settings["token"]))
            http = await stack.enter_async_context(ClientSession())
            yield Stage(url=url, state=settings["state"], store=store, api=api, http=http)

    return opened
