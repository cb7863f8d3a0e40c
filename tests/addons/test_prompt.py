from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from mitmproxy import options
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook, HttpRequestHook
from mitmproxy.test import tflow

from addons.prompt import Prompt, Rest

FLOW = tflow.tflow()
CLIENT, SERVER = FLOW.client_conn, FLOW.server_conn
DATA = events.DataReceived(CLIENT, b"")


class Play(layer.Layer):
    """A layer that gives the commands of a script for every event but the completion of its own hooks."""

    def __init__(self, script: Callable[[], Iterable[Any]]) -> None:
        super().__init__(Context(CLIENT, options.Options()))
        self._script = script

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        for command in self._script():
            if isinstance(command, Exception):
                raise command
            yield command


def send(data: bytes, to: Any = CLIENT) -> commands.SendData:
    return commands.SendData(to, data)


def seen(prompt: Prompt, event: events.Event = DATA) -> list[object]:
    """Return what reaches the connection handler: data as it is, other commands by their class."""
    found: list[object] = []
    for command in prompt.handle_event(event):
        found.append((command.connection, command.data) if isinstance(command, commands.SendData) else type(command))
    return found


def at_once(hook: commands.StartHook) -> Rest | None:
    return None


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param([send(b"a"), send(b"b")], [(CLIENT, b"ab")], id="pieces for one connection leave as one"),
        pytest.param(
            [send(b"a"), send(b"b", SERVER), send(b"c")],
            [(CLIENT, b"a"), (SERVER, b"b"), (CLIENT, b"c")],
            id="pieces for others keep their order",
        ),
        pytest.param(
            [send(b"a"), commands.CloseConnection(CLIENT)],
            [(CLIENT, b"a"), commands.CloseConnection],
            id="data goes out before the end of its connection",
        ),
        pytest.param([send(b"a"), commands.Log("a URL"), send(b"b")], [(CLIENT, b"ab")], id="log lines are dropped"),
        pytest.param([send(b"a"), HttpRequestHook(FLOW), send(b"b")], [(CLIENT, b"ab")], id="a hook in between is run"),
    ],
)
def test_commands_reach_the_handler_in_their_order(script: list[Any], expected: list[object]) -> None:
    assert seen(Prompt(Play(lambda: script), at_once)) == expected


def test_a_hook_runs_after_the_event_that_caused_it_and_before_what_waits_for_it() -> None:
    order: list[str] = []

    def script() -> Iterable[Any]:
        yield HttpRequestHeadersHook(FLOW)
        order.append("after the hook")

    def start(hook: commands.StartHook) -> None:
        order.append(hook.name)

    class Outer(layer.Layer):
        def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
            yield from inner.handle_event(event)
            order.append("event is through")

    inner = Play(script)
    seen(Prompt(Outer(inner.context), start))
    assert order == ["event is through", "requestheaders", "after the hook", "event is through"]


def test_a_hook_that_waits_goes_to_the_handler_with_what_is_left_of_it() -> None:
    async def rest() -> None:
        await asyncio.sleep(0)

    left = rest()
    hook = HttpRequestHeadersHook(FLOW)
    prompt = Prompt(Play(lambda: [hook, send(b"too early")]), lambda _: left)
    assert seen(prompt) == [HttpRequestHeadersHook]
    assert prompt.begun == {hook: left}
    left.close()
    assert seen(prompt, events.HookCompleted(hook)) == [(CLIENT, b"too early")]


def test_a_crash_sends_what_was_before_it_and_leaves_other_hooks_to_the_handler() -> None:
    hook = HttpRequestHeadersHook(FLOW)
    crash = Play(lambda: [send(b"a"), HttpRequestHook(FLOW), ValueError("crashed")])
    other = Play(lambda: [hook])

    class Two(layer.Layer):
        def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
            yield from crash.handle_event(event)
            yield from other.handle_event(event)

    given = Prompt(Two(crash.context), at_once).handle_event(DATA)
    first, second = next(given), next(given)
    assert isinstance(first, commands.SendData)
    assert first.data == b"a"
    assert second is hook
    with pytest.raises(ValueError, match="crashed"):
        next(given)


def test_a_fault_that_is_no_exception_ends_the_event() -> None:
    def start(hook: commands.StartHook) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        seen(Prompt(Play(lambda: [HttpRequestHook(FLOW), send(b"never")]), start))
