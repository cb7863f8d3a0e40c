"""`hms-esr demo`: the main job on loopback, with a stand-in production and a stand-in sandbox.

A trainee asks for production once a second. Before the drill the answer is production's, during the drill the
sandbox's, after it production's again; meanwhile a log is replayed into the sandbox. Production keeps books of
every byte it gets: one from the drill, and the demo ends with exit code 4.
"""

from __future__ import annotations

import asyncio
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import click

from switchboard.client import ApiClient
from switchboard.errors import BadInput, Leaked, Unavailable
from switchboard.roles import Place, opened_store
from switchboard.scene import Scene, write_estate, write_scenario
from switchboard.scene import scene as set_scene
from switchboard.screen import one_line
from switchboard.settings import Settings, load_estate
from switchboard.steering import as_json
from switchboard.up import banner, up

PAGE = "https://www.cms.example/"
_DURATION_S, _LIVE_REQUESTS, _SETTLE_S = 60.0, 3, 5.0


@dataclass(frozen=True, slots=True)
class Choices:
    """Flags of the demo. `log` is relative to the working directory; `speed` default: the scenario's own."""

    headless: bool = False
    duration: float | None = None
    log: Path | None = None
    speed: float | None = None


async def run(settings: Settings, choices: Choices) -> None:
    """Run the whole demo; raises Leaked where production saw anything of the drill."""
    if choices.log is not None and not choices.log.exists():
        raise BadInput(f"--log: {str(choices.log)!r} does not exist; give an access log, plain or gzip")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hms-esr-demo-")))
        scene = await stack.enter_async_context(set_scene(folder))
        scenario = write_scenario(folder / "scenarios", choices.log)
        place = Place(
            replace(settings, estate=write_estate(scene), state=folder / "state", redis_url=None, url=None, token=None),
            node="demo",
            scenarios=folder / "scenarios",
        )
        say = _say(settings)
        running = await stack.enter_async_context(up(place, say=say))
        for line in banner(running, place.settings, load_estate(place.settings.estate)):
            say(line)
        client = await stack.enter_async_context(ApiClient(running.admin, token=running.token))
        trainee = await stack.enter_async_context(_trainee(place.settings, str(running.listeners.proxy[0])))
        drill = _Drill(scene, client, trainee, say, headless=choices.headless or not sys.stdout.isatty())
        card = await drill.play(scenario, choices)
        lines = await _settled_lines(place.settings, card["drill"])
        _summary(settings, scene, card=card, lines=lines, say=say, leaked=drill.leaked)
        if drill.leaked:
            raise Leaked(f"production received {drill.leaked} requests from the drill")


def _say(settings: Settings) -> Any:
    """Lines for people go to standard error where the last line of standard output is for a program."""
    return lambda line: click.echo(line, err=settings.as_json)


@asynccontextmanager
async def _trainee(settings: Settings, door: str) -> AsyncIterator[Trainee]:
    trust = ssl.create_default_context(cafile=str(settings.state / "ca" / "hms-esr-ca-cert.pem"))
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(trust_env=False, timeout=timeout) as session:
        yield Trainee(session, f"http://{door.partition('@')[2]}", trust)


@dataclass(frozen=True, slots=True)
class Trainee:
    """Someone whose browser is configured to use the proxy and who only ever asks for production."""

    session: aiohttp.ClientSession
    proxy: str
    trust: ssl.SSLContext

    async def look(self) -> str:
        """Ask for the portal and return who answered: PRODUCTION, SANDBOX, or what went wrong."""
        try:
            async with self.session.get(PAGE, proxy=self.proxy, ssl=self.trust) as answer:
                side = answer.headers.get("X-Agency-Side", "")
                return {"prod": "PRODUCTION", "sandbox": "SANDBOX"}.get(side, f"status {answer.status}")
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"no answer ({type(error).__name__})"


@dataclass(slots=True)
class _Drill:
    """One drill of the demo from a trainee's first look to the last."""

    scene: Scene
    client: ApiClient
    trainee: Trainee
    say: Any
    headless: bool
    leaked: int = 0

    async def play(self, scenario: str, choices: Choices) -> dict[str, Any]:
        """Play it and return the last scorecard."""
        await self._look_live()
        drill = await self.client.start_drill(scenario=scenario, speed=choices.speed, owner="demo")
        self.say(f"drill {drill['id']} is {drill['phase']}: the same request now lands in the sandbox")
        before = self.scene.production.books.requests
        await self._watch(drill["id"], choices.duration or _DURATION_S)
        self.leaked = self.scene.production.books.requests - before
        await self.client.stop_drill(drill["id"])
        self.say(f"drill {drill['id']} is over")
        await self._look_live()
        return await self._last_card(drill["id"])

    async def _look_live(self) -> None:
        for _ in range(_LIVE_REQUESTS):
            self.say(f"trainee asks for {PAGE}  ->  {await self.trainee.look()}")
            await asyncio.sleep(1.0 if not self.headless else 0.3)

    async def _watch(self, drill: str, seconds: float) -> None:
        """Look and show the scorecard once a second."""
        try:
            async with asyncio.timeout(seconds):
                async for card in self.client.follow_score(drill=drill):
                    self.say(f"{one_line(card)}   trainee -> {await self.trainee.look()}")
        except TimeoutError:
            return

    async def _last_card(self, drill: str) -> dict[str, Any]:
        """Return the scorecard after the generator's last flush."""
        await asyncio.sleep(1.5)
        async for card in self.client.follow_score(drill=drill):
            return dict(card)
        raise Unavailable("the scorecard ended without a figure")


async def _settled_lines(settings: Settings, drill: str) -> dict[str, Any]:
    """Return what became of the log's lines once they add up (the generator's last flush is in)."""
    async with opened_store(settings) as store:
        lines: dict[str, Any] = {}
        for _ in range(int(_SETTLE_S / 0.2)):
            lines = log_lines((await store.read_score(drill)).counters)
            if lines["read"] == lines["sent"] + sum(lines["skipped"].values()):
                break
            await asyncio.sleep(0.2)
        return lines


def log_lines(counters: Mapping[str, int]) -> dict[str, Any]:
    """Return `{"read","sent","skipped": {reason: n}}` from a drill's counters."""
    skipped = {
        name.removeprefix("skipped:"): count
        for name, count in sorted(counters.items())
        if name.startswith("skipped:") and count
    }
    return {"read": counters.get("read", 0), "sent": counters.get("sent", 0), "skipped": skipped}


def _summary(
    settings: Settings, scene: Scene, *, card: dict[str, Any], lines: dict[str, Any], say: Any, leaked: int
) -> None:
    books = scene.sandbox.books
    say(f"log lines: read {lines['read']}, sent {lines['sent']}, skipped {lines['skipped'] or 'none'}")
    say(f"sandbox received {books.requests} requests; production received {leaked} from the drill")
    say(one_line(card))
    if settings.as_json:
        click.echo(as_json({**card, "lines": lines}))
