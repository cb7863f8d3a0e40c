"""Sessions: how long they count, that a logout holds, and that nothing else is taken for one."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.admin_sessions import SESSION_S, Sessions
from switchboard.errors import Unavailable

TOKEN = "ab" * 32


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def opened(state: Path, clock: Clock, *, key: str = "key", token: str = TOKEN) -> Sessions:
    sessions = Sessions(key=key, state=state, clock=clock)
    sessions.accept(token)
    return sessions


@pytest.mark.parametrize(
    ("later_s", "counts"),
    [(0.0, True), (SESSION_S - 1.5, True), (SESSION_S, False), (-3600.0, False)],
    ids=["fresh", "nearly-twelve-hours", "twelve-hours", "issued-in-the-future"],
)
def test_a_session_counts_for_twelve_hours(tmp_path: Path, later_s: float, counts: bool) -> None:
    clock = Clock()
    session = opened(tmp_path, clock).open(TOKEN)
    clock.now += later_s
    assert opened(tmp_path, clock).knows(session) is counts


def test_each_login_opens_a_session_of_its_own(tmp_path: Path) -> None:
    sessions = opened(tmp_path, Clock())
    assert sessions.open(TOKEN) != sessions.open(TOKEN)


def test_a_logout_ends_one_session_and_holds_over_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    sessions = opened(tmp_path, clock)
    gone, stays = sessions.open(TOKEN), sessions.open(TOKEN)
    sessions.forget(gone)
    for one in (sessions, opened(tmp_path, clock)):
        assert [one.knows(gone), one.knows(stays)] == [False, True]
    path = tmp_path / "admin.forgotten"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert gone not in path.read_text()


def test_what_was_forgotten_is_kept_no_longer_than_the_session_would_have_lived(tmp_path: Path) -> None:
    clock = Clock()
    sessions = opened(tmp_path, clock)
    sessions.forget(sessions.open(TOKEN))
    path = tmp_path / "admin.forgotten"
    path.write_text(path.read_text() + "rubbish\n")
    clock.now += 60
    opened(tmp_path, clock)
    assert len(path.read_text().splitlines()) == 1
    clock.now += SESSION_S
    opened(tmp_path, clock)
    assert path.read_text() == ""


def test_what_is_no_session_need_not_be_forgotten(tmp_path: Path) -> None:
    opened(tmp_path, Clock()).forget("x")
    assert list(tmp_path.iterdir()) == []


def test_a_logout_that_cannot_be_written_down_holds_and_is_told(tmp_path: Path) -> None:
    sessions = opened(tmp_path / "gone", Clock())
    session = sessions.open(TOKEN)
    with pytest.raises(Unavailable, match="--state"):
        sessions.forget(session)
    assert not sessions.knows(session)


@pytest.mark.parametrize("other", [{"key": "another"}, {"token": "cd" * 32}], ids=["key", "token"])
def test_a_session_ends_with_its_key_and_with_its_token(tmp_path: Path, other: dict[str, str]) -> None:
    clock = Clock()
    session = opened(tmp_path, clock).open(TOKEN)
    assert not opened(tmp_path, clock, **other).knows(session)


def test_the_time_of_issue_cannot_be_changed(tmp_path: Path) -> None:
    clock = Clock()
    sessions = opened(tmp_path, clock)
    issued, rest = sessions.open(TOKEN).split(".", 1)
    clock.now += SESSION_S + 10
    assert not sessions.knows(f"{int(issued, 16) + SESSION_S:x}.{rest}")


@given(st.text(max_size=80) | st.from_regex(r"[0-9a-f]{1,16}\.[0-9a-f]{32}\.[0-9a-f]{64}", fullmatch=True))
def test_no_text_from_outside_is_a_session(text: str) -> None:
    assert not opened(Path("nowhere"), Clock()).knows(text)
