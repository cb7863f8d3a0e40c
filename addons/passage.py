"""What the hooks of one flow tell each other: the verdict, when the request came, and how it crossed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mitmproxy import http

from switchboard.crossing import Crossing
from switchboard.headers import Field
from switchboard.pocket import Pocket
from switchboard.verdict import Ask, Kind, Verdict
from switchboard.world import World

_KEY = "esr"


@dataclass(slots=True)
class Passage:
    """`started_at` is monotonic seconds. `local`: the answer was made here, nothing was dialled for it.

    For what is forwarded: the `world` it crossed into and how; `pocket` as it was then, under `pocket_key`. `swaps`:
    the request's body is read whole, since it may hold credentials with a rule. `lesson`: the fields of an answer
    that is read whole for what it teaches, and `pipe` what then rewrites it. `greeted`: a WebSocket's first message
    has been seen. `exposed`: cookies of a past drill that a live request carried. `closes`: the client asked for its
    connection to end with the answer (RFC 9112 9.6).
    """

    ask: Ask
    verdict: Verdict
    started_at: float
    local: bool = False
    counted: bool = False
    world: World | None = None
    crossing: Crossing | None = None
    pocket: Pocket = field(default_factory=Pocket.empty)
    pocket_key: str = ""
    swaps: bool = False
    lesson: tuple[Field, ...] | None = None
    pipe: Callable[[bytes], list[bytes]] | None = None
    greeted: bool = False
    exposed: bytes = b""
    closes: bool = False

    @property
    def forwarded(self) -> bool:
        return self.verdict.kind is Kind.FORWARD and not self.local

    @property
    def purse(self) -> str:
        """Return the drill that pockets belong to; clients from a sandbox itself share one of their own."""
        return self.verdict.drill or f"sandbox-{self.verdict.sandbox}"


def note(flow: http.HTTPFlow, passage: Passage) -> None:
    flow.metadata[_KEY] = passage


def of(flow: http.HTTPFlow) -> Passage | None:
    """Return the passage of a flow, None where its request was never decided."""
    found = flow.metadata.get(_KEY)
    return found if isinstance(found, Passage) else None
