"""Files of recorded traffic: found, opened, told apart by content, and merged by time. The edge that reads disks.

Nothing of a file is held but the piece that is being read, so memory does not grow with a log.
"""

from __future__ import annotations

import glob
import gzip
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from io import BufferedIOBase
from itertools import chain, islice
from math import inf
from pathlib import Path

from generator import events, readers
from generator.entry import Entry, Item, Reason
from generator.events import EventLog
from generator.readers import AccessLog, detect
from switchboard.errors import BadInput

_PIECE = 64 * 1024
_SNIFFED_LINES = 1000
_MOST_OPEN = 64
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file, its format, the stamp of its first entry (inf: none found), and whether its stamps are its own.

    `unread` says what its first lines were where they were no entries.
    """

    path: Path
    format: str | None
    first: float
    timed: bool
    unread: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """All files of a scenario, in the order in which they begin."""

    files: tuple[LogFile, ...]

    def items(self) -> Iterator[Item]:
        """Yield the entries of all files (merged by time where they overlap) and what could not be read."""
        readable = [file for file in self.files if file.first != inf]
        rest = chain.from_iterable(_read(file, EventLog()) for file in self.files if file.first == inf)
        if len(readable) > 1 and all(file.timed for file in readable):
            return chain(_merged(readable), rest)
        clock = EventLog()  # delays count on from one file to the next
        return chain(chain.from_iterable(_read(file, clock) for file in readable), rest)


def open_source(log_path: str, base: Path, *, format: str = "auto") -> Source:
    """Find the files of `log_path` (a file, a folder or a glob; relative to `base`) and tell their formats.

    Raises BadInput where there is no file, one cannot be opened, or none holds a single readable entry.
    """
    paths = find_files(log_path, base)
    try:
        files = tuple(_look_at(path, format) for path in paths)
    except OSError as error:
        raise BadInput(f"log_path: {log_path}: {error.filename}: {error.strerror}; make it readable") from error
    if all(file.first == inf for file in files):
        raise BadInput(_nothing_in(log_path, files, format))
    if all(file.timed for file in files if file.first != inf):
        files = tuple(sorted(files, key=lambda file: (file.first, file.path)))
    return Source(files)


def _nothing_in(log_path: str, files: tuple[LogFile, ...], format: str) -> str:
    unread = Counter(reason for file in files for reason in file.unread)
    found = ", ".join(f"{number} x {reason}" for reason, number in unread.most_common()) or "empty"
    expected = "common or combined access logs or JSON events" if format == "auto" else f"the format {format!r}"
    return f"log_path: {log_path}: no request can be read from {len(files)} file(s) ({found}); expected {expected}"


def find_files(log_path: str, base: Path) -> tuple[Path, ...]:
    """Return the files of `log_path`, sorted; of folders all below them but hidden ones. Raises BadInput."""
    place = base / Path(log_path).expanduser()
    found = [place] if place.exists() else [Path(name) for name in glob.glob(str(place), recursive=True)]
    paths: set[Path] = set()
    for path in found:
        inside = path.rglob("*") if path.is_dir() else (path,)
        paths |= {p for p in inside if p.is_file() and not _is_hidden(p.relative_to(path))}
    if not paths:
        raise BadInput(
            f"log_path: {log_path} is not a file, a folder with files, or a glob that matches any"
            f" (looked at {place}); give the path of a log, relative to the scenario file"
        )
    return tuple(sorted(paths))


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _open(path: Path) -> BufferedIOBase:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return gzip.GzipFile(path, mode="rb") if packed else path.open("rb")


def _lines(path: Path, most_bytes: int) -> Iterator[bytes | Reason]:
    """Yield the lines of a file without their ends; of one that is too long only its beginning."""
    tail = b""
    with _open(path) as file:
        try:
            while piece := file.read(_PIECE):
                lines = piece.split(b"\n")
                lines[0] = tail + lines[0] if len(tail) <= most_bytes else tail
                tail = lines.pop()
                yield from lines
        except (EOFError, zlib.error, gzip.BadGzipFile):
            yield Reason.DAMAGED_GZIP
            return
    if tail:
        yield tail


def _document(path: Path) -> bytes:
    """Return a whole file, or what is one byte too much of it."""
    with _open(path) as file:
        try:
            return file.read(events.MOST_BYTES + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            return b""


def _look_at(path: Path, format: str) -> LogFile:
    most_bytes = events.MOST_BYTES if format == "events" else readers.MOST_BYTES
    head = (line for line in islice(_lines(path, most_bytes), _SNIFFED_LINES) if isinstance(line, bytes))
    known = detect(head) if format == "auto" else format
    clock = EventLog()
    unread: list[Reason] = []
    for item in islice(_read(LogFile(path, known, inf, False), clock), _SNIFFED_LINES):
        if isinstance(item, Entry):
            return LogFile(path, known, item.stamp, known != "events" or clock.timed)
        unread.append(item)
    return LogFile(path, known, inf, False, tuple(unread))


def _read(file: LogFile, clock: EventLog) -> Iterator[Item]:
    if file.format == "events":
        whole = _whole_events(file.path, clock)
        return whole if whole is not None else _each(file.path, events.MOST_BYTES, clock.read)
    if file.format is None:
        return _each(file.path, readers.MOST_BYTES, _unknown)
    return _each(file.path, readers.MOST_BYTES, AccessLog().read)


def _unknown(line: bytes) -> Item:
    return Reason.UNKNOWN_FORMAT if line.strip() else Reason.BLANK


def _each(path: Path, most_bytes: int, read: Callable[[bytes], Item]) -> Iterator[Item]:
    for line in _lines(path, most_bytes):
        yield line if isinstance(line, Reason) else read(line)


def _whole_events(path: Path, clock: EventLog) -> Iterator[Item] | None:
    """Return the events of a file that is one JSON document over several lines; None where each line is one."""
    first = next((line for line in _lines(path, events.MOST_BYTES) if isinstance(line, bytes) and line.strip()), b"")
    if first.lstrip()[:1] != b"[" and EventLog().read(first) is not Reason.BAD_EVENT:
        return None
    text = _document(path)
    return clock.read_document(text) if 0 < len(text) <= events.MOST_BYTES else None


def _merged(files: list[LogFile]) -> Iterator[Item]:
    """Yield the entries of files by time: a file is opened when its first stamp is reached."""
    waiting = deque(files)
    heap: list[tuple[float, int, Entry, Iterator[Item]]] = []
    opened = 0
    while waiting or heap:
        while waiting and len(heap) < _MOST_OPEN and (not heap or waiting[0].first <= heap[0][0]):
            opened += 1
            yield from _advance(heap, opened, _read(waiting.popleft(), EventLog()))
        if heap:
            _, number, entry, rest = heappop(heap)
            yield entry
            yield from _advance(heap, number, rest)


def _advance(heap: list[tuple[float, int, Entry, Iterator[Item]]], number: int, rest: Iterator[Item]) -> Iterator[Item]:
    """Put the next entry of a file on the heap; yield what could not be read before it."""
    for item in rest:
        if isinstance(item, Entry):
            heappush(heap, (item.stamp, number, item, rest))
            return
        yield item
