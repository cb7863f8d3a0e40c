"""What a request becomes on its way to a sandbox, and an answer on its way back. Pure: proxy and `explain` share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from switchboard import exposure, headers
from switchboard.answer_fields import back_fields
from switchboard.codings import known_only
from switchboard.credentials import swap_head, with_jar
from switchboard.headers import Field
from switchboard.leads import Scheme
from switchboard.pocket import Pocket
from switchboard.site import Reach, reach_of
from switchboard.verdict import Ask, Kind, Verdict
from switchboard.world import World


@dataclass(frozen=True, slots=True)
class Crossing:
    """A request's head for the sandbox. Labels in `swapped` and `removed` name places, never values.

    `url` is production's, as the client knows it; `upstream` the sandbox's own of the same request. `origin` is the
    client's Origin field, `reach` how its browser came to ask: both decide over the answer too.
    """

    fields: tuple[Field, ...]
    target: str
    url: str
    upstream: str
    origin: bytes | None
    reach: Reach
    swapped: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def screened(verdict: Verdict, flaw: str | None) -> Verdict:
    """Return a verdict that also holds against fields that may mean two things (`flaw`, of `headers.screen`)."""
    if flaw is None or verdict.kind not in (Kind.FORWARD, Kind.MOCK):
        return verdict
    return replace(verdict, kind=Kind.BLOCK, reason=flaw, rung=3, status=400, upstream=None, mock=None)


def needs_pocket(verdict: Verdict, world: World) -> bool:
    """Return whether a forwarded request takes something from its client's pocket: cookies, or learned twins."""
    return verdict.listed and (world.isolates or world.rules.learns)


def cross(fields: Sequence[Field], ask: Ask, verdict: Verdict, *, world: World, pocket: Pocket, now: float) -> Crossing:
    """Return what is sent for a request that a verdict forwards; `now` is in Unix seconds."""
    upstream = verdict.upstream
    assert upstream is not None
    url = f"{ask.scheme}://{ask.authorities[0]}{ask.target}"
    swapped = swap_head(
        fields, verdict.target, rules=world.rules if verdict.listed else world.no_rules, learned=pocket.learned
    )
    vouched = swapped.vouched
    if upstream.h2 and (_value(fields, b"te") or b"").strip().lower() == b"trailers":
        vouched = (*vouched, (b"te", b"trailers"))  # gRPC servers insist on it (RFC 9113 8.2.2)
    origin = _value(fields, b"origin")
    led = world.url_map.there.get(origin.lower()) if origin is not None and verdict.listed else None
    crossed = headers.to_sandbox(swapped.plain, authority=upstream.authority, drill=verdict.drill, origin=led)
    plain = tuple(map(_readable, crossed.fields)) if verdict.listed else crossed.fields
    reach = Reach.SAME_SITE
    if verdict.listed and world.isolates:
        reach = reach_of(fields, url=url, method=ask.method)
        cookie = pocket.jar.cookie_header(url=url, now=now, reach=reach)
        vouched = (*with_jar(vouched, cookie), *_repeated(fields, world, pocket=pocket, url=url, now=now))
    return Crossing(
        fields=(*plain, *vouched),
        target=swapped.target,
        url=url,
        upstream=f"{upstream.scheme}://{upstream.authority}{swapped.target}",
        origin=origin,
        reach=reach,
        swapped=swapped.swapped,
        removed=swapped.removed + crossed.removed,
    )


def _readable(field: Field) -> Field:
    """Ask for answers in codings only that can be rewritten."""
    return (field[0], known_only(field[1])) if field[0].lower() == b"accept-encoding" else field


def _repeated(fields: Sequence[Field], world: World, *, pocket: Pocket, url: str, now: float) -> tuple[Field, ...]:
    """Return fields that repeat a cookie which scripts may read, with the sandbox's value."""
    if not world.expose:
        return ()
    cookies = b"; ".join([value for name, value in fields if name.lower() == b"cookie"])
    values = pocket.jar.values(url=url, now=now)
    return exposure.cross(fields, exposure.twins(cookies, names=world.expose, values=values))


def come_back(
    fields: Sequence[Field], crossing: Crossing, verdict: Verdict, *, world: World, scheme: Scheme
) -> tuple[Field, ...]:
    """Return the fields of a sandbox's answer as the client gets them, its cookies aside."""
    upstream = verdict.upstream
    assert upstream is not None
    if world.isolates or not verdict.listed:
        fields = [field for field in fields if field[0].lower() != b"set-cookie"]
    if verdict.listed:
        at = (upstream.host, upstream.port)
        fields = back_fields(fields, world.url_map, scheme=scheme, origin=crossing.origin, at=at)
    kept = headers.to_client(fields, drill=verdict.drill)
    return kept + tuple(field for field in fields if field[0].lower() == b"set-cookie")


def set_cookies(fields: Sequence[Field]) -> list[bytes]:
    """Return the values of an answer's Set-Cookie fields."""
    return [value for name, value in fields if name.lower() == b"set-cookie"]


def _value(fields: Sequence[Field], name: bytes) -> bytes | None:
    return next((value for found, value in fields if found.lower() == name), None)
