from __future__ import annotations

import pytest

from bench.table import Round, Row, as_markdown, as_text, replaced
from switchboard.errors import NotFound


def a_row(*rates: tuple[float, float], least: float = 2.0, note: str = "") -> Row:
    ours = tuple(Round(mine, 250.0) for mine, _ in rates)
    theirs = tuple(Round(yours, 500.0) for _, yours in rates)
    return Row("worker", "peer", least, ours, theirs, note)


def test_the_ratio_is_the_median_over_rounds_so_that_one_bad_round_changes_nothing() -> None:
    row = a_row((200, 100), (10, 100), (220, 100))
    assert row.ratio == 2.0
    assert row.spread == (0.1, 2.2)


@pytest.mark.parametrize(("least", "met"), [(2.0, True), (2.1, False)])
def test_a_budget_is_met_from_its_very_value_on(least: float, met: bool) -> None:
    assert a_row((200, 100), least=least).is_met is met


def test_the_text_has_a_line_a_row_and_the_notes_below() -> None:
    lines = as_text([a_row((200, 100), note="few cores"), a_row((300, 100))]).splitlines()
    assert len(lines) == 4
    assert "2.00x" in lines[1]
    assert "2x met" in lines[1]
    assert lines[3] == "worker: few cores"


def test_every_line_of_the_markdown_table_has_the_same_number_of_cells() -> None:
    lines = as_markdown([a_row((200, 100), (1999, 1000), note="n")]).split("\n\n")[0].splitlines()
    assert len({line.count("|") for line in lines}) == 1


def test_only_what_is_between_the_marks_is_replaced() -> None:
    document = "a\n<!-- bench:proxy -->\nold\n<!-- /bench:proxy -->\nb\n"
    assert replaced(document, "proxy", "new") == "a\n<!-- bench:proxy -->\nnew\n<!-- /bench:proxy -->\nb\n"


def test_a_document_without_marks_is_left_alone_and_said_so() -> None:
    with pytest.raises(NotFound, match="bench:proxy"):
        replaced("nothing here", "proxy", "new")
