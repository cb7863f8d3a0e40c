"""Dispatch of hooks that fails closed.

Theory: mitmproxy's own dispatcher logs an addon's exception and lets the flow go on unchanged, which in a
drill means to production with the real credentials (LEAKS PX-01). Here a fault in any hook, of any kind
(an error, a full disk, a cancelled task), denies the very thing the hook was asked about, stops the rest of
the chain and is counted. `deny` must not need anything but the hook's own argument.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import fields
from functools import lru_cache
from typing import Any, Protocol

from mitmproxy import connection, hooks, http, tls
from mitmproxy.proxy import commands, server_hooks

logger = logging.getLogger(__name__)

Hook = Callable[[Any], Any]


class Severable(Protocol):
    """What `deny` needs of a connection handler: to end it and all its upstream connections at once."""

    def sever(self) -> None: ...


class Chain:
    """The addons in their fixed order, their hooks looked up once.

    `on_fault(hook name)` is called for every fault, so that it shows on the leak report.
    """

    def __init__(self, *, on_fault: Callable[[str], None]) -> None:
        self._on_fault = on_fault
        self.hooks: dict[str, list[Hook]] = {}

    def add(self, *addons: object) -> None:
        """Append addons to the chain."""
        for addon in addons:
            for name in hooks.all_hooks:
                hook = getattr(addon, name, None)
                if callable(hook):
                    self.hooks.setdefault(name, []).append(hook)

    async def run(self, hook: commands.StartHook, handler: Severable) -> None:
        """Run one hook through all addons; on a fault deny, count, and stop."""
        rest = self.start(hook, handler)
        if rest is not None:
            await rest

    def start(self, hook: commands.StartHook, handler: Severable) -> Coroutine[Any, Any, None] | None:
        """Run one hook as `run` does until an addon has to wait; return what is left, None when it is through."""
        data = _subject(hook)
        calls = iter(self.hooks.get(hook.name, ()))
        try:
            for call in calls:
                result = call(data)
                if result is not None and inspect.isawaitable(result):
                    return self._finish(result, calls, hook=hook, handler=handler)
        except BaseException as fault:
            self._failed(hook.name, data, handler=handler, fault=fault)
        return None

    async def _finish(
        self, waiting: Awaitable[Any], calls: Iterator[Hook], *, hook: commands.StartHook, handler: Severable
    ) -> None:
        data = _subject(hook)
        try:
            await waiting
            for call in calls:
                result = call(data)
                if result is not None and inspect.isawaitable(result):
                    await result
        except BaseException as fault:
            self._failed(hook.name, data, handler=handler, fault=fault)

    def _failed(self, name: str, data: Any, *, handler: Severable, fault: BaseException) -> None:
        try:
            deny(name, data, handler)
        except Exception:  # what cannot even be denied takes its connection with it
            handler.sever()
        self._tell(name, fault)
        if _must_go_on(name, fault):
            raise fault  # what it was about is denied already

    def _tell(self, name: str, fault: BaseException) -> None:
        try:
            self._on_fault(name)
            # The type only: messages and tracebacks of a flow may hold secrets (LEAKS DT-04).
            logger.error("hook %s failed closed: %s", name, type(fault).__name__)
        except Exception:  # telling may fail too (a full disk); the denial above stands by itself
            logging.lastResort = None


def _must_go_on(name: str, fault: BaseException) -> bool:
    """Return whether a fault ends more than its hook: the process, or a task that someone has cancelled.

    Every other hook has to complete, or the client is left hanging: a flow that waits for it gets no answer. A
    dial cut by an edge completes too; it is denied, and whoever waits for it gets an answer with headers.
    """
    if isinstance(fault, asyncio.CancelledError):
        task = asyncio.current_task()
        return name != "server_connect" and task is not None and task.cancelling() > 0
    return isinstance(fault, KeyboardInterrupt | SystemExit)


def _subject(hook: commands.StartHook) -> Any:
    """Return what a hook is about: the one field that every hook has."""
    kind: Any = type(hook)
    return getattr(hook, _subject_name(kind))


@lru_cache
def _subject_name(kind: Any) -> str:
    (field,) = fields(kind)
    return field.name


def deny(name: str, data: Any, handler: Severable) -> None:
    """Deny what a hook was asked about, so that nothing of it reaches a server."""
    if isinstance(data, http.HTTPFlow):
        _deny_flow(name, data, handler)
    elif isinstance(data, server_hooks.ServerConnectionHookData) and name == "server_connect":
        data.server.error = "denied: a hook failed"
    elif isinstance(data, connection.Client) and name == "client_connected":
        data.error = "denied: a hook failed"
    elif isinstance(data, tls.TlsData) and name in ("tls_start_client", "tls_start_server"):
        data.ssl_conn = None  # mitmproxy then fails the connection
    else:
        handler.sever()


def _deny_flow(name: str, flow: http.HTTPFlow, handler: Severable) -> None:
    flow.request.stream = False
    if name in ("requestheaders", "request", "http_connect") and flow.server_conn.timestamp_start is None:
        # Not on its way yet: an answer of our own takes the place of the dial.
        flow.response = http.Response.make(
            503, b"HMS-ESR: blocked: the switchboard failed closed\n", {"X-HMS-Drill": 'reason="fault"'}
        )
        flow.metadata.pop("esr", None)
        return
    # A request that may already be half way, or an answer that was not cleaned: end both sides.
    if flow.killable:
        flow.kill()
    handler.sever()
