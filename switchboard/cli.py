"""`hms-esr`: the command line. Verbs that run or read something here; `steering` has those that call the API."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import click

from switchboard import __version__, roles, steering, up
from switchboard.errors import EsrError, InvalidFile
from switchboard.estate_checks import estate_warnings, resolve_problems
from switchboard.explaining import explain_verb
from switchboard.options import DURATION, FACTOR, shared
from switchboard.schema import schema_text
from switchboard.settings import Settings, load_estate, load_scenarios


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def cli() -> None:
    """A flight simulator for an organisation's web services."""


@cli.command("demo")
@click.option("--headless", is_flag=True, help="Plain lines, also on a terminal.")
@click.option("--duration", type=DURATION, help="How long the drill lasts (default 60s).")
@click.option("--log", "log", type=click.Path(path_type=Path), help="Replay this access log instead.")
@click.option("--speed", type=FACTOR, help="Replay speed like 10x.")
@shared
def demo_verb(settings: Settings, **given: Any) -> None:
    """Run the main job on loopback: stand-in production and sandbox, a trainee, a replayed log, a scorecard."""
    from switchboard import demo  # the stand-ins' libraries are for this verb only

    roles.run(lambda: demo.run(settings, demo.Choices(**given)))


@cli.command("up")
@click.option("--scenarios", type=click.Path(path_type=Path), help="Scenario folder (default beside the estate).")
@shared
def up_verb(settings: Settings, scenarios: Path | None) -> None:
    """Start everything on this host and keep it running until SIGTERM."""

    async def main() -> None:
        stop = roles.stop_on_signals()
        place = roles.Place(settings, node="up", scenarios=scenarios)
        async with up.up(place, say=lambda line: click.echo(line, err=True)) as running:
            for line in up.banner(running, settings, load_estate(settings.estate)):
                click.echo(line)
            await stop.wait()

    roles.run(main)


@cli.command("serve")
@click.argument("role", type=click.Choice(roles.ROLES))
@click.option("--node", help="Node id in the store (default ROLE-1).")
@click.option("--scenarios", type=click.Path(path_type=Path), help="Scenario folder (default beside the estate).")
@click.option("--listeners", help="Listeners as JSON, in place of the estate's (given by `up`).")
@shared
def serve_verb(
    settings: Settings, *, role: str, node: str | None, scenarios: Path | None, listeners: str | None
) -> None:
    """Run one role in the foreground until SIGTERM."""
    roles.serve(role, roles.Place(settings, node or f"{role}-1", scenarios, listeners))


@cli.command("check")
@click.option("--scenarios", type=click.Path(path_type=Path), help="Scenario folder (default beside the estate).")
@shared
def check_verb(settings: Settings, scenarios: Path | None) -> None:
    """Check the estate file and all scenarios; names are resolved as the proxy would."""
    estate = load_estate(settings.estate)
    folder = roles.Place(settings, "check", scenarios).shelf().folder
    shelf = load_scenarios(folder)
    broken = [problem for found in shelf.values() if isinstance(found, InvalidFile) for problem in found.problems]
    warnings = [*estate_warnings(estate), *resolve_problems(estate, _addresses)]
    if settings.as_json:
        shown = {"estate": str(settings.estate), "scenarios": sorted(shelf), "warnings": warnings}
        click.echo(_json({**shown, "problems": [str(problem) for problem in broken]}))
    else:
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
        click.echo(f"{settings.estate}: sound; {len(shelf)} scenarios in {folder}")
    if broken:
        raise InvalidFile(broken)


@cli.command("schema")
@click.argument("kind", type=click.Choice(("estate", "scenario")))
@shared
def schema_verb(settings: Settings, kind: str) -> None:
    """Print the JSON Schema of a file, for editors."""
    click.echo(schema_text(kind), nl=False)


@cli.command("version")
@shared
def version_verb(settings: Settings) -> None:
    """Print the version."""
    click.echo(_json({"version": __version__}) if settings.as_json else f"hms-esr {__version__}")


def _addresses(host: str) -> list[str]:
    try:
        return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, None)})
    except OSError:
        return []


def _json(value: Any) -> str:
    return steering.as_json(value)


for verb in (*steering.VERBS, explain_verb):
    cli.add_command(verb)


def main() -> None:
    """Run the command line; every error is one line on standard error and an exit code of DESIGN 5.1."""
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads: not an error of ours
        sys.exit(0)
    except (EsrError, BaseExceptionGroup) as error:
        found = up.first_error(error)
        if not isinstance(found, EsrError):
            raise
        click.echo(f"hms-esr: {found}", err=True)
        sys.exit(found.exit_code)
