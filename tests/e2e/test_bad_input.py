"""Bad input through the real command line: one clear error, the right exit code, nothing left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from switchboard.estate_file import parse_estate

SOUND = """
version: 1
production: {hosts: [www.cms.example, api.cms.example]}
cohorts: {rookies: {clients: [127.0.10.0/24], gate: connection}}
targets:
  staging:
    routes:
      - {from: "www.cms.example", to: "http://127.0.2.1:8080"}
      - {from: "api.cms.example", to: "http://127.0.2.1:8080/api"}
listeners: {proxy: ["regular@127.0.0.1:0"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="esr-") as name:
        yield Path(name)


def esr(folder: Path, *arguments: str, token: str = "") -> tuple[int, str]:
    """Run the command line in a folder; return its exit code and what it said on standard error."""
    environment = {**os.environ, "HMS_ESR_STATE": str(folder / "state"), "HMS_ESR_TOKEN": token}
    done = subprocess.run(
        [sys.executable, "-m", "switchboard", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
        env=environment,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.strip()


def left_running(folder: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


ESTATES = {
    "unknown key": (SOUND + "colour: red\n", ("switchboard.yml:11: colour", "key")),
    "wrong type": (SOUND.replace("version: 1", "version: one"), ("switchboard.yml:2: version: 'one'", "1")),
    "unrouted production host": (
        SOUND.replace("api.cms.example]", "api.cms.example, pay.cms.example]"),
        ("pay.cms.example",),
    ),
    "a target that is production": (
        SOUND.replace('to: "http://127.0.2.1:8080"', 'to: "http://api.cms.example"'),
        ("targets.staging.routes[0].to", "http://api.cms.example"),
    ),
    "a twin that would end its line": (
        SOUND.replace(
            "    routes:",
            '    credentials: [{in: header, name: X-Api-Key, twin: {value: "s3cret\\r\\nHost: x"}}]\n    routes:',
        ),
        ("targets.staging.credentials[0].twin.value", "it holds a control character"),
    ),
}


@pytest.mark.parametrize("case", ESTATES)
@pytest.mark.parametrize("verb", ["check", "up"])
def test_a_bad_estate_is_refused_with_line_key_and_value(folder: Path, case: str, verb: str) -> None:
    text, expected = ESTATES[case]
    (folder / "switchboard.yml").write_text(text)
    code, said = esr(folder, verb)
    assert code == 2
    for part in expected:
        assert part in said
    assert "s3cret" not in said
    assert left_running(folder) == []


@pytest.mark.parametrize("place", ["file", "env"])
def test_a_twin_from_elsewhere_that_would_end_its_line_is_refused(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "twin").write_text("s3cret\rHost: x")
    monkeypatch.setenv("TWIN", "s3cret\r\nHost: x")
    where = "twin" if place == "file" else "TWIN"
    rule = f"    credentials: [{{in: header, name: X-Api-Key, twin: {{{place}: {where}}}}}]\n    routes:"
    (folder / "switchboard.yml").write_text(SOUND.replace("    routes:", rule))
    code, said = esr(folder, "up")
    assert (code, "s3cret" in said) == (2, False)
    assert "holds control characters; one line of text was expected" in said
    assert left_running(folder) == []


def test_all_problems_of_a_file_are_told_at_once(folder: Path) -> None:
    (folder / "switchboard.yml").write_text(SOUND.replace("version: 1", "version: 7") + "colour: red\nguard: maybe\n")
    code, said = esr(folder, "check")
    assert code == 2
    assert len(said.splitlines()) == 3


def test_the_sound_estate_of_these_tests_is_sound() -> None:
    parse_estate(SOUND, "switchboard.yml")


def test_no_estate_file_is_one_line_with_the_remedy(folder: Path) -> None:
    code, said = esr(folder, "up")
    assert code == 2
    assert said == "hms-esr: estate file switchboard.yml does not exist: give one with --estate or HMS_ESR_ESTATE"


@pytest.mark.parametrize("key", ["proxy", "admin"])
def test_a_port_in_use_ends_with_5_and_leaves_nothing_running(folder: Path, key: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        old = "regular@127.0.0.1:0" if key == "proxy" else 'admin: "127.0.0.1:0"'
        (folder / "switchboard.yml").write_text(SOUND.replace(old, old.replace(":0", f":{port}")))
        code, said = esr(folder, "up")
    assert code == 5
    assert f"listeners.{key}" in said
    assert f"127.0.0.1:{port}" in said
    assert left_running(folder) == []


@pytest.mark.parametrize("log", ["empty.log", "binary.log"])
def test_a_log_without_a_readable_line_is_told(folder: Path, log: str) -> None:
    (folder / "empty.log").write_bytes(b"")
    (folder / "binary.log").write_bytes(bytes(range(256)) * 64)
    code, said = esr(folder, "demo", "--headless", "--duration", "3s", "--log", log)
    assert code == 2
    assert log in said
    assert left_running(folder) == []


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_token_missing_or_wrong_ends_with_2(folder: Path, token: str) -> None:
    (folder / "switchboard.yml").write_text(SOUND)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "switchboard.yml").write_text(SOUND.replace('admin: "127.0.0.1:0"', f'admin: "127.0.0.1:{port}"'))
    environment = {**os.environ, "HMS_ESR_STATE": str(folder / "state")}
    up = subprocess.Popen(
        [sys.executable, "-m", "switchboard", "up"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert up.stdout is not None
        assert up.stdout.readline().startswith("console")
        (folder / "other").mkdir()  # a machine without the token file
        code, said = esr(folder, "stop", "--state", str(folder / "other"), token=token)
        assert code == 2
        assert "token" in said
    finally:
        up.terminate()
        assert up.wait(20) == 0
        up.stdout.close()
    assert left_running(folder) == []
