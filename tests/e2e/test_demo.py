"""The demo as the README runs it: one JSON object on the last line, and every line of the log accounted for."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def demo(*arguments: str, folder: Path) -> tuple[int, dict[str, Any] | None, str]:
    done = subprocess.run(
        [sys.executable, "-m", "switchboard", "demo", "--headless", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        check=False,
    )
    last = done.stdout.splitlines()[-1] if done.stdout else ""
    return done.returncode, json.loads(last) if last.startswith("{") else None, done.stderr


@pytest.mark.data
def test_a_real_log_is_replayed_and_its_last_line_is_one_json_object(data: Path, tmp_path: Path) -> None:
    log = data / "logs" / "zanbil_1000_nginx_combined.log.gz"
    code, card, told = demo("--duration", "10s", "--log", str(log), folder=tmp_path)
    assert code == 0, told
    assert card is not None
    assert card["requests"] > 0
    assert card["leaks"] == {"production_dials": 0, "blocked": 0, "kernel_drops": 0}
    lines = card["lines"]
    assert lines["read"] == 1000 == lines["sent"] + sum(lines["skipped"].values())
    turns = [line.rpartition("-> ")[2].strip() for line in told.splitlines() if "trainee" in line]
    assert turns[0] == turns[-1] == "PRODUCTION"
    assert "SANDBOX" in turns
    first, last = turns.index("SANDBOX"), len(turns) - 1 - turns[::-1].index("SANDBOX")
    assert set(turns[first : last + 1]) == {"SANDBOX"}


def test_the_bundled_day_needs_no_log_and_no_redis_on_the_machine(tmp_path: Path) -> None:
    code, card, told = demo("--duration", "4s", folder=tmp_path)
    assert code == 0, told
    assert card is not None
    assert card["scenario"] == "enrollment_day"
    assert card["requests"] > 0


def test_a_missing_log_is_one_clear_error(tmp_path: Path) -> None:
    code, card, told = demo("--log", "nowhere.log", folder=tmp_path)
    assert (code, card) == (2, None)
    assert told.strip() == "hms-esr: --log: 'nowhere.log' does not exist; give an access log, plain or gzip"
