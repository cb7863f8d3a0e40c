"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

_CANCEL_AGAIN_S = 0.2


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which redis and others use, loses a cancellation that comes
    in the very step in which its work is done (python/cpython#86296).
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
