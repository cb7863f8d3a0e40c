"""Programs of one role each: what `hms-esr serve ROLE` runs until SIGTERM."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from switchboard import redis_server
from switchboard.errors import InvalidFile, Unavailable
from switchboard.estate import Estate, Listeners, Secret
from switchboard.scenario import Scenario
from switchboard.settings import Settings, load_estate, load_scenarios, read_mock_files, read_secret, state_folder
from switchboard.store import Store

Result = TypeVar("Result")

ROLES = ("admin", "proxy", "generator")
PACKAGED_SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios"
_LOOK_AGAIN_S = 1.0


@dataclass(slots=True)
class Shelf:
    """The scenarios of a folder, read again at most once a second so that a new file shows within two."""

    folder: Path
    _found: dict[str, Scenario | InvalidFile] = field(default_factory=dict)
    _looked: float = float("-inf")

    def __call__(self) -> dict[str, Scenario | InvalidFile]:
        now = time.monotonic()
        if now - self._looked > _LOOK_AGAIN_S:
            self._found, self._looked = load_scenarios(self.folder), now
        return self._found

    def sound(self) -> dict[str, Scenario]:
        """Return those without problems."""
        return {key: found for key, found in self().items() if isinstance(found, Scenario)}


@dataclass(frozen=True, slots=True)
class Place:
    """What a role needs besides its own name: settings, node id, scenario folder, and listeners bound by `up`.

    `incarnation` tells this process from any other that may use the same node id.
    """

    settings: Settings
    node: str
    scenarios: Path | None = None
    listeners: str | None = None
    incarnation: str = field(default_factory=lambda: os.environ.get("HMS_ESR_INCARNATION") or uuid.uuid4().hex)

    def estate(self) -> Estate:
        """Return the estate, its listeners replaced where `up` has chosen ports."""
        estate = load_estate(self.settings.estate)
        if self.listeners is None:
            return estate
        return estate.model_copy(update={"listeners": Listeners.model_validate_json(self.listeners)})

    def shelf(self) -> Shelf:
        beside = self.settings.estate.absolute().parent / "scenarios"
        return Shelf(self.scenarios or (beside if beside.is_dir() else PACKAGED_SCENARIOS))


def run(main: Callable[[], Coroutine[Any, Any, Result]], *, uv: bool = True) -> Result:
    """Run a program's coroutine, under uvloop where that works.

    uvloop 0.23 does not know the eager task factory that mitmproxy sets on Python 3.12 and newer.
    """
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if uv:
        try:
            import uvloop
        except ImportError:
            factory = None
        else:
            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main())


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """Give the store of `--redis`, else that of the private server in the state folder."""
    url = settings.redis_url or f"unix://{redis_server.socket_path(settings.state)}"
    async with Store.open(url) as store:
        yield store


def serve(role: str, place: Place) -> None:
    """Run one role until SIGTERM; raises EsrError."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold bodies and credentials (PX-17)
    state_folder(place.settings.state)
    mains = {"admin": _admin, "proxy": _proxy, "generator": _generator}
    # An addon host on Python 3.12 and newer keeps plain asyncio; the other roles never meet mitmproxy.
    run(lambda: mains[role](place), uv=role != "proxy" or sys.version_info < (3, 12))


async def _admin(place: Place) -> None:
    from generator.source import open_source  # each role loads its own libraries only
    from switchboard import admin

    shelf = place.shelf()

    def examine(scenario: Scenario) -> None:
        if scenario.log_path is not None:
            open_source(scenario.log_path, shelf.folder, format=scenario.format)

    async with opened_store(place.settings) as store:
        await admin.serve(
            place.estate(),
            store=store,
            state=place.settings.state,
            scenarios=shelf,
            examine=examine,
            token=place.settings.token,
            stop=stop_on_signals(),
        )


async def _proxy(place: Place) -> None:
    from addons.bounds import raise_file_limit
    from addons.light import rest_memory
    from switchboard import proxy_node

    rest_memory()
    raise_file_limit()
    estate, base = place.estate(), place.settings.estate.absolute().parent
    users = [pair for cohort in estate.cohorts.values() for pair in cohort.users.items()]
    protected = await asyncio.to_thread(_redis_places, place.settings.redis_url)
    async with opened_store(place.settings) as store:
        await proxy_node.serve(
            estate,
            store=store,
            node_id=place.node,
            incarnation=place.incarnation,
            state=place.settings.state,
            supplies=proxy_node.Supplies(
                passwords={name: read_secret(secret, base) for name, secret in users},
                twins=_twins(estate, base),
                files=read_mock_files(estate),
                protected=protected,
            ),
            stop=stop_on_signals(),
        )


def _twins(estate: Estate, base: Path) -> dict[str, dict[int, str]]:
    """Return the values of all fixed twins, by target and index of the rule."""
    return {
        name: {
            index: read_secret(credential.twin, base)
            for index, credential in enumerate(target.credentials)
            if isinstance(credential.twin, Secret)
        }
        for name, target in estate.targets.items()
    }


def _redis_places(url: str | None) -> frozenset[tuple[str, int]]:
    """Return where a Redis over TCP listens: whoever can write there can end drills."""
    parts = urlsplit(url or "")
    if parts.scheme not in ("redis", "rediss"):
        return frozenset()
    host, port = parts.hostname or "localhost", parts.port or 6379
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Unavailable(f"redis: {host}: its name cannot be resolved ({error.strerror})") from error
    return frozenset((str(entry[4][0]), port) for entry in found)


async def _generator(place: Place) -> None:
    from generator import node as generator_node

    shelf = place.shelf()
    async with opened_store(place.settings) as store:
        await generator_node.serve(
            place.estate(),
            store=store,
            node_id=place.node,
            incarnation=place.incarnation,
            scenarios=shelf.sound,
            base=shelf.folder,
            stop=stop_on_signals(),
        )


def worker_count(estate: Estate) -> int:
    """Return how many proxy workers run: `workers`, with `auto` one per core this process may use."""
    return len(os.sched_getaffinity(0)) if estate.workers == "auto" else estate.workers
