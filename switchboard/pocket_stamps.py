"""What tells a worker that nobody has changed a pocket since it read it: a page of stamps that workers of a host share.

Theory: whoever has stored a pocket puts a new stamp on the pocket's slot before the answer leaves; whoever reads one
notes the stamp it saw before it asked. While slot and note agree, no answer has left that memory does not know. A
stamp is random and written once: a slow writer cannot bring an old one back, as it could with a counter.

The page is only as good as the promise that every writer has it before them, so the store gives a *pledge* on a board
(the name of one page): for a moment, whoever writes without that page is made to wait until the pledge has run out.
Where pages are mixed (several hosts, a page that cannot be mapped) nobody is given one, and every request reads.
"""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

PLEDGE_MS = 500
TRUSTED_S = 0.4  # of a pledge, from before it was asked for
RENEWED_S = 0.2  # one request in so much time reads, so that the others never wait for a new one
_SLOTS = 16 * 1024
_BYTES = 8 * _SLOTS
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Seen = tuple[str, int, int]  # term of the pledge, stamp of all pockets, stamp of the pocket's slot


@dataclass(slots=True)
class Pledge:
    """`term` is another one wherever writes without the page were possible in between.

    Times are monotonic: memory is believed `until` then; from `renew_at` on somebody should ask for more.
    """

    term: str
    until: float
    renew_at: float


class Stamps:
    """A page of stamps under the name of its board. Slot 0 stands for all pockets."""

    def __init__(self, page: memoryview, board: str) -> None:
        self._page = page
        self.board = board

    def seen(self, slot: int, *, term: str) -> Seen:
        """Return what to note before the store is asked."""
        page = self._page
        return term, page[0], page[slot]

    def renew(self, slot: int = 0) -> None:
        """Put a stamp on a slot that never was there; by default on all pockets."""
        self._page[slot] = int.from_bytes(os.urandom(8), "little")


def slot_of(place: bytes) -> int:
    """Return a pocket's slot, the same in every process; pockets that share one are only read more often."""
    return 1 + zlib.crc32(place) % (_SLOTS - 1)


def open_stamps(path: Path) -> Stamps | None:
    """Map the page of a state folder, made where there is none; None where that is not possible."""
    try:
        mapped, board = _mapped(path)
    except (OSError, ValueError):
        return None
    return Stamps(memoryview(mapped).cast("Q"), board)


def _mapped(path: Path) -> tuple[mmap.mmap, str]:
    """Return the file in memory, and its name to this kernel: one copied or mounted elsewhere is another board."""
    boot = _BOOT_ID.read_text().strip()
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(file, 0, _BYTES)  # a hole on a full disk would end the process when it is written (SIGBUS)
        found = os.fstat(file)
        return mmap.mmap(file, _BYTES), f"{boot}.{found.st_dev}.{found.st_ino}"
    finally:
        os.close(file)
