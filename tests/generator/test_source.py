from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from generator.entry import Entry, Reason
from generator.source import find_files, open_source
from switchboard.errors import BadInput
from tests.generator.stage import a_line


def paths(log_path: str, base: Path) -> list[str]:
    return [item.target if isinstance(item, Entry) else str(item) for item in open_source(log_path, base).items()]


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_path_is_a_file_a_folder_or_a_glob(tmp_path: Path) -> None:
    for name in ("b/2.log", "b/c/1.log", "a.log", ".hidden", "b/.git/x"):
        write(tmp_path / name, "")

    def found(log_path: str) -> list[str]:
        return [str(path.relative_to(tmp_path)) for path in find_files(log_path, tmp_path)]

    assert found("a.log") == ["a.log"]
    assert found("b") == ["b/2.log", "b/c/1.log"]
    assert found("b/") == ["b/2.log", "b/c/1.log"]
    assert found("**/*.log") == ["a.log", "b/2.log", "b/c/1.log"]
    assert found(str(tmp_path / "a.*")) == ["a.log"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_compression_is_told_by_content_not_by_name(tmp_path: Path, pack: type[bytes]) -> None:
    write(tmp_path / "a.txt", pack((a_line(0, "GET /1") + a_line(1, "GET /2")).encode()))
    assert paths("a.txt", tmp_path) == ["/1", "/2"]


def test_gzip_of_several_members_is_one_log(tmp_path: Path) -> None:
    members = [gzip.compress(a_line(n, f"GET /{n}").encode()) for n in range(3)]
    write(tmp_path / "a.gz", b"".join(members))
    assert paths("a.gz", tmp_path) == ["/0", "/1", "/2"]


def test_a_gzip_that_ends_early_is_read_up_to_there_and_said(tmp_path: Path) -> None:
    whole = gzip.compress("".join(a_line(n, f"GET /{n * 7919}") for n in range(9_000)).encode())
    write(tmp_path / "a.gz", whole[: len(whole) // 2])
    found = paths("a.gz", tmp_path)
    assert 1_000 < len(found) < 9_000
    assert found[-1] == Reason.DAMAGED_GZIP


def test_the_last_line_needs_no_line_end_and_crlf_is_one(tmp_path: Path) -> None:
    write(tmp_path / "a.log", a_line(0, "GET /1").replace("\n", "\r\n") + "\n" + a_line(1, "GET /2").rstrip())
    assert paths("a.log", tmp_path) == ["/1", "blank", "/2"]


def test_logs_of_several_machines_are_merged_by_time(tmp_path: Path) -> None:
    write(tmp_path / "logs/a.log", "".join(a_line(n, f"GET /a{n}") for n in (0, 2, 9)))
    write(tmp_path / "logs/b.log", "".join(a_line(n, f"GET /b{n}") for n in (1, 3)))
    write(tmp_path / "logs/README", "not a log\n")
    assert paths("logs", tmp_path) == ["/a0", "/b1", "/a2", "/b3", "/a9", "unknown_format"]


def test_rotated_logs_play_in_the_order_of_their_time(tmp_path: Path) -> None:
    write(tmp_path / "access.log", a_line(60, "GET /new"))
    write(tmp_path / "access.log.1", a_line(0, "GET /old"))
    assert paths("access.log*", tmp_path) == ["/old", "/new"]


def test_events_are_one_object_a_line_or_a_file(tmp_path: Path) -> None:
    write(tmp_path / "lines.json", '{"url": "/1"}\n\n{"url": \n{"url": "/2"}\n')
    assert paths("lines.json", tmp_path) == ["/1", "blank", "bad_event", "/2"]
    write(tmp_path / "list.json", json.dumps([{"url": "/1"}, {"url": "/2"}], indent=2))
    assert paths("list.json", tmp_path) == ["/1", "/2"]
    for number in (1, 2, 3):
        write(tmp_path / f"events/{number}.json", json.dumps({"url": f"/{number}", "delay": 2}, indent=2))
    items = [item for item in open_source("events", tmp_path).items() if isinstance(item, Entry)]
    assert [(item.target, item.stamp) for item in items] == [("/1", 2.0), ("/2", 4.0), ("/3", 6.0)]


def test_events_with_their_own_stamps_are_merged(tmp_path: Path) -> None:
    write(tmp_path / "e/b.json", json.dumps({"url": "/early", "ts": 5}))
    write(tmp_path / "e/a.json", json.dumps({"url": "/late", "ts": 6}))
    assert paths("e", tmp_path) == ["/early", "/late"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "empty", id="empty"),
        pytest.param("#Version: 1.0\n\n", "1 x unknown_format, 1 x blank", id="another format"),
        pytest.param(a_line(0, "-"), "1 x no_request", id="no request in it"),
        pytest.param('{"level": "info"}\n', "1 x bad_event", id="other JSON"),
    ],
)
def test_a_log_without_a_request_is_a_clear_error(tmp_path: Path, text: str, said: str) -> None:
    write(tmp_path / "a.log", text)
    with pytest.raises(BadInput, match=rf"log_path: a\.log: no request can be read from 1 file\(s\) \({said}\)"):
        open_source("a.log", tmp_path)


def test_a_log_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="log_path: missing is not a file, a folder with files, or a glob"):
        open_source("missing", tmp_path)


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    line = a_line(0, "GET /" + "x" * 400).encode()

    def peak(lines: int) -> int:
        write(tmp_path / "a.gz", gzip.compress(line * lines, 1))
        tracemalloc.start()
        try:
            assert sum(1 for _ in open_source("a.gz", tmp_path).items()) == lines
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20_000) < peak(1_000) + 200_000


def test_a_line_without_end_is_skipped_without_being_held(tmp_path: Path) -> None:
    write(
        tmp_path / "a.gz",
        gzip.compress(a_line(0, "GET /1").encode() + b"x" * 50_000_000 + b"\n" + a_line(1, "GET /2").encode()),
    )
    tracemalloc.start()
    found = paths("a.gz", tmp_path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == ["/1", "too_long", "/2"]
    assert most < 10_000_000
