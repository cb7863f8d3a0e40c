"""The switch of this moment, and waiting for the next one."""

from __future__ import annotations

import asyncio

from switchboard.switch import Switch


class Current:
    """Holds the switch that decisions use. `apply` swaps it whole; nothing ever sees half of an epoch."""

    def __init__(self, switch: Switch) -> None:
        self.switch = switch
        self._moved = asyncio.Event()

    def apply(self, switch: Switch) -> None:
        """Make a switch current and wake everyone who waits; a lower epoch is ignored."""
        if switch.epoch <= self.switch.epoch:
            return
        self.switch = switch
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def later_than(self, epoch: int) -> Switch:
        """Return the first switch of a higher epoch."""
        while self.switch.epoch <= epoch:
            await self._moved.wait()
        return self.switch
