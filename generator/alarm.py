"""Waiting for an instant of the monotonic clock with less than a millisecond of error.

Event loops round their timers to milliseconds. Linux has timers that are files (timerfd_create(2)): the kernel makes
one readable at the instant itself, and the loop watches it as it watches sockets, without spinning.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time
from types import TracebackType

_CLOCK_MONOTONIC = 1  # what time.monotonic() reads on Linux
_TFD_FLAGS = os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0)
_TFD_TIMER_ABSTIME = 1


class _Spec(ctypes.Structure):
    """struct itimerspec: interval and first expiry, each in seconds and nanoseconds."""

    _fields_ = (("interval", ctypes.c_long * 2), ("first", ctypes.c_long * 2))


class Alarm:
    """One waiter's timer; a context manager. Falls back to the loop's own timers where there is no timerfd."""

    def __init__(self) -> None:
        self._file = -1
        self._ringing: asyncio.Future[None] | None = None

    def __enter__(self) -> Alarm:
        try:
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._file = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_FLAGS)
        except (OSError, AttributeError):
            self._file = -1
        if self._file >= 0:
            asyncio.get_running_loop().add_reader(self._file, self._ring)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file >= 0:
            asyncio.get_running_loop().remove_reader(self._file)
            os.close(self._file)
            self._file = -1

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`; 0 lets others run once."""
        if seconds <= 0 or self._file < 0:
            await asyncio.sleep(seconds)
            return
        until = time.monotonic() + seconds
        whole = int(until)
        spec = _Spec((0, 0), (whole, int((until - whole) * 1e9)))
        self._ringing = asyncio.get_running_loop().create_future()
        if self._libc.timerfd_settime(self._file, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) != 0:
            await asyncio.sleep(seconds)
            return
        await self._ringing

    def _ring(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:
            return
        if self._ringing is not None and not self._ringing.done():
            self._ringing.set_result(None)
