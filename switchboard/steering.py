"""Verbs of the command line that are a client of the HTTP API and nothing more."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import click

from switchboard.admin_auth import TOKEN_FILE
from switchboard.client import ApiClient
from switchboard.errors import BadInput
from switchboard.options import DURATION, FACTOR, shared
from switchboard.screen import lines_of_leaks, lines_of_scenarios, lines_of_state, one_line
from switchboard.settings import Settings, admin_url

_OVER = ("ended", "failed")


def as_json(value: Any) -> str:
    """Return one line of JSON."""
    return json.dumps(value, separators=(",", ":"))


@asynccontextmanager
async def api(settings: Settings) -> AsyncIterator[ApiClient]:
    """Give a client of the admin API, with the token as set or that of this machine's state folder."""
    path = settings.state / TOKEN_FILE
    token = settings.token
    if token is None and path.exists():
        token = path.read_text("ascii").strip()
    async with ApiClient(admin_url(settings), token=token) as client:
        yield client


def call(settings: Settings, ask: Callable[[ApiClient], Coroutine[Any, Any, Any]]) -> Any:
    """Make calls of the API and return the answer."""

    async def main() -> Any:
        async with api(settings) as client:
            return await ask(client)

    return asyncio.run(main())


def show(settings: Settings, answer: Any, lines: list[str]) -> None:
    click.echo(as_json(answer) if settings.as_json else "\n".join(lines))


def follow(settings: Settings, drill: str | None, *, once: bool = False) -> None:
    """Print a scorecard a second until the drill is over."""

    async def main() -> None:
        async with api(settings) as client:
            async for card in client.follow_score(drill=drill):
                click.echo(as_json(card) if settings.as_json else one_line(card))
                if once or card["phase"] in _OVER:
                    return

    asyncio.run(main())


@click.command("start")
@click.argument("scenario")
@click.option("--target", help="Target (default the only one).")
@click.option("--cohort", help="Cohort (default the only one; `none` for traffic only).")
@click.option("--speed", type=FACTOR, help="Replay speed like 2x.")
@click.option("--users", type=int, help="Number of users.")
@click.option("--duration", type=DURATION, help="How long traffic is sent.")
@click.option("--max", type=DURATION, help="The drill's deadline (default 8h).")
@click.option("--owner", help="Whose drill it is (default the user's name).")
@click.option("--seed", type=int, help="Seed of everything random.")
@click.option("--follow/--detach", "following", default=None, help="Follow the scorecard (default on a terminal).")
@shared
def start_verb(settings: Settings, following: bool | None, **given: Any) -> None:
    """Start a drill of SCENARIO."""
    given["owner"] = given["owner"] or os.environ.get("USER") or "hms-esr"
    wanted = {key: value for key, value in given.items() if value is not None}
    drill = call(settings, lambda client: client.start_drill(**wanted))
    show(settings, drill, [f"drill {drill['id']} is {drill['phase']}"])
    if following or (following is None and sys.stdout.isatty() and not settings.as_json):
        follow(settings, drill["id"])


@click.command("stop")
@click.argument("drill", required=False)
@shared
def stop_verb(settings: Settings, drill: str | None) -> None:
    """End a DRILL (default the only one)."""

    async def ask(client: ApiClient) -> Any:
        running = [found["id"] for found in await client.drills() if found["phase"] not in _OVER]
        if drill is None and len(running) != 1:
            raise BadInput(f"DRILL: name one of: {', '.join(running) or 'no drill runs'}", code="which_drill")
        return await client.stop_drill(drill or running[0])

    ended = call(settings, ask)
    show(settings, ended, [f"drill {ended['id']} is {ended['phase']}"])


@click.command("status")
@shared
def status_verb(settings: Settings) -> None:
    """Show drills, nodes and the leak report."""

    async def ask(client: ApiClient) -> Any:
        return {"state": await client.state(), "leaks": await client.leaks()}

    found = call(settings, ask)
    show(settings, found, lines_of_state(found["state"]) + lines_of_leaks(found["leaks"]))


@click.command("scenarios")
@shared
def scenarios_verb(settings: Settings) -> None:
    """List scenarios; a broken one with what is wrong in it."""
    found = call(settings, lambda client: client.scenarios())
    show(settings, found, lines_of_scenarios(found))


@click.command("score")
@click.argument("what", required=False, type=click.Choice(("ingest",)))
@click.option("--follow", "following", is_flag=True, help="Go on until the drill is over.")
@click.option("--drill", help="Drill (default the newest that is not over).")
@shared
def score_verb(settings: Settings, *, what: str | None, following: bool, drill: str | None) -> None:
    """Show the scorecard; `score ingest` adds outcomes from standard input, one JSON object a line."""
    if what == "ingest":
        counted = call(settings, lambda client: client.post_outcomes(sys.stdin.buffer.read(), drill=drill))
        show(settings, counted, [f"{counted['counted']} outcomes counted for drill {counted['drill']}"])
    else:
        follow(settings, drill, once=not following)


VERBS = (start_verb, stop_verb, status_verb, scenarios_verb, score_verb)
