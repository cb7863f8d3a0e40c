"""Pockets on a store in memory that answers when it is told to: every order of events."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard import pockets as pockets_module
from switchboard.errors import Unavailable
from switchboard.pocket import Pocket, Written
from switchboard.pocket_stamps import RENEWED_S, TRUSTED_S, Stamps
from switchboard.pockets import Change, Pockets
from switchboard.seal import Seal

NOW = 1_700_000_000.0
URL = "https://www.cms.example/"
SEAL = Seal(b"k" * 32)


def setting(*lines: bytes) -> Change:
    return lambda pocket: pocket.with_jar(pocket.jar.store(lines, url=URL, now=NOW))


def cookies(pocket: Pocket) -> bytes | None:
    return pocket.jar.cookie_header(url=URL, now=NOW)


class Memory:
    """A store that answers when it is told to, or is away."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], bytes] = {}
        self.ended: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.away = False
        self.term = "one"
        self.gate: asyncio.Event | None = None
        self.writing = asyncio.Event()

    async def _called(self, name: str) -> None:
        self.calls[name] += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")

    async def read_jars(self, drill_id: str, keys: Sequence[str]) -> list[bytes | None]:
        await self._called("read")
        found = [self.held.get((drill_id, key)) for key in keys]
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)
        return found

    async def read_pledged(
        self, drill_id: str, keys: Sequence[str], *, board: str, hold_ms: int
    ) -> tuple[str, list[bytes | None]]:
        return self.term, await self.read_jars(drill_id, keys)

    async def write_jar(
        self, drill_id: str, key: str, data: bytes, *, expected: bytes | None, ttl_s: int, board: str | None = None
    ) -> tuple[Written, bytes | None]:
        self.writing.set()
        await self._called("write")
        stored = self.held.get((drill_id, key))
        if drill_id in self.ended:
            return Written.ENDED, None
        if stored != expected:
            return Written.CONFLICT, stored
        self.held[drill_id, key] = data
        await asyncio.sleep(0)
        return Written.DONE, None

    async def drop_jars(self, drill_id: str) -> None:
        await self._called("drop")
        self.ended.add(drill_id)
        self.held = {address: data for address, data in self.held.items() if address[0] != drill_id}


async def test_requests_at_once_share_one_reading() -> None:
    memory = Memory()
    pockets = Pockets(memory, SEAL)
    await asyncio.gather(*(pockets.open("d", f"k{number}") for number in range(100)))
    assert memory.calls["read"] == 2


async def test_a_request_never_joins_a_reading_that_began_before_it() -> None:
    memory = Memory()
    one, two = Pockets(memory, SEAL), Pockets(memory, SEAL)
    memory.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        early = tasks.create_task(one.open("d", "k"))
        for _ in range(5):
            await asyncio.sleep(0)
        gate, memory.gate = memory.gate, None
        await two.change("d", "k", setting(b"sid=1"))
        late = tasks.create_task(one.open("d", "k"))
        for _ in range(5):
            await asyncio.sleep(0)
        gate.set()
    assert early.result() == Pocket.empty()
    assert cookies(late.result()) == b"sid=1"


async def test_who_leads_a_reading_and_is_cancelled_leaves_it_to_the_others() -> None:
    memory = Memory()
    pockets = Pockets(memory, SEAL)
    await Pockets(memory, SEAL).change("d", "k", setting(b"sid=1"))
    memory.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(pockets.open("d", "k"))
        await asyncio.sleep(0)
        leader = tasks.create_task(pockets.open("d", "k"))
        await asyncio.sleep(0)
        followers = [tasks.create_task(pockets.open("d", "k")) for _ in range(3)]
        await asyncio.sleep(0)
        leader.cancel()
        memory.gate.set()
    assert [cookies(task.result()) for task in (first, *followers)] == [b"sid=1"] * 4


def paged(memory: Memory, clock: Callable[[], float] = lambda: 0.0) -> list[Pockets]:
    """Return two workers of one host."""
    page = Stamps(memoryview(bytearray(8 * 16 * 1024)).cast("Q"), "board")
    return [Pockets(memory, SEAL, stamps=page, clock=clock) for _ in range(2)]


