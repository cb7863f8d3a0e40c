from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.pocket_stamps import Stamps, open_stamps, slot_of


def opened(path: Path) -> Stamps:
    found = open_stamps(path)
    assert found is not None
    return found


def test_a_stamp_that_one_worker_puts_is_seen_by_the_others_at_its_slot_only(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "page"), opened(tmp_path / "page")
    before, other = two.seen(7, term="t"), two.seen(8, term="t")
    one.renew(7)
    assert two.seen(7, term="t") != before
    assert two.seen(8, term="t") == other
    assert one.seen(7, term="t") == two.seen(7, term="t")


def test_a_stamp_for_all_pockets_changes_what_is_seen_of_each(tmp_path: Path) -> None:
    page = opened(tmp_path / "page")
    before = page.seen(7, term="t")
    page.renew()
    assert page.seen(7, term="t") != before


def test_what_was_seen_under_another_term_is_something_else(tmp_path: Path) -> None:
    page = opened(tmp_path / "page")
    assert page.seen(7, term="one") != page.seen(7, term="two")


def test_a_board_is_one_file_and_a_copy_of_it_another(tmp_path: Path) -> None:
    one = opened(tmp_path / "page")
    shutil.copy(tmp_path / "page", tmp_path / "copy")
    assert opened(tmp_path / "page").board == one.board
    assert opened(tmp_path / "copy").board != one.board


def test_a_page_that_was_deleted_and_made_again_is_another_board_as_long_as_somebody_has_the_old_one(
    tmp_path: Path,
) -> None:
    one = opened(tmp_path / "page")
    (tmp_path / "page").unlink()
    assert opened(tmp_path / "page").board != one.board


def test_a_board_has_no_space_which_ends_it_in_the_name_of_a_pledge(tmp_path: Path) -> None:
    assert " " not in opened(tmp_path / "page").board


def test_only_the_owner_may_open_the_page(tmp_path: Path) -> None:
    opened(tmp_path / "page")
    assert (tmp_path / "page").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("path", ["missing/page", "."], ids=["no folder", "a folder"])
def test_without_a_page_there_are_no_stamps(tmp_path: Path, path: str) -> None:
    assert open_stamps(tmp_path / path) is None


@given(st.binary())
def test_every_pocket_has_a_slot_of_its_page_but_not_the_one_of_all(place: bytes) -> None:
    assert 0 < slot_of(place) < 16 * 1024
