"""The private Redis of a measurement, as `hms-esr up` starts it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench import child
from switchboard.redis_server import private_redis


async def _serve(state: Path) -> None:
    async with private_redis(state) as url:
        child.say(url=url)
        await child.parent_gone()


if __name__ == "__main__":
    asyncio.run(_serve(Path(child.first_line()["state"])))