async def test_what_was_read_is_at_hand_until_another_worker_has_changed_it() -> None:
    one, two = paged(Memory())
    assert one.at_hand("d", "k") is None
    await one.open("d", "k")
    assert one.at_hand("d", "k") is Pocket.empty()
    await two.change("d", "k", setting(b"sid=1"))
    assert one.at_hand("d", "k") is None
    assert cookies(await one.open("d", "k")) == b"sid=1"
    assert cookies(one.at_hand("d", "k") or Pocket.empty()) == b"sid=1"


async def test_a_pocket_whose_change_is_still_being_stored_is_not_at_hand() -> None:
    memory = Memory()
    one, _ = paged(memory)
    await one.open("d", "k")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.change("d", "k", setting(b"sid=1")))
        await memory.writing.wait()
        assert one.at_hand("d", "k") is None


async def test_a_change_that_lands_while_it_is_read_is_read_again() -> None:
    memory = Memory()
    one, two = paged(memory)
    memory.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        early = tasks.create_task(one.open("d", "k"))
        for _ in range(5):
            await asyncio.sleep(0)
        gate, memory.gate = memory.gate, None
        await two.change("d", "k", setting(b"sid=1"))
        gate.set()
    assert early.result() == Pocket.empty()
    assert one.at_hand("d", "k") is None


async def test_an_answer_that_sets_what_another_is_storing_waits_for_it() -> None:
    memory = Memory()
    one, two = paged(memory)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(one.change("d", "k", setting(b"sid=1")))
        await memory.writing.wait()
        assert cookies(await one.change("d", "k", setting(b"sid=1"))) == b"sid=1"
        assert cookies(await two.open("d", "k")) == b"sid=1"


async def test_nothing_is_at_hand_once_the_pledge_is_over_and_one_request_renews_it_before() -> None:
    now = 0.0
    one, _ = paged(Memory(), lambda: now)
    await one.open("d", "k")
    now = RENEWED_S
    assert [one.at_hand("d", "k") for _ in range(3)] == [None, Pocket.empty(), Pocket.empty()]
    now = TRUSTED_S
    assert one.at_hand("d", "k") is None


async def test_nothing_is_at_hand_under_another_pledge_or_none() -> None:
    memory = Memory()
    one, _ = paged(memory)
    for term in ("two", ""):
        await one.open("d", "k")
        assert one.at_hand("d", "k") is not None
        memory.term = term
        await one.open("d", "other")
        assert one.at_hand("d", "k") is None


async def test_the_end_of_a_drill_leaves_nothing_at_hand_at_any_worker() -> None:
    one, two = paged(Memory())
    await one.open("d", "k")
    await two.end("d")
    assert one.at_hand("d", "k") is None


async def test_a_change_cut_off_while_it_is_stored_is_stored_later() -> None:
    memory = Memory()
    pockets = Pockets(memory, SEAL)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(pockets.change("d", "k", setting(b"sid=1")))
        await memory.writing.wait()
        task.cancel()
    assert await pockets.catch_up() == 0
    assert cookies(await Pockets(memory, SEAL).open("d", "k")) == b"sid=1"


async def test_an_answer_that_was_overtaken_changes_nothing() -> None:
    memory = Memory()
    one, two = Pockets(memory, SEAL), Pockets(memory, SEAL)
    await one.change("d", "k", setting(b"a=1"))
    memory.gate = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        slow = tasks.create_task(one.open("d", "k"))
        for _ in range(5):
            await asyncio.sleep(0)
        entry = one._entries["d", "k"]
        entry.pocket = setting(b"b=1")(entry.pocket)
        await one.catch_up()
        gate, memory.gate = memory.gate, None
        await two.change("d", "k", setting(b"b=2"))
        gate.set()
    assert cookies(slow.result()) == b"a=1; b=1"
    assert cookies(await one.change("d", "k", setting(b"c=1"))) == b"a=1; b=2; c=1"


