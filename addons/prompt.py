"""Hooks that need not wait are run at once, without a task of their own, and what is written is written once.

Theory: mitmproxy starts a task for every hook, four a request, although nearly all of ours only compute, and
calls the socket for every piece of a message. Here hooks run between two events of the protocol layers, in the
order in which mitmproxy's tasks would have run, and neighbouring pieces for one connection leave as one. A hook
that has to wait (a held request, a slow mock) begins here and goes on in a task as before. Either way the
layers stay paused until the hook is through, and a fault has denied what the hook was about by then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from mitmproxy.proxy import commands, events, layer

from addons.weight import EVENT

Rest = Coroutine[Any, Any, None]


class Prompt:
    """Stands where a connection handler has its top layer. `start` runs a hook and returns what is left of it.

    `fresh` counts what was read since the handler last set it to 0; `stirred` is set by every event.
    """

    def __init__(self, top: layer.Layer, start: Callable[[commands.StartHook], Rest | None]) -> None:
        self._top = top
        self._start = start
        self.begun: dict[commands.StartHook, Rest] = {}
        self.fresh = 0
        self.stirred = asyncio.Event()

    def handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Pass an event to the layers; give the commands that are for the connection handler."""
        unsent: commands.SendData | None = None
        if type(event) is events.DataReceived:
            self.fresh += EVENT + len(event.data)
        self.stirred.set()
        try:
            for command in self._settled(event):
                if not isinstance(command, commands.SendData):
                    if unsent is not None:
                        yield unsent
                        unsent = None
                    yield command
                elif unsent is not None and unsent.connection is command.connection:
                    unsent.data += command.data
                else:
                    if unsent is not None:
                        yield unsent
                    unsent = command
        except Exception:
            if unsent is not None:
                yield unsent
            raise
        if unsent is not None:
            yield unsent

    def _settled(self, event: events.Event) -> layer.CommandGenerator[None]:
        hooks: deque[commands.StartHook] = deque()
        yield from self._pass(event, hooks)
        while hooks:
            hook = hooks.popleft()
            rest = self._start(hook)
            if rest is not None:
                self.begun[hook] = rest
                yield hook
            elif hook.blocking:
                try:
                    yield from self._pass(events.HookCompleted(hook), hooks)
                except Exception:
                    yield from hooks  # a stream that crashed must not keep the others from their hooks
                    raise

    def _pass(self, event: events.Event, hooks: deque[commands.StartHook]) -> layer.CommandGenerator[None]:
        for command in self._top.handle_event(event):
            if isinstance(command, commands.StartHook):
                hooks.append(command)
            elif not isinstance(command, commands.Log):  # nobody listens: such lines quote URLs (LEAKS DT-02)
                yield command
