"""Programs of a measurement as child processes that talk in lines of JSON and end with their parent.

A child says one line once it is ready. After that it answers lines on its standard input, and it ends when
that input ends, so that nothing is left running whatever becomes of the parent.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from switchboard.errors import Unavailable

Line = dict[str, Any]

_ROOT = Path(__file__).parent.parent
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running program; `ready` is what it said of itself first."""

    process: subprocess.Popen[str]
    ready: Line

    def ask(self, line: Line) -> Line:
        """Send one line and return the answer; raises Unavailable where the program is gone."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        return _hear(self.process)

    def cpu_s(self) -> float:
        """Return the processor seconds used so far (proc(5): utime and stime); 0.0 where /proc is absent."""
        try:
            stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S


@contextmanager
def child(
    command: Sequence[str], *, first: Line | None = None, env: Mapping[str, str] | None = None, quiet: bool = False
) -> Iterator[Child]:
    """Run a command of this environment; `first` is a line it gets before it says that it is ready.

    `quiet` drops what it writes to standard error. Raises Unavailable where it does not start.
    """
    process = subprocess.Popen(
        command,
        cwd=_ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if first is not None:
            process.stdin.write(json.dumps(first) + "\n")
            process.stdin.flush()
        yield Child(process, _hear(process))
    finally:
        process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def module(name: str) -> list[str]:
    """Return the command that runs a module of this package."""
    return [sys.executable, "-m", f"bench.{name}"]


def _hear(process: subprocess.Popen[str]) -> Line:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise Unavailable(f"{process.args!r} ended before it answered", code="bench_child")
    answer: Line = json.loads(line)
    return answer


def first_line() -> Line:
    """Return the first line a child was given."""
    line: Line = json.loads(sys.stdin.readline())
    return line


def say(**line: Any) -> None:
    """Say one line to the parent."""
    print(json.dumps(line), flush=True)


async def parent_gone() -> None:
    """Return when the standard input of this child has ended."""
    while await asyncio.to_thread(sys.stdin.readline):
        pass