async def test_memory_is_bounded_and_what_is_not_stored_stays_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pockets_module, "MOST_POCKETS", 10)
    memory = Memory()
    pockets = Pockets(memory, SEAL)
    memory.away = True
    await pockets.change("d", "unstored", setting(b"a=1"))
    memory.away = False
    for number in range(30):
        await pockets.change("d", f"k{number}", setting(b"a=1"))
    assert len(pockets._entries) == 10
    assert await pockets.catch_up() == 0
    assert pockets.lost == 0
    for key in ("unstored", "k0", "k29"):
        assert cookies(await pockets.open("d", key)) == b"a=1"


async def test_a_store_without_room_is_counted_and_memory_goes_on() -> None:
    class Full(Memory):
        async def write_jar(self, *args: Any, **more: Any) -> tuple[Written, bytes | None]:
            return Written.FULL, None

    pockets = Pockets(Full(), SEAL)
    await pockets.change("d", "k", setting(b"a=1"))
    assert cookies(await pockets.open("d", "k")) == b"a=1"
    assert (pockets.lost, await pockets.catch_up()) == (1, 0)


steps = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "set", "delete", "open", "away", "back", "end", "lose"]),
        st.integers(0, 2),
        st.sampled_from(["d1", "d2"]),
        st.sampled_from(["k1", "k2"]),
        st.integers(0, 3),
    ),
    max_size=30,
)


@given(steps, st.booleans())
def test_cookies_never_cross_drills_or_keys_and_none_is_lost_while_the_store_is_there(
    plan: Any, has_page: bool
) -> None:
    asyncio.run(_play(plan, has_page))


async def _play(plan: list[tuple[str, int, str, str, int]], has_page: bool) -> None:
    """Play steps one after another; each cookie's value says where it belongs."""
    memory = Memory()
    page = Stamps(memoryview(bytearray(8 * 16 * 1024)).cast("Q"), "board") if has_page else None
    workers = [Pockets(memory, SEAL, stamps=page) for _ in range(3)]
    ended: set[str] = set()
    expected: dict[tuple[str, str], dict[bytes, bytes]] = {}
    calm = True
    for at, (what, worker, drill, key, name) in enumerate(plan):
        pockets, cookie = workers[worker], b"c%d" % name
        held = expected.setdefault((drill, key), {})
        if what == "set":
            await pockets.change(drill, key, setting(b"%s=%s.%s.%d" % (cookie, drill.encode(), key.encode(), at)))
            held[cookie] = b"%s.%s.%d" % (drill.encode(), key.encode(), at)
        elif what == "delete":
            await pockets.change(drill, key, setting(cookie + b"=; Max-Age=0"))
            held.pop(cookie, None)
        elif what == "end":
            await pockets.end(drill)
            ended.add(drill)
        elif what in ("away", "back"):
            memory.away = what == "away"
            calm = calm and not memory.away
        elif what == "lose":
            memory.held.clear()
            calm = False
        for pocket in (pockets.at_hand(drill, key), await pockets.open(drill, key), pockets.at_hand(drill, key)):
            if pocket is None:
                continue
            mark = b"%s.%s." % (drill.encode(), key.encode())
            assert all(one.value.startswith(mark) for one in pocket.jar.cookies)
            if calm:
                known = {one.name: one.value for one in pocket.jar.cookies}
                assert known == ({} if drill in ended else held)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=20))
def test_changes_in_any_order_at_once_all_arrive(plan: list[tuple[int, int, int]]) -> None:
    async def play() -> None:
        memory = Memory()
        workers = [Pockets(memory, SEAL) for _ in range(3)]

        async def later(number: int, worker: int, delay: int) -> None:
            for _ in range(delay):
                await asyncio.sleep(0)
            pocket = await workers[worker].change("d", "k", setting(b"n%d=1" % number))
            assert b"n%d" % number in [cookie.name for cookie in pocket.jar.cookies]
            other = await workers[(worker + 1) % 3].open("d", "k")
            assert b"n%d" % number in [cookie.name for cookie in other.jar.cookies]

        async with asyncio.TaskGroup() as tasks:
            for number, (worker, delay, _) in enumerate(plan):
                tasks.create_task(later(number, worker, delay))
        for one in workers:
            assert len((await one.open("d", "k")).jar.cookies) == len(plan)
            assert await one.catch_up() == 0

    asyncio.run(play())
