from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard import steward
from switchboard.drill import Drill, Event, Phase, SwitchDocument
from switchboard.errors import Conflict
from switchboard.estate import Estate
from switchboard.node import NodeState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = NOW + timedelta(hours=8)


def drill(drill_id: str = "d1", phase: Phase = Phase.ARMING, **more: Any) -> Drill:
    values: dict[str, Any] = {
        "id": drill_id,
        "target": "staging",
        "cohort": "rookies",
        "phase": phase,
        "started": NOW.isoformat(),
        "deadline": LATER.isoformat(),
        "edge": 5,
        **more,
    }
    return Drill(**values)


def document(*drills: Drill) -> SwitchDocument:
    return SwitchDocument(epoch=5, drills=drills, lineage="ours")


def nodes(*epochs: int, lineage: str = "ours") -> tuple[NodeState, ...]:
    return tuple(
        NodeState(id=f"n{number}", role="proxy", epoch=epoch, lineage=lineage, ready=True, seen=0.0)
        for number, epoch in enumerate(epochs)
    )


def move(found: SwitchDocument, *epochs: int, waited_s: float = 0.0, now: datetime = NOW) -> steward.Move | None:
    return steward.next_move(found, nodes(*epochs), now=now, waited_s={"d1": waited_s}, arm_timeout_s=5.0)


@pytest.mark.parametrize(
    ("phase", "epochs", "waited_s", "expected"),
    [
        pytest.param(Phase.ARMING, (5, 5), 0.0, Event.ACKNOWLEDGED, id="armed-everywhere"),
        pytest.param(Phase.ARMING, (5, 6), 4.9, None, id="somebody-obeys-a-higher-epoch"),
        pytest.param(Phase.ARMING, (5, 6), 5.0, Event.FAIL, id="obeys-a-higher-epoch-while-arming"),
        pytest.param(Phase.DRAINING, (5, 6), 1e9, None, id="obeys-a-higher-epoch-while-draining"),
        pytest.param(Phase.ARMING, (), 0.0, Event.ACKNOWLEDGED, id="nobody-to-wait-for"),
        pytest.param(Phase.ARMING, (5, 4), 4.9, None, id="still-arming"),
        pytest.param(Phase.ARMING, (5, 4), 5.0, Event.FAIL, id="silent-while-arming"),
        pytest.param(Phase.DRAINING, (5, 5), 0.0, Event.ACKNOWLEDGED, id="drained-everywhere"),
        pytest.param(Phase.DRAINING, (5, 4), 1e9, None, id="never-ends-a-drain-early"),
        pytest.param(Phase.RUNNING, (4, 4), 1e9, None, id="running"),
        pytest.param(Phase.PAUSED, (4, 4), 1e9, None, id="paused"),
        pytest.param(Phase.ENDED, (4,), 1e9, None, id="ended"),
        pytest.param(Phase.FAILED, (4,), 1e9, None, id="failed"),
    ],
)
def test_the_next_move_follows_from_acknowledgements_and_time(
    phase: Phase, epochs: tuple[int, ...], waited_s: float, expected: Event | None
) -> None:
    found = move(document(drill(phase=phase)), *epochs, waited_s=waited_s)
    assert (found.event if found else None) == expected


def test_a_failed_start_names_the_silent_nodes() -> None:
    found = move(document(drill()), 4, 5, 3, waited_s=5.0)
    assert found == steward.Move("d1", Event.FAIL, ("n0", "n2"))


@pytest.mark.parametrize("epoch", [4, 5, 40], ids=["below", "as-high", "above"])
def test_a_drill_never_runs_on_the_word_of_another_lineage(epoch: int) -> None:
    strangers = nodes(epoch, lineage="another")
    for waited_s, expected in ((4.9, None), (5.0, steward.Move("d1", Event.FAIL, ("n0",)))):
        waited = {"d1": waited_s}
        found = steward.next_move(document(drill()), strangers, now=NOW, waited_s=waited, arm_timeout_s=5.0)
        assert found == expected


