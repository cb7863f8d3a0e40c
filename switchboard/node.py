"""A process that applies the switch, as it reports itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from switchboard.estate import Value

Role = Literal["proxy", "dns", "generator", "guard"]


class NodeState(Value):
    """What one node says of itself; `epoch` is the newest it has fully applied, `seen` is in Unix seconds.

    A node stays registered until it says goodbye: an old `seen` means that it is silent, not that it is gone.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")
    role: Role
    epoch: Annotated[int, Field(ge=0)]
    ready: bool
    seen: float
    note: str = ""


def behind(nodes: Iterable[NodeState], epoch: int) -> tuple[str, ...]:
    """Return the ids of the nodes that have not applied `epoch` yet, sorted."""
    return tuple(sorted(node.id for node in nodes if node.epoch < epoch))
