"""An explanation for a person, as lines, and for a program, as one JSON object. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from switchboard.explain import Client, Explanation, Standing
from switchboard.near_misses import NearMiss
from switchboard.shown import Shown
from switchboard.verdict import Kind, Upstream

FINGERPRINTS = "credentials are shown as fingerprints, which compare within this run only"
_STANDINGS = {
    Standing.SANDBOX: "in a target's own networks, always treated as in the drill",
    Standing.SERVED: "served, in no cohort: never in a drill",
    Standing.OUTSIDE: "outside, not among the estate's clients",
}


def as_object(found: Explanation) -> dict[str, Any]:
    """Return an explanation for `--json`; every key is always there."""
    verdict, client = found.verdict, found.client
    return {
        "client": _client_object(client) if client is not None else None,
        "assumed": {"target": found.drill.target, "cohort": found.drill.cohort, "drill": found.drill.id},
        "verdict": str(verdict.kind),
        "rung": verdict.rung,
        "rule": found.rule,
        "reason": verdict.reason,
        "status": found.status or None,
        "location": found.location,
        "near_misses": [{"kind": near.kind, "rule": near.rule, "why": list(near.why)} for near in found.near],
        "before": _request_object(found.before),
        "after": _request_object(found.after) if found.after is not None else None,
        "dial": _dial_object(found.dial) if found.dial is not None else None,
        "swapped": list(found.swapped),
        "removed": list(found.removed),
        "dropped": list(found.dropped),
        "notes": [*found.notes, FINGERPRINTS],
    }


def lines_of(found: Explanation) -> list[str]:
    """Return an explanation in lines that no text of a request can break or colour."""
    return [_printable(line) for line in _lines(found)]


def _lines(found: Explanation) -> Iterator[str]:
    verdict, drill = found.verdict, found.drill
    if found.client is not None:
        yield f"client {found.client.address}: {_standing(found.client)}"
    cohort = f", cohort {drill.cohort}" if drill.cohort is not None else ""
    yield f"assumed: a running drill against target {drill.target}{cohort}"
    yield f"{str(verdict.kind).upper()}  rung {verdict.rung}  {found.rule}"
    yield f"  {_outcome(found)}"
    if found.location is not None:
        yield f"  leads to {found.location}"
    if found.near:
        yield "near misses:"
        yield from map(_near, found.near)
    yield from _request("before:", found.before)
    if found.after is not None and found.after is not found.before:
        yield from _request("after:", found.after)
    if found.dial is not None:
        yield f"dialled: {_dial(found.dial)} (resolved and checked when it is dialled)"
    else:
        yield "dialled: nothing"
    for what, places in (("swapped", found.swapped), ("removed", found.removed), ("not sent on", found.dropped)):
        if places:
            yield f"{what}: {', '.join(places)}"
    yield from (f"note: {note}" for note in (*found.notes, FINGERPRINTS))


def _standing(client: Client) -> str:
    return f"member of cohort {client.cohort}" if client.standing is Standing.MEMBER else _STANDINGS[client.standing]


def _outcome(found: Explanation) -> str:
    answered = f", answered with {found.status}" if found.status else ""
    at_once = " by the switchboard itself" if found.verdict.kind is Kind.MOCK else ""
    return f"{found.verdict.reason}{answered}{at_once}"


def _near(near: NearMiss) -> str:
    return f"  {near.kind} {near.rule}: {'; '.join(near.why)}"


def _request(title: str, shown: Shown) -> Iterator[str]:
    yield title
    yield f"  {shown.line}"
    yield from (f"  {name}: {value}" for name, value in shown.fields)
    if shown.body is not None:
        yield ""
        yield from (f"  {line}" for line in shown.body.split("\n"))


def _dial(dial: Upstream) -> str:
    return f"{dial.scheme}://{dial.host}:{dial.port}{' over HTTP/2' if dial.h2 else ''}"


def _client_object(client: Client) -> dict[str, Any]:
    return {"address": client.address, "standing": str(client.standing), "cohort": client.cohort}


def _request_object(shown: Shown) -> dict[str, Any]:
    fields = [{"name": name, "value": value} for name, value in shown.fields]
    return {"line": shown.line, "fields": fields, "body": shown.body}


def _dial_object(dial: Upstream) -> dict[str, Any]:
    return {"scheme": dial.scheme, "host": dial.host, "port": dial.port, "h2": dial.h2}


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