def test_every_change_keeps_the_lineage(estate: Estate) -> None:
    found = steward.begin(document(), drill(), estate=estate, now=NOW)
    moved = steward.make(found, steward.Move("d1", Event.ACKNOWLEDGED), now=NOW)
    ended = steward.end_all(moved, now=NOW)
    assert ended is not None
    assert [one.lineage for one in (found, moved, ended)] == ["ours"] * 3


@pytest.mark.parametrize("phase", [Phase.ARMING, Phase.RUNNING, Phase.PAUSED])
def test_a_deadline_stops_a_drill(phase: Phase) -> None:
    found = move(document(drill(phase=phase)), 4, now=LATER)
    assert found == steward.Move("d1", Event.STOP)


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.ENDED, Phase.FAILED])
def test_a_deadline_does_not_stop_what_is_stopping(phase: Phase) -> None:
    assert move(document(drill(phase=phase)), 4, now=LATER) is None


def test_a_drill_stopped_for_its_deadline_leads_on_to_its_end() -> None:
    found = document(drill(phase=Phase.RUNNING))
    found = steward.make(found, steward.Move("d1", Event.STOP), now=LATER)
    assert (found.epoch, found.drills[0].phase, found.drills[0].edge) == (6, Phase.DRAINING, 6)
    assert move(found, 5, now=LATER) is None
    done = move(found, 6, now=LATER)
    assert done is not None
    found = steward.make(found, done, now=LATER)
    assert found.drills[0].phase is Phase.ENDED
    assert datetime.fromisoformat(found.drills[0].ended or "") == LATER


@pytest.mark.parametrize(
    ("found", "waited_s", "expected"),
    [
        pytest.param(document(), 0.0, None, id="nothing"),
        pytest.param(document(drill(phase=Phase.RUNNING)), 0.0, 8 * 3600.0, id="deadline"),
        pytest.param(document(drill()), 3.0, 2.0, id="arm-timeout"),
        pytest.param(document(drill()), 9.0, 0.0, id="overdue"),
        pytest.param(document(drill(phase=Phase.DRAINING)), 0.0, None, id="draining"),
    ],
)
def test_the_wait_until_time_alone_can_bring_a_move(
    found: SwitchDocument, waited_s: float, expected: float | None
) -> None:
    wait_s = steward.next_look_s(found, now=NOW, waited_s={"d1": waited_s}, arm_timeout_s=5.0)
    assert wait_s == expected


def test_a_drill_begins_arming_at_the_next_epoch(estate: Estate) -> None:
    found = steward.begin(document(), drill(edge=0), estate=estate, now=NOW)
    assert (found.epoch, found.drills[0].phase, found.drills[0].edge) == (6, Phase.ARMING, 6)


@pytest.mark.parametrize("cohort", ["rookies", "late"], ids=["same", "sharing-addresses"])
def test_clients_cannot_be_in_two_drills(estate: Estate, cohort: str) -> None:
    busy = document(drill("d1", Phase.RUNNING))
    with pytest.raises(Conflict, match="drill 'd1'") as caught:
        steward.begin(busy, drill("d2", cohort=cohort), estate=estate, now=NOW)
    assert caught.value.code == "cohort_in_drill"


@pytest.mark.parametrize(
    ("other", "cohort"),
    [
        pytest.param(drill("d1", Phase.ENDED), "rookies", id="over"),
        pytest.param(drill("d1", Phase.RUNNING), "agents", id="disjoint"),
        pytest.param(drill("d1", Phase.RUNNING), None, id="traffic-only"),
        pytest.param(drill("d1", Phase.RUNNING, cohort=None), "rookies", id="beside-traffic"),
    ],
)
def test_drills_for_other_people_may_run_beside(estate: Estate, other: Drill, cohort: str | None) -> None:
    found = steward.begin(document(other), drill("d2", cohort=cohort), estate=estate, now=NOW)
    assert [one.id for one in found.drills] == ["d1", "d2"]


