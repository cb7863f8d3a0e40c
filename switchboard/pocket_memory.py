"""Pockets of a worker that shares them with nobody: the same promises as the store's, in a dictionary."""

from __future__ import annotations

from collections.abc import Sequence

from switchboard.pocket import Written


class MemoryStore:
    """Stands where `store.Store` does for `pockets.Pockets`."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], bytes] = {}

    async def read_jars(self, drill_id: str, keys: Sequence[str]) -> list[bytes | None]:
        return [self._held.get((drill_id, key)) for key in keys]

    async def read_pledged(
        self, drill_id: str, keys: Sequence[str], *, board: str, hold_ms: int
    ) -> tuple[str, list[bytes | None]]:
        return "nobody else", await self.read_jars(drill_id, keys)

    async def write_jar(
        self, drill_id: str, key: str, data: bytes, *, expected: bytes | None, ttl_s: int, board: str | None = None
    ) -> tuple[Written, bytes | None]:
        stored = self._held.get((drill_id, key))
        if stored != expected:
            return Written.CONFLICT, stored
        self._held[drill_id, key] = data
        return Written.DONE, data

    async def drop_jars(self, drill_id: str) -> None:
        for address in [address for address in self._held if address[0] == drill_id]:
            del self._held[address]
