from __future__ import annotations

import pytest
from pydantic import ValidationError

from switchboard.node import NodeState, behind


def node(node_id: str, epoch: int) -> NodeState:
    return NodeState(id=node_id, role="proxy", epoch=epoch, ready=True, seen=0.0)


def test_nodes_below_the_epoch_are_behind() -> None:
    assert behind([node("b", 3), node("a", 2), node("c", 4)], 4) == ("a", "b")


def test_without_nodes_nobody_is_behind() -> None:
    assert behind([], 9) == ()


@pytest.mark.parametrize("wrong", ["", "a b", "-x", "a*", "x" * 101])
def test_an_id_that_could_not_be_part_of_a_key_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        node(wrong, 0)


def test_a_node_survives_its_way_through_redis() -> None:
    state = NodeState(id="proxy-1.host:2", role="dns", epoch=7, ready=False, seen=1.5, note="loading")
    assert NodeState.model_validate_json(state.model_dump_json()) == state