def test_ending_all_drains_what_is_on_in_one_epoch() -> None:
    found = steward.end_all(
        document(
            drill("a", Phase.RUNNING),
            drill("b", Phase.ARMING),
            drill("c", Phase.DRAINING, edge=4),
            drill("d", Phase.ENDED, ended=NOW.isoformat()),
        ),
        now=NOW,
    )
    assert found is not None
    assert found.epoch == 6
    assert [(one.phase, one.edge) for one in found.drills] == [
        (Phase.DRAINING, 6),
        (Phase.DRAINING, 6),
        (Phase.DRAINING, 4),
        (Phase.ENDED, 5),
    ]


def test_ending_all_changes_nothing_where_nothing_is_on() -> None:
    assert steward.end_all(document(drill("a", Phase.ENDED), drill("b", Phase.DRAINING)), now=NOW) is None


@pytest.mark.parametrize(("above", "epoch"), [(-1, None), (4, None), (5, 6), (40, 41)], ids=str)
def test_the_end_is_said_above_what_any_node_obeys(above: int, epoch: int | None) -> None:
    found = steward.end_all(document(), now=NOW, above=above)
    assert (found.epoch if found else None) == epoch
    told = steward.end_all(document(drill("a", Phase.RUNNING)), now=NOW, above=above)
    assert told is not None
    assert (told.drills[0].phase, told.drills[0].edge) == (Phase.DRAINING, told.epoch)
    assert told.epoch == (epoch or 6)


def test_drills_that_are_long_over_are_dropped_but_for_the_last_twenty(estate: Estate) -> None:
    old = (NOW - timedelta(hours=2)).isoformat()
    many = [drill(f"d{number}", Phase.ENDED, ended=old) for number in range(30)]
    found = steward.begin(document(*many), drill("new"), estate=estate, now=NOW)
    assert [one.id for one in found.drills] == [f"d{number}" for number in range(10, 30)] + ["new"]


def test_drills_that_ended_within_the_hour_stay(estate: Estate) -> None:
    recent = (NOW - timedelta(minutes=59)).isoformat()
    many = [drill(f"d{number}", Phase.ENDED, ended=recent) for number in range(30)]
    found = steward.begin(document(*many), drill("new"), estate=estate, now=NOW)
    assert len(found.drills) == 31


def test_the_newest_drill_is_the_last_one_that_is_not_over() -> None:
    found = document(drill("a", Phase.RUNNING), drill("b", Phase.ENDED))
    assert steward.newest(found) == found.drills[0]
    over = document(drill("a", Phase.ENDED), drill("b", Phase.FAILED))
    assert steward.newest(over) is None
    assert steward.newest(over, over_too=True) == over.drills[1]
    assert steward.newest(document(), over_too=True) is None


@given(
    st.lists(st.sampled_from(Phase), max_size=4),
    st.lists(st.integers(min_value=0, max_value=12), max_size=3),
    st.lists(st.floats(min_value=0, max_value=10), min_size=1, max_size=12),
)
def test_no_drill_leaves_a_holding_phase_before_every_node_has_followed(
    phases: list[Phase], epochs: list[int], waits: list[float]
) -> None:
    found = document(*(drill(f"d{number}", phase, edge=5) for number, phase in enumerate(phases)))
    for waited_s in waits:
        waited = {one.id: waited_s for one in found.drills}
        chosen = steward.next_move(found, nodes(*epochs), now=NOW, waited_s=waited, arm_timeout_s=5.0)
        if chosen is None:
            continue
        before = found.find(chosen.drill_id)
        assert before is not None
        if chosen.event is Event.ACKNOWLEDGED:
            assert all(before.edge <= epoch <= found.epoch for epoch in epochs)
        found = steward.make(found, chosen, now=NOW)
