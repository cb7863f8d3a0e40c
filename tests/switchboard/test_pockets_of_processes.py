"""Workers as processes on one Redis: what one has answered, the next request finds at every other."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("pocket_worker.py")


class Process:
    """One worker."""

    def __init__(self, url: str, page: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, url, page], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._hear() == "ready"

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self._hear()

    def kill(self) -> None:
        """End it at once (SIGKILL), whatever it is about."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()


@contextmanager
def process(url: str, page: str) -> Iterator[Process]:
    running = Process(url, page)
    try:
        yield running
    finally:
        running.kill()


@pytest.fixture
def page(tmp_path: Path) -> str:
    return str(tmp_path / "page")


def test_a_request_after_a_login_carries_its_cookie_at_the_other_worker_thousands_of_times(
    redis_url: str, page: str
) -> None:
    dice, readings = random.Random(3), 0
    with process(redis_url, page) as one, process(redis_url, page) as two:
        for number in range(2_000):
            key = f"k{dice.randrange(4)}"
            writer, reader = (one, two) if dice.random() < 0.5 else (two, one)
            assert reader.ask(f"get {key}").split()[0] == writer.ask(f"get {key}").split()[0]
            assert writer.ask(f"set {key} {number}") == "done"
            value, read = reader.ask(f"get {key}").split()
            assert (value, read) == (str(number), "1")
            for worker in (one, two, one, two):
                value, read = worker.ask(f"get {key}").split()
                assert value == str(number)
                readings += int(read)
    # The writer's own first, and one for each renewal of the pledge; the others came from memory.
    assert readings < 4_000


def test_without_changes_nothing_is_read_but_to_renew_the_pledge(redis_url: str, page: str) -> None:
    with process(redis_url, page) as one:
        one.ask("get k")
        readings = sum(int(one.ask("get k").split()[1]) for _ in range(2_000))
    assert readings < 100


def test_workers_that_are_killed_while_they_store_leave_no_worker_with_an_old_cookie(redis_url: str, page: str) -> None:
    dice = random.Random(5)
    with ExitStack() as stack:
        one, two = (stack.enter_context(process(redis_url, page)) for _ in range(2))
        last = "-"
        for number in range(15):
            victim = Process(redis_url, page)
            for worker in (one, two, victim):
                assert worker.ask("get k").split()[0] == last
            victim.tell(f"set k killed{number}")
            for _ in range(dice.randrange(40)):
                one.ask("get other")  # some time, so that the kill meets every step of storing
            victim.kill()
            for turn in range(20):
                writer, reader = (one, two) if turn % 2 else (two, one)
                last = f"{number}.{turn}"
                assert writer.ask(f"set k {last}") == "done"
                assert reader.ask("get k").split()[0] == last


@pytest.mark.parametrize("other", ["", "another"], ids=["cannot map the page", "has another page"])
def test_a_worker_that_does_not_share_the_page_is_heard_all_the_same(
    redis_url: str, page: str, tmp_path: Path, other: str
) -> None:
    with process(redis_url, page) as one, process(redis_url, other and str(tmp_path / other)) as stranger:
        for number in range(200):
            writer, reader = (stranger, one) if number % 2 else (one, stranger)
            reader.ask("get k")
            assert writer.ask(f"set k {number}") == "done"
            assert reader.ask("get k").split()[0] == str(number)
            assert writer.ask("get k").split()[0] == str(number)
