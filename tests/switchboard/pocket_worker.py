"""A worker's pockets as a process: lines `set KEY VALUE` and `get KEY` in, `done` and `VALUE READINGS` out."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from switchboard.pocket import Pocket
from switchboard.pocket_stamps import open_stamps
from switchboard.pockets import Pockets
from switchboard.seal import Seal
from switchboard.store import Store

URL = "https://www.cms.example/"


async def _answer(pockets: Pockets, verb: str, key: str, *value: str) -> str:
    now = time.time()
    if verb == "set":
        line = f"sid={value[0]}".encode()
        await pockets.change("d", key, lambda pocket: pocket.with_jar(pocket.jar.store([line], url=URL, now=now)))
        return "done"
    at_hand = pockets.at_hand("d", key)
    pocket: Pocket = at_hand if at_hand is not None else await pockets.open("d", key)
    return f"{(pocket.jar.cookie_header(url=URL, now=now) or b'sid=-').decode()[4:]} {int(at_hand is None)}"


async def _serve(url: str, page: str) -> None:
    async with Store.open(url) as store:
        pockets = Pockets(store, Seal(b"k" * 32), stamps=open_stamps(Path(page)) if page else None)
        await store.ping()
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(await _answer(pockets, *line.split()), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
