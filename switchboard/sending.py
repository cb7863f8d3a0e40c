"""What the proxy would send for a request that it forwards: the same steps as in `addons.forward`, without a flow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from switchboard import headers
from switchboard.codings import Bomb, Broken, unpack
from switchboard.credential_body import content_type
from switchboard.credentials import Rules, Unreadable, needs_body, swap_body
from switchboard.crossing import cross
from switchboard.headers import Field
from switchboard.pocket import Pocket
from switchboard.verdict import Ask, Verdict
from switchboard.world import World

_FRAMING = (b"content-encoding", b"transfer-encoding", b"content-length")


@dataclass(frozen=True, slots=True)
class Sending:
    """One request for the sandbox. `refused` says why its body keeps it from going anywhere.

    `swapped` and `removed` are labels of places that held a credential, `dropped` names of other fields that do not
    cross.
    """

    target: str
    fields: tuple[Field, ...]
    body: bytes
    swapped: tuple[str, ...]
    removed: tuple[str, ...]
    dropped: tuple[str, ...]
    refused: str | None = None


def send(
    fields: tuple[Field, ...],
    body: bytes,
    ask: Ask,
    *,
    verdict: Verdict,
    world: World,
    learned: Mapping[str, str],
    now: float,
) -> Sending:
    """Return what is sent for a request with a verdict to forward it; `learned` are twins by rule key."""
    crossing = cross(fields, ask, verdict, world=world, pocket=Pocket().with_learned(learned), now=now)
    sending = Sending(
        target=crossing.target,
        fields=crossing.fields,
        body=body,
        swapped=tuple(dict.fromkeys(crossing.swapped)),
        removed=tuple(dict.fromkeys(crossing.removed)),
        dropped=_dropped(fields, crossing.fields, world.rules if verdict.listed else world.no_rules),
    )
    if not (verdict.listed and body and needs_body(fields, world.rules)):
        return sending
    return _with_body(sending, world, learned)


def _with_body(sending: Sending, world: World, learned: Mapping[str, str]) -> Sending:
    coded = [value for name, value in sending.fields if name.lower() == b"content-encoding"]
    try:
        plain = unpack(sending.body, coded, limits=world.target.limits)
        found = swap_body(plain, content_type(sending.fields), rules=world.rules, learned=learned)
    except (Unreadable, Broken, Bomb) as error:
        return replace(sending, refused=f"body: {error}")
    return replace(
        sending,
        fields=_framed(sending.fields, len(found.body)),
        body=found.body,
        swapped=tuple(dict.fromkeys(sending.swapped + found.swapped)),
        removed=tuple(dict.fromkeys(sending.removed + found.removed)),
    )


def _framed(fields: Iterable[Field], size: int) -> tuple[Field, ...]:
    """Return the fields of a body that was read whole: one length, in its old place, and no coding."""
    length = b"%d" % size
    kept: list[Field] = []
    told = False
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-length":
            kept.append((name, length))
            told = True
        elif lower not in _FRAMING:
            kept.append((name, value))
    return tuple(kept) if told else (*kept, (b"content-length", length))


def _dropped(before: Iterable[Field], after: Iterable[Field], rules: Rules) -> tuple[str, ...]:
    left = {headers.canonical(name) for name, _ in after}
    gone = [name for name, _ in before if headers.canonical(name) not in left and not rules.suspects(name)]
    return tuple(dict.fromkeys(headers.canonical(name).decode("latin-1") for name in gone))
