"""The last switch on disk: whole or not at all, and never guessed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from switchboard.drill import SwitchDocument
from switchboard.errors import Unavailable
from switchboard.keepsake import keep, kept


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "nodes" / "proxy-1.switch.json"
    assert kept(path) is None
    keep(path, SwitchDocument(epoch=7))
    assert kept(path) == SwitchDocument(epoch=7)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("text", ["", "{", '{"epoch": -1}', '{"epoch": 1, "drills": [{}]}'])
def test_a_broken_file_is_never_read_as_no_drill(tmp_path: Path, text: str) -> None:
    path = tmp_path / "proxy-1.switch.json"
    path.write_text(text)
    with pytest.raises(Unavailable, match=r"proxy-1\.switch\.json: the kept switch cannot be read"):
        kept(path)


def test_a_folder_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "proxy-1.switch.json"
    keep(path, SwitchDocument(epoch=1))
    path.with_suffix(".tmp").mkdir()  # stands for a full disk: the draft cannot be written
    with pytest.raises(OSError, match=r"."):
        keep(path, SwitchDocument(epoch=2))
    assert kept(path) == SwitchDocument(epoch=1)
