from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

from generator.enrollment import BUNDLED, LINES, make_lines, write
from generator.entry import Entry
from generator.source import open_source


def test_the_bundled_log_is_what_the_script_makes(tmp_path: Path) -> None:
    write(tmp_path / "again.gz")
    assert gzip.decompress((tmp_path / "again.gz").read_bytes()) == gzip.decompress(BUNDLED.read_bytes())


def test_the_bundled_log_is_small_and_wholly_readable() -> None:
    assert BUNDLED.stat().st_size < 400_000
    items = list(open_source(str(BUNDLED), Path()).items())
    assert len(items) == LINES
    assert all(isinstance(item, Entry) for item in items)


def test_it_has_a_day_with_a_peak_and_a_night() -> None:
    stamps = [item.stamp for item in open_source(str(BUNDLED), Path()).items() if isinstance(item, Entry)]
    hours = Counter(int(stamp // 3600 % 24) for stamp in stamps)
    assert len(hours) == 24
    assert max(hours.values()) > 3 * min(hours.values())
    assert 23.5 * 3600 < max(stamps) - min(stamps) < 24 * 3600


def test_lines_step_back_as_those_of_a_server_do() -> None:
    stamps = [item.stamp for item in open_source(str(BUNDLED), Path()).items() if isinstance(item, Entry)]
    steps = [after - before for before, after in pairwise(stamps) if after < before]
    assert steps
    assert min(steps) >= -20


def test_another_seed_makes_another_day() -> None:
    assert list(make_lines(1, 100)) != list(make_lines(2, 100))
