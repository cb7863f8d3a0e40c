"""`hms-esr explain`: what becomes of a URL, a curl command or a line of a log, from the estate file alone."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from generator.entry import Reason
from generator.readers import AccessLog
from generator.request import Aim, ask_for
from switchboard.curl_command import parse_curl
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.errors import BadInput
from switchboard.estate import Estate, Secret
from switchboard.explain import Basis, explain
from switchboard.explained import as_object, lines_of
from switchboard.options import shared
from switchboard.policy import compile_switch
from switchboard.settings import Settings, load_estate, read_secret
from switchboard.specimen import Specimen, parse_field, shown_url, specimen_of, split_url
from switchboard.stand_ins import fixed_stand_ins, place_of
from switchboard.steering import show
from switchboard.switch import compile_worlds, parse_address

_MOST_INPUT = 8 * 1024 * 1024
_DRILL = "explained"


@click.command("explain")
@click.argument("request_url", metavar="[URL]", required=False)
@click.option("--curl", "command", metavar="COMMAND", help="A pasted curl command; - reads it from standard input.")
@click.option("--log", "line", metavar="LINE", help="A line of an access log, common or combined.")
@click.option("--origin", metavar="ORIGIN", help="What host the line belongs to (default the first route's).")
@click.option("--method", metavar="METHOD", help="Method for URL (default GET).")
@click.option("--header", "headers", metavar="'NAME: VALUE'", multiple=True, help="A field for URL or LINE.")
@click.option("--client", metavar="ADDRESS", help="Who asks (default: any client that is in the drill).")
@click.option("--target", metavar="TARGET", help="Target of the drill that is assumed (default the only one).")
@click.option("--cohort", metavar="COHORT", help="Cohort of that drill (default the client's, else the only one).")
@shared
def explain_verb(settings: Settings, **given: Any) -> None:
    """Say what a running drill would make of a request: verdict, rule, near misses, the request before and after.

    Reads the estate file only: nothing is resolved, dialled or changed, and no service has to run.
    """
    estate = load_estate(settings.estate)
    target = _chosen("target", given["target"], estate.targets)
    if target is None:
        raise BadInput(f"--target: there is not just one to mean; choose one of: {', '.join(sorted(estate.targets))}")
    client = given["client"]
    if client is not None and parse_address(client) is None:
        raise BadInput(f"--client: {client!r} is not an address like '10.77.1.5'")
    specimen = _specimen(given, estate, target)
    basis, notes = _basis(estate, target, client=client, cohort=given["cohort"], base=settings.estate.absolute().parent)
    found = explain(specimen.with_notes(*notes), basis=basis, client=client)
    show(settings, as_object(found), lines_of(found))


def _specimen(given: Mapping[str, Any], estate: Estate, target: str) -> Specimen:
    url, command, line = given["request_url"], given["command"], given["line"]
    if sum(one is not None for one in (url, command, line)) != 1:
        raise BadInput("explain: give exactly one of URL, --curl COMMAND and --log LINE")
    if given["method"] is not None and url is None:
        raise BadInput("--method: goes with URL; a curl command and a log line have one of their own")
    if given["origin"] is not None and line is None:
        raise BadInput("--origin: goes with --log; a URL names its host itself")
    fields = tuple(map(parse_field, given["headers"]))
    if command is not None:
        if fields:
            raise BadInput("--header: goes with URL or --log; write it into the curl command as -H")
        return parse_curl(_standard_input() if command == "-" else command)
    if line is not None:
        found = _logged(line, given["origin"] or _first_origin(estate, target))
        return Specimen(found.method, found.scheme, found.authority, found.target, (*found.fields, *fields))
    return specimen_of(url, method=given["method"], fields=fields)


def _standard_input() -> str:
    data = sys.stdin.buffer.read(_MOST_INPUT + 1)
    if len(data) > _MOST_INPUT:
        raise BadInput(f"--curl -: standard input is larger than {_MOST_INPUT} bytes")
    return data.decode("utf-8", "surrogateescape")


def _first_origin(estate: Estate, target: str) -> str:
    routes = estate.targets[target].routes
    if not routes:
        raise BadInput(f"--origin: is missing, and target '{target}' has no route to take it from")
    origin = routes[0].origin
    port = f":{origin.port}" if origin.port else ""
    return f"{origin.scheme or 'https'}://{origin.host}{port}"


def _logged(line: str, origin: str) -> Specimen:
    """Return the request of a log line; an absolute URL in it asks for its own host."""
    place = split_url(origin if "://" in origin else f"https://{origin}")
    if place.target != "/" or place.userinfo:
        raise BadInput(
            f"--origin: {shown_url(origin)!r} is not an origin without a path like 'https://www.cms.example'"
        )
    entry = AccessLog().read(line.strip().encode("utf-8", "surrogateescape"))
    if isinstance(entry, Reason):
        raise BadInput(f"--log: the line is no request in common or combined format ({entry})")
    ask = ask_for(entry, Aim(_DRILL, place.scheme, place.authority))
    agent = () if entry.agent == "-" else ((b"User-Agent", entry.agent.encode("latin-1", "replace")),)
    return Specimen(entry.method, ask.scheme, ask.authorities[0], ask.target, agent)


def _chosen(kind: str, name: str | None, known: Mapping[str, object]) -> str | None:
    """Return a name that is known, or without one the only one; None where there is not just one."""
    if name is not None and name not in known:
        raise BadInput(f"--{kind}: {name[:80]!r} is not in the estate; it has: {', '.join(sorted(known)) or 'none'}")
    return name if name is not None else (next(iter(known)) if len(known) == 1 else None)


def _basis(
    estate: Estate, target: str, *, client: str | None, cohort: str | None, base: Path
) -> tuple[Basis, tuple[str, ...]]:
    """Return what to explain against, and what had to be assumed; twins that cannot be read get a stand-in."""
    twins: dict[str, dict[int, str]] = {}
    known: dict[str, str] = {}
    notes: list[str] = []
    for number, (name, of) in enumerate(estate.targets.items()):
        readable: dict[int, str] = {}
        for at, credential in enumerate(of.credentials):
            try:
                if isinstance(credential.twin, Secret):
                    readable[at] = read_secret(credential.twin, base)
            except BadInput as error:
                notes += [f"the twin of {place_of(credential)} is not known here: {error}"] if name == target else []
        twins[name], stands_for = fixed_stand_ins(of, readable, number=number)
        known.update(stands_for)
    worlds = compile_worlds(estate, twins)
    chosen = _chosen("cohort", cohort, estate.cohorts)
    if cohort is None and client is not None:
        chosen = compile_switch(estate, SwitchDocument(), worlds=worlds).cohort_of(client) or chosen
    drill = Drill(id=_DRILL, target=target, cohort=chosen, phase=Phase.RUNNING, started="", deadline="", edge=1)
    switch = compile_switch(estate, SwitchDocument(epoch=1, drills=(drill,)), worlds=worlds)
    basis = Basis(switch, drill, key=secrets.token_bytes(32), now=time.time(), known=known)
    return basis, tuple(notes)
