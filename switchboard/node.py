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
    `lineage` is that of the document it applied; `incarnation` is random for each process, so that two processes
    which were given one id are told apart.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$")
    role: Role
    epoch: Annotated[int, Field(ge=0)]
    ready: bool
    seen: float
    note: str = ""
    lineage: str = ""
    incarnation: str = ""


def behind(nodes: Iterable[NodeState], epoch: int, *, lineage: str = "") -> tuple[str, ...]:
    """Return the ids of the nodes that have not applied `epoch` of this lineage yet, sorted."""
    return tuple(sorted(node.id for node in nodes if node.epoch < epoch or node.lineage != lineage))


def astray(nodes: Iterable[NodeState], epoch: int, *, lineage: str = "") -> tuple[NodeState, ...]:
    """Return the nodes that obey what a switch at this epoch and lineage does not know.

    That is a higher epoch, or one as high of another lineage: they take no document that is not above theirs.
    Epoch 0 holds no drill, so nobody obeys it.
    """
    return tuple(
        node
        for node in nodes
        if node.epoch > epoch or (node.lineage != lineage and node.epoch > 0 and node.epoch == epoch)
    )


def why_astray(node: NodeState) -> str:
    """Return what is wrong with a node that is astray, and the remedy."""
    return (
        f"applies epoch {node.epoch}, which this switch does not know: "
        "end every drill first (mode live), then start again"
    )
