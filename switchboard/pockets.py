"""The pockets of a worker's clients: in memory, in the store before the answer leaves, gone with the drill.

Theory: a request that follows the answer of a login must carry its cookie whichever worker it meets. So `change`
returns only when the store holds the change, and `open` asks the store: one reading is shared by all requests that
came while the last one was under way, and bytes that have not changed are not read again. A hint that something
changed can be late and is never believed. Memory is, but only where every writer is certain to put a stamp on a page
that this worker sees, before its answer leaves (`pocket_stamps`); then a reading is needed after a change only.

What is stored is its own version: `change` replaces exactly the bytes it built upon, else it takes over what
another worker stored, does its change to that, and tries again. Inside there is a revision, by which an answer
that was overtaken on its way, and a store that has lost its data, show themselves.

While the store is away, memory goes on and what could not be stored is kept for `catch_up`. A pocket that nobody
has is empty: a client without cookies has to log in to the sandbox again, and nothing else takes their place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from switchboard.errors import Unavailable
from switchboard.pocket import Pocket, Written
from switchboard.pocket_stamps import PLEDGE_MS, RENEWED_S, TRUSTED_S, Pledge, Seen, Stamps, slot_of
from switchboard.seal import Seal

Address = tuple[str, str]  # drill, key
Change = Callable[[Pocket], Pocket]

MOST_POCKETS = 20_000
READ_S = 0.25
WRITE_S = 1.0
TTL_S = 2 * 86_400
_SILENT_S = 1.0  # how long a store that did not answer in time is not waited for again
_MOST_TRIES = 32
_PLEDGED_S = 0.05
_MOST_ENDED = 1_000


class PocketStore(Protocol):
    """What is asked of `switchboard.store.Store`."""

    async def read_jars(self, drill_id: str, keys: Sequence[str]) -> list[bytes | None]: ...

    async def read_pledged(
        self, drill_id: str, keys: Sequence[str], *, board: str, hold_ms: int
    ) -> tuple[str, list[bytes | None]]: ...

    async def write_jar(
        self, drill_id: str, key: str, data: bytes, *, expected: bytes | None, ttl_s: int, board: str | None = None
    ) -> tuple[Written, bytes | None]: ...

    async def drop_jars(self, drill_id: str) -> None: ...


@dataclass(slots=True)
class _Entry:
    """`pocket` is what requests get; `base` and `data` are what the store held last, `data` to the byte.

    `seen` is what stood on the page of stamps before the store was asked for it.
    """

    slot: int
    pocket: Pocket = field(default_factory=Pocket.empty)
    base: Pocket = field(default_factory=Pocket.empty)
    data: bytes | None = None
    revision: int = 0
    seen: Seen | None = None
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_stored(self) -> bool:
        return self.pocket is self.base


@dataclass(slots=True)
class _Round:
    """One reading of the store that several requests wait for."""

    keys: set[str] = field(default_factory=set)
    known: dict[str, bytes | None] = field(default_factory=dict)  # what was known when the reading began
    seen: dict[str, Seen] = field(default_factory=dict)  # under which pledge, and the stamps at that time
    done: asyncio.Event = field(default_factory=asyncio.Event)
    found: dict[str, bytes | None] | None = None
    failed: bool = False  # the store was asked and did not answer; else whoever asked was cancelled


class Pockets:
    """`seal` is under the key of all workers; `ttl_s` keeps a drill's pockets since its last change.

    `stamps` are shared with workers of this host; without them every request asks the store.
    """

    def __init__(
        self,
        store: PocketStore,
        seal: Seal,
        *,
        stamps: Stamps | None = None,
        ttl_s: int = TTL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._seal = seal
        self._stamps = stamps
        self._pledges: dict[str, Pledge] = {}
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: dict[Address, _Entry] = {}
        self._ended: dict[str, bool] = {}  # drill -> its pockets are dropped from the store too
        self._next: dict[str, _Round] = {}
        self._reading: dict[str, asyncio.Lock] = {}
        self._silent_until = 0.0
        self.lost = 0  # pockets that could not be stored for want of room, or not be opened with this key

    def at_hand(self, drill: str, key: str) -> Pocket | None:
        """Return a client's pocket where memory is certain to be what the store holds, else None: then `open` it."""
        entry, pledge, now = self._entries.get((drill, key)), self._pledges.get(drill), self._clock()
        if entry is None or pledge is None or self._stamps is None or now >= pledge.until:
            return None
        if now >= pledge.renew_at:
            pledge.renew_at = now + READ_S
            return None
        is_current = entry.is_stored and entry.seen == self._stamps.seen(entry.slot, term=pledge.term)
        return entry.pocket if is_current else None

    async def open(self, drill: str, key: str) -> Pocket:
        """Return a client's pocket as the store holds it now, or as it was last seen where that is away."""
        if drill in self._ended:
            return Pocket.empty()
        is_fresh = await self._refresh(drill, key)
        entry = self._entries.get((drill, key))
        if is_fresh and entry is not None and not (entry.is_stored or entry.writing.locked()):
            await self._write_bounded((drill, key), entry)  # kept over an outage, or lost there; or the drill has ended
        return Pocket.empty() if entry is None or drill in self._ended else entry.pocket

    async def change(self, drill: str, key: str, change: Change) -> Pocket:
        """Change a client's pocket and return it, once every worker sees the change (or the store is away)."""
        pocket = self.at_hand(drill, key)
        if pocket is None:
            pocket = await self.open(drill, key)
        changed = change(pocket)
        if drill in self._ended:
            return pocket
        known = self._entries.get((drill, key))
        if changed is pocket and (known is None or known.is_stored):
            return pocket
        entry = self._entry((drill, key))
        entry.pocket = changed  # or the same change is being stored for another answer: this one waits for it too
        await self._write_bounded((drill, key), entry)
        return Pocket.empty() if drill in self._ended else entry.pocket

    def keep_only(self, drills: Collection[str]) -> None:
        """Forget the pockets of every drill that is not among these; `catch_up` drops them from the store."""
        for drill in {drill for drill, _ in self._entries} - set(drills):
            self._forget(drill)

    async def end(self, drill: str) -> None:
        """Drop every pocket of a drill, here and in the store; what comes later is refused."""
        self._forget(drill)
        await self._drop(drill)

    async def catch_up(self) -> int:
        """Store what could not be stored and drop what could not be dropped; return how much is still left."""
        for drill in [drill for drill, dropped in self._ended.items() if not dropped]:
            await self._drop(drill)
        behind = [(address, entry) for address, entry in self._entries.items() if not entry.is_stored]
        for address, entry in behind:
            if not await self._write_bounded(address, entry):
                break  # it is away still
        waiting = sum(not entry.is_stored for entry in self._entries.values())
        return waiting + sum(not dropped for dropped in self._ended.values())

    # -- reading

    async def _refresh(self, drill: str, key: str) -> bool:
        """Take over what the store holds by now, with everybody else who asks; False where it is away."""
        while self._clock() >= self._silent_until:
            mine = self._next.get(drill)
            if mine is None:
                mine = self._next[drill] = _Round({key})
                await self._read(drill, mine)
            else:
                mine.keys.add(key)
                await mine.done.wait()
            if mine.found is not None:
                self._take_over((drill, key), mine)
                return True
            if mine.failed:
                break
        return False

    async def _read(self, drill: str, mine: _Round) -> None:
        """Wait until nobody else reads, so that others can join, then read for all of them."""
        try:
            async with self._reading.setdefault(drill, asyncio.Lock()):
                del self._next[drill]
                keys = list(mine.keys)
                mine.known = {key: self._known((drill, key)) for key in keys}
                try:
                    async with asyncio.timeout(READ_S):
                        found = await self._ask(drill, keys, mine)
                    mine.found = dict(zip(keys, found, strict=True))
                except Unavailable:
                    mine.failed = True
                except TimeoutError:
                    mine.failed = True
                    self._silent_until = self._clock() + _SILENT_S
        finally:
            if self._next.get(drill) is mine:
                del self._next[drill]
            mine.done.set()

    async def _ask(self, drill: str, keys: list[str], mine: _Round) -> list[bytes | None]:
        """Read the store, with a pledge that memory may be believed for a while where there are stamps."""
        stamps, asked_at = self._stamps, self._clock()
        if stamps is None:
            return await self._store.read_jars(drill, keys)
        seen = {key: stamps.seen(_slot((drill, key)), term="") for key in keys}  # before the store is asked
        term, found = await self._store.read_pledged(drill, keys, board=stamps.board, hold_ms=PLEDGE_MS)
        if term:
            self._pledges[drill] = Pledge(term, until=asked_at + TRUSTED_S, renew_at=asked_at + RENEWED_S)
            mine.seen = {key: (term, *noted[1:]) for key, noted in seen.items()}
        else:
            self._pledges.pop(drill, None)
        return found

    def _known(self, address: Address) -> bytes | None:
        entry = self._entries.get(address)
        return entry.data if entry is not None else None

    def _take_over(self, address: Address, read: _Round) -> None:
        assert read.found is not None
        data, seen = read.found[address[1]], read.seen.get(address[1])
        if address[0] not in self._ended and (data is not None or seen is not None or address in self._entries):
            entry = self._entry(address)
            self._adopt(address, entry, data, known=read.known[address[1]])
            entry.seen = seen

    def _adopt(self, address: Address, entry: _Entry, data: bytes | None, *, known: bytes | None) -> None:
        """Make what the store holds the base of what is here; `known` it was here before the store was asked."""
        if data == entry.data:
            return
        if not entry.is_stored:
            self._stamp(entry.slot)  # it may be ours, of a call that came late
        try:
            fresh, revision = self._unsealed(address, data)
        except ValueError:
            self.lost += 1
            fresh, revision = Pocket.empty(), 0
        if revision >= entry.revision:
            entry.pocket = fresh if entry.is_stored else entry.pocket.rebased(old=entry.base, onto=fresh)
            entry.revision = revision
        elif entry.data is not known:
            return  # overtaken: by now more is known here
        # Else the store has lost what it had: what is here is stored there again, unless the drill has ended.
        entry.base, entry.data = fresh, data

    def _unsealed(self, address: Address, data: bytes | None) -> tuple[Pocket, int]:
        if data is None:
            return Pocket.empty(), 0
        return Pocket.from_json(self._seal.open(data, place=_place(address)))

    # -- writing

    async def _write_bounded(self, address: Address, entry: _Entry) -> bool:
        """Store a pocket; False where the store is away, and then it is for `catch_up`."""
        if self._clock() < self._silent_until:
            return False
        try:
            async with asyncio.timeout(WRITE_S), entry.writing:
                await self._write(address, entry)
        except Unavailable:
            return False
        except TimeoutError:
            self._silent_until = self._clock() + _SILENT_S
            return False
        return True

    async def _write(self, address: Address, entry: _Entry) -> None:
        for _ in range(_MOST_TRIES):
            if entry.is_stored or address[0] in self._ended:
                return
            pocket, revision, known = entry.pocket, entry.revision + 1, entry.data
            data = self._seal.close(pocket.to_json(revision=revision), place=_place(address))
            board = self._stamps.board if self._stamps is not None else ""
            try:
                outcome, stored = await self._store.write_jar(
                    *address, data, expected=known, ttl_s=self._ttl_s, board=board
                )
            finally:
                self._stamp(entry.slot)  # a call that seems to have failed may have stored it
            if outcome is Written.CONFLICT:
                self._adopt(address, entry, stored, known=known)
            elif outcome is Written.PLEDGED:
                await asyncio.sleep(_PLEDGED_S)
            elif outcome is Written.ENDED:
                self._forget(address[0], dropped=True)
            elif outcome is Written.FULL:
                self.lost += 1
                entry.base = pocket
            elif entry.revision < revision:  # else a reading has overtaken this answer
                entry.base, entry.data, entry.revision = pocket, data, revision

    def _stamp(self, slot: int = 0) -> None:
        """Tell the workers of this host to read a pocket again, by default all of them."""
        if self._stamps is not None:
            self._stamps.renew(slot)

    # -- memory

    def _entry(self, address: Address) -> _Entry:
        """Return the entry of an address as the youngest of all, made where there is none."""
        entry = self._entries.pop(address, None) or _Entry(_slot(address))
        self._entries[address] = entry
        if len(self._entries) > MOST_POCKETS:
            oldest = next((at for at, one in self._entries.items() if one.is_stored), next(iter(self._entries)))
            self.lost += not self._entries.pop(oldest).is_stored
        return entry

    def _forget(self, drill: str, *, dropped: bool = False) -> None:
        for address in [address for address in self._entries if address[0] == drill]:
            del self._entries[address]
        self._reading.pop(drill, None)
        self._pledges.pop(drill, None)
        self._ended[drill] = dropped or self._ended.get(drill, False)
        for old in list(self._ended)[: max(0, len(self._ended) - _MOST_ENDED)]:
            del self._ended[old]

    async def _drop(self, drill: str) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                await self._store.drop_jars(drill)
        except (Unavailable, TimeoutError):
            return
        finally:
            self._stamp()
        self._ended[drill] = True


def _slot(address: Address) -> int:
    return slot_of(_place(address))


def _place(address: Address) -> bytes:
    """Bind what is sealed to its drill and key, so that nothing moves from one to another."""
    drill, key = (part.encode("utf-8", "surrogatepass") for part in address)
    return len(drill).to_bytes(4, "big") + drill + key
