"""`hms-esr up`: all roles on one host, each a process of its own, kept alive until SIGTERM.

A dead proxy worker means refused connections, not direct ones; it comes back with a growing delay. At the end
the generator and the workers go first (a worker shuts its listeners before anything else), then admin, then
Redis, so that what they know last still gets written down.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

from switchboard import redis_server
from switchboard.admin_auth import ensure_token
from switchboard.errors import BadInput, EsrError, Unavailable
from switchboard.estate import Estate, Listener, Listeners
from switchboard.ports import chosen
from switchboard.roles import Place, opened_store, worker_count
from switchboard.settings import Settings, load_estate, state_folder
from switchboard.store import Store

READY_S = 30.0
STOP_S = 6.0
_SHORTEST_S, _LONGEST_S, _STEADY_S = 0.2, 5.0, 10.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """What `up` has started. `token` is the admin token, `fresh` whether it was made just now."""

    admin: str
    listeners: Listeners
    token: str
    fresh: bool
    nodes: tuple[str, ...]


@dataclass(slots=True)
class Child:
    """One process of a role. `node` is its id in the store, None for admin."""

    name: str
    arguments: list[str]
    node: str | None
    process: Process | None = None
    incarnation: str = ""

    async def start(self, environment: dict[str, str]) -> Process:
        self.incarnation = uuid.uuid4().hex
        # An own session: Ctrl-C on a terminal reaches the supervisor only, which then stops all in order.
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "switchboard", *self.arguments),
            env={**environment, "HMS_ESR_INCARNATION": self.incarnation},
            start_new_session=True,
        )
        return self.process

    async def stop(self) -> None:
        process = self.process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@dataclass(slots=True)
class Supervisor:
    """Keeps children alive; `say` gets a line for everything a person should know."""

    place: Place
    say: Say
    children: list[Child] = field(default_factory=list)
    redis: redis_server.RedisServer | None = None
    stopping: bool = False

    def is_stopping(self) -> bool:
        return self.stopping

    async def keep(self, child: Child, store: Store) -> None:
        """Start a child again whenever it ends, until stopping."""
        delay_s = _SHORTEST_S
        environment = dict(os.environ)
        for name, secret in (("TOKEN", self.place.settings.token), ("REDIS_URL", self.place.settings.redis_url)):
            if secret:  # never as an argument, which every user of the machine can read
                environment[f"HMS_ESR_{name}"] = secret
        while not self.is_stopping():
            started = time.monotonic()
            process = await child.start(environment)
            code = await process.wait()
            if self.is_stopping():
                return
            self.say(f"{child.name} ended with code {code}; it is started again in {delay_s:.1f} s")
            if child.node is not None:
                with suppress(EsrError):
                    await store.goodbye(
                        child.node, child.incarnation
                    )  # a dead worker refuses connections: nobody must wait for it
            delay_s = _SHORTEST_S if time.monotonic() - started > _STEADY_S else min(delay_s * 2, _LONGEST_S)
            await asyncio.sleep(delay_s)

    async def keep_redis(self) -> None:
        """Start the private Redis again whenever it ends; its data is on disk."""
        while not self.is_stopping():
            assert self.redis is not None
            await self.redis.process.wait()
            if self.is_stopping():
                return
            self.say("redis-server ended; it is started again, nodes keep the switch they have")
            await asyncio.sleep(_SHORTEST_S)
            with suppress(EsrError):
                self.redis = await redis_server.start(self.place.settings.state)

    async def stop(self) -> None:
        """End all children in their order."""
        self.stopping = True
        first = [child for child in self.children if child.node is not None]
        last = [child for child in self.children if child.node is None]
        for group in (first, last):
            await asyncio.gather(*(child.stop() for child in group))
        if self.redis is not None:
            await self.redis.stop()


@asynccontextmanager
async def up(place: Place, *, say: Say) -> AsyncIterator[Running]:
    """Run everything and give what runs, once every node is ready; ends all of it with the block.

    Raises EsrError (a port in use, a bad file, no Redis to be had) with nothing left running.
    """
    settings, estate = place.settings, load_estate(place.settings.estate)
    state_folder(settings.state)
    listeners = chosen(estate.listeners)
    place = replace(place, listeners=listeners.model_dump_json())
    supervisor = Supervisor(place, say)
    token, fresh = ensure_token(settings.state, settings.token)
    try:
        if settings.redis_url is None:
            supervisor.redis = await redis_server.start(settings.state)
        supervisor.children = _children(place, worker_count(estate))
        async with opened_store(settings) as store, asyncio.TaskGroup() as tasks:
            keepers = [tasks.create_task(supervisor.keep(child, store)) for child in supervisor.children]
            if supervisor.redis is not None:
                keepers.append(tasks.create_task(supervisor.keep_redis()))
            try:
                await _ready(supervisor, store, listeners.admin)
                nodes = tuple(child.node for child in supervisor.children if child.node is not None)
                yield Running(f"http://{listeners.admin}", listeners, token, fresh, nodes)
            finally:
                await supervisor.stop()
                for keeper in keepers:
                    keeper.cancel()
    except BaseExceptionGroup as group:
        raise first_error(group) from None
    finally:
        if supervisor.redis is not None and not supervisor.stopping:
            await supervisor.redis.stop()


def first_error(error: BaseException) -> BaseException:
    """Return the first error inside groups; one that a user can act on comes before any other."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [first_error(inner) for inner in error.exceptions]
    return next((leaf for leaf in leaves if isinstance(leaf, EsrError)), leaves[0])


