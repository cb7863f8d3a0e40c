"""What of a visit goes on the wire: the question to the policy, then a cleaned request for the sandbox.

Recorded traffic is not to be trusted: it may name any host, and carries whatever credentials its clients had.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from generator.entry import Entry
from switchboard.errors import BadInput
from switchboard.estate import Credential, From, Origin, Target
from switchboard.headers import Field, clean_query, to_sandbox
from switchboard.scenario import Scenario
from switchboard.verdict import Ask, Kind, Upstream, Verdict

_ORIGIN: TypeAdapter[Origin] = TypeAdapter(From)


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a drill's traffic is meant for: the host that lines belong to, and the one route to load (None: any)."""

    drill: str
    scheme: Literal["http", "https"]
    authority: str
    route: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request, ready to send. `target` is in origin-form; `fields` include Host."""

    upstream: Upstream
    method: str
    target: str
    fields: tuple[Field, ...]
    body: bytes


def take_aim(scenario: Scenario, drill: str, target: Target) -> Aim:
    """Return the aim of a scenario against a target; raises BadInput for an origin or route that cannot be."""
    if scenario.origin is not None:
        try:
            origin = _ORIGIN.validate_python(scenario.origin)
        except ValidationError as error:
            problem = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise BadInput(f"scenario {scenario.id!r}: origin: {scenario.origin!r} is not {problem}") from error
        if origin.prefix:
            raise BadInput(
                f"scenario {scenario.id!r}: origin: {scenario.origin!r} is not an origin without a path"
                f" like 'https://{origin.host}'"
            )
    elif target.routes:
        origin = target.routes[0].origin
    else:
        raise BadInput(
            f"scenario {scenario.id!r}: origin: give the host that the lines belong to; the target has no routes"
        )
    names = [route.name for route in target.routes if route.name]
    if scenario.target is not None and scenario.target not in names:
        known = f"a route name of the target ({', '.join(names) or 'it has none'})"
        raise BadInput(f"scenario {scenario.id!r}: target: {scenario.target!r} is not {known}")
    port = f":{origin.port}" if origin.port else ""
    return Aim(drill, origin.scheme or "https", f"{origin.host}{port}", scenario.target)


def ask_for(entry: Entry, aim: Aim) -> Ask:
    """Return the question for one entry; an absolute URL asks for its own host."""
    scheme, authority, target = aim.scheme, aim.authority, entry.target
    if target[0] != "/":
        written, _, rest = target.partition("://")
        scheme = "https" if written.lower() == "https" else "http"
        end = min((found for found in (rest.find("/"), rest.find("?")) if found >= 0), default=len(rest))
        authority, target = rest[:end], rest[end:]
        if not target.startswith("/"):
            target = f"/{target}"
    return Ask(client="", method=entry.method, scheme=scheme, authorities=(authority,), target=target, drill=aim.drill)


def refusal(verdict: Verdict, aim: Aim) -> str | None:
    """Return why a visit is not sent, as in `skipped:REASON`, or None.

    The generator sends to the sandbox only: hosts that `allow` lets through are someone else's to load.
    """
    match verdict.kind:
        case Kind.FORWARD if verdict.upstream is not None and verdict.drill == aim.drill:
            if not verdict.listed:
                return "not_sandbox"
            return "other_route" if aim.route is not None and verdict.route != aim.route else None
        case Kind.MOCK:
            return "mocked"
        case Kind.HOLD:
            return "held"
        case _:
            return "blocked"


class Sanitiser:
    """Make requests for one target: no recorded credential, no routing header, the marks of the drill."""

    def __init__(self, drill: str, credentials: tuple[Credential, ...]) -> None:
        self._drill = drill
        self._headers = frozenset(c.name.lower().encode() for c in credentials if c.place == "header" and c.name)
        self._queries = frozenset(c.name for c in credentials if c.place == "query" and c.name)
        self._crossed = lru_cache(maxsize=4096)(self._cross)

    def request(self, entry: Entry, upstream: Upstream, target: str) -> tuple[Request, int]:
        """Return the request, and how many credentials were taken out of it."""
        if entry.fields:
            fields, removed = self._cross(entry.fields, upstream.authority)
        else:
            agent = () if entry.agent == "-" else ((b"User-Agent", entry.agent.encode("utf-8", "replace")),)
            fields, removed = self._crossed(agent, upstream.authority)
        if "?" in target:
            target, names = clean_query(target)
            if self._queries:
                target, more = self._without(target)
                removed += more
            removed += len(names)
        return Request(upstream, entry.method, target, fields, entry.body), removed

    def _cross(self, fields: tuple[Field, ...], authority: str) -> tuple[tuple[Field, ...], int]:
        kept = tuple(field for field in fields if field[0].lower() not in self._headers)
        crossed = to_sandbox(kept, authority=authority, drill=self._drill, origin=None)
        return crossed.fields, len(crossed.removed) + len(fields) - len(kept)

    def _without(self, target: str) -> tuple[str, int]:
        path, _, query = target.partition("?")
        parts = query.split("&")
        kept = [part for part in parts if part.partition("=")[0] not in self._queries]
        return (f"{path}?{'&'.join(kept)}" if kept else path), len(parts) - len(kept)
