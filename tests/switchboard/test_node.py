from __future__ import annotations

import pytest
from pydantic import ValidationError

from switchboard.node import NodeState, astray, behind


def node(node_id: str, epoch: int, lineage: str = "") -> NodeState:
    return NodeState(id=node_id, role="proxy", epoch=epoch, lineage=lineage, ready=True, seen=0.0)


def test_nodes_below_the_epoch_are_behind() -> None:
    assert behind([node("b", 3), node("a", 2), node("c", 4)], 4) == ("a", "b")


def test_without_nodes_nobody_is_behind() -> None:
    assert behind([], 9) == ()


def test_an_epoch_of_another_lineage_is_no_acknowledgement() -> None:
    assert behind([node("a", 9, "old"), node("b", 9), node("c", 4, "new")], 4, lineage="new") == ("a", "b")


@pytest.mark.parametrize(
    ("epoch", "lineage", "lost"),
    [
        pytest.param(0, "", False, id="has-applied-nothing"),
        pytest.param(0, "old", False, id="epoch-0-holds-no-drill"),
        pytest.param(3, "new", False, id="on-its-way"),
        pytest.param(4, "new", False, id="follows"),
        pytest.param(5, "new", True, id="above"),
        pytest.param(3, "old", False, id="another-lineage-below-takes-the-next-document"),
        pytest.param(4, "old", True, id="another-lineage-as-high"),
        pytest.param(5, "", True, id="no-lineage-above"),
    ],
)
def test_a_node_is_astray_when_it_obeys_what_the_switch_does_not_know(epoch: int, lineage: str, lost: bool) -> None:
    assert bool(astray([node("a", epoch, lineage)], 4, lineage="new")) is lost


def test_at_epoch_0_nobody_who_applied_nothing_is_astray() -> None:
    assert astray([node("a", 0), node("b", 0, "old"), node("c", 1, "old")], 0, lineage="new") == (node("c", 1, "old"),)


@pytest.mark.parametrize("wrong", ["", "a b", "-x", "a*", "x" * 101])
def test_an_id_that_could_not_be_part_of_a_key_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        node(wrong, 0)


def test_a_node_survives_its_way_through_redis() -> None:
    state = NodeState(id="proxy-1.host:2", role="dns", epoch=7, ready=False, seen=1.5, note="loading")
    assert NodeState.model_validate_json(state.model_dump_json()) == state