def _children(place: Place, workers: int) -> list[Child]:
    settings = place.settings
    common = ["--estate", str(settings.estate), "--state", str(settings.state)]
    common += ["--listeners", place.listeners or ""]
    if place.scenarios is not None:
        common += ["--scenarios", str(place.scenarios)]
    children = [Child("admin", ["serve", "admin", *common], None)]
    for number in range(1, workers + 1):
        node = f"proxy-{number}"
        children.append(Child(node, ["serve", "proxy", "--node", node, *common], node))
    children.append(Child("generator-1", ["serve", "generator", "--node", "generator-1", *common], "generator-1"))
    return children


async def _ready(supervisor: Supervisor, store: Store, admin: Listener) -> None:
    """Wait until every node has said that it is ready and admin answers; raises Unavailable."""
    expected = {child.node for child in supervisor.children if child.node is not None}
    try:
        async with asyncio.timeout(READY_S):
            while not (expected <= await _ready_nodes(store) and await _answers(admin)):
                _check_children(supervisor)
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise Unavailable(f"not everything was ready within {READY_S:.0f} s; see the lines above") from None


async def _ready_nodes(store: Store) -> set[str]:
    with suppress(EsrError):
        return {node.id for node in await store.nodes() if node.ready}
    return set()


def _check_children(supervisor: Supervisor) -> None:
    for child in supervisor.children:
        code = child.process.returncode if child.process is not None else None
        if code is not None:
            told = f"{child.name} ended at start with code {code}; see above"
            raise BadInput(told) if code == BadInput.exit_code else Unavailable(told)


async def _answers(admin: Listener) -> bool:
    try:
        _, writer = await asyncio.open_connection(admin.host, admin.port)
    except OSError:
        return False
    writer.close()
    return True


def banner(running: Running, settings: Settings, estate: Estate) -> list[str]:
    """Return the lines that tell a person where everything is. The token is shown when it is new only."""
    url = f"{running.admin}/?token={running.token}" if running.fresh else f"{running.admin}/"
    hint = "" if running.fresh else f"   (token: {settings.state / 'admin.token'})"
    doors = ", ".join(map(str, running.listeners.proxy))
    return [
        f"console   {url}{hint}",
        f"proxy     {doors}   ({worker_count(estate)} workers)",
        f"CA        {settings.state / 'ca' / 'hms-esr-ca-cert.pem'}   (also {running.admin}/ca.pem)",
        "guard     absent (kernel rules come with a later version)",
    ]
