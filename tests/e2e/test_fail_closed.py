"""A fault in any hook, of any kind, never lets a byte of a drill reach production.

mitmproxy's own dispatcher logs a fault and forwards the flow unchanged (LEAKS PX-01), so every hook is broken
here in turn, before and after the product's own addons, under every kind of request.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio
from mitmproxy import hooks
from mitmproxy.exceptions import AddonHalt

from tests.e2e.shapes import FAILING, SHAPES, outcomes
from tests.e2e.stage import Stage, curl, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Panic(BaseException):
    """What is no Exception: the like of KeyboardInterrupt, without ending the test run."""


FAULTS: dict[str, Callable[[], BaseException]] = {
    "error": lambda: RuntimeError("broken"),
    "full disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "cancelled": asyncio.CancelledError,
    "halt": AddonHalt,
    "panic": Panic,
}

FIRED = [
    *("client_connected", "client_disconnected", "next_layer", "tls_clienthello"),
    *("tls_start_client", "tls_established_client", "tls_failed_client"),
    *("http_connect", "http_connected", "http_connect_error", "requestheaders", "request"),
    *("server_connect", "server_connected", "server_connect_error", "server_disconnected"),
    *("tls_start_server", "tls_established_server", "tls_failed_server"),
    *("responseheaders", "response", "error", "websocket_start", "websocket_message", "websocket_end"),
]
# mitmproxy knows them, but nothing of a member ever gets that far.
NEVER = {
    "raw TCP and UDP are refused": ("tcp_", "udp_", "quic_", "dns_", "socks5_"),
    "no upstream proxy": ("http_connect_upstream",),
    "belong to the master": ("add_log", "configure", "done", "load", "running", "update"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("scene")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def drill(scene: Stage) -> AsyncIterator[Stage]:
    """A running drill, begun after the same requests were seen to reach production (a dead sink proves nothing)."""
    await reaches_production(scene)
    await scene.start()
    await asyncio.sleep(0.02)
    scene.silence()
    try:
        yield scene
    finally:
        await scene.end()


@contextmanager
def broken(scene: Stage, hook: str, position: str, fault: BaseException) -> Iterator[list[str]]:
    """Put an addon that fails into one hook, before or after all others; gives the list of its calls."""
    fired: list[str] = []

    def fails(data: Any) -> None:
        fired.append(hook)
        raise fault

    async def fails_later(data: Any) -> None:
        fired.append(hook)
        await asyncio.sleep(0)
        raise fault

    chain = scene.worker.chain.hooks
    before = chain.get(hook)
    chain[hook] = [fails, *(before or ())] if position == "first" else [*(before or ()), fails_later]
    try:
        yield fired
    finally:
        if before is None:
            del chain[hook]
        else:
            chain[hook] = before


async def reaches_production(scene: Stage) -> None:
    """Show that the same requests reach production outside a drill, so that a dead sink proves nothing."""
    found = await outcomes(SHAPES, scene)
    assert {name: answer and answer.side for name, answer in found.items()} == dict.fromkeys(SHAPES, "prod")


@pytest.mark.parametrize("position", ["first", "last"])
@pytest.mark.parametrize("hook", FIRED)
async def test_a_fault_in_a_hook_reaches_nothing_of_production(drill: Stage, hook: str, position: str) -> None:
    fired: list[str] = []
    for name, fault in FAULTS.items():
        with broken(drill, hook, position, fault()) as calls:
            found = await outcomes({**SHAPES, **FAILING}, drill)
            await asyncio.sleep(0.01)
        fired += calls
        hung = [shape for shape, answer in found.items() if answer is None]
        assert not hung, f"{name}: clients left hanging: {hung}"
        assert not [shape for shape, answer in found.items() if answer and answer.side == "prod"]
        books = drill.prod.books
        assert books.silent, f"{name}: {books.connections} connections, {books.bytes} bytes"
    assert fired, f"{hook} never fired: this proved nothing"
    found = await outcomes(SHAPES, drill)
    assert {name: answer and answer.side for name, answer in found.items()} == dict.fromkeys(SHAPES, "sandbox")
    assert drill.prod.books.silent


async def test_every_hook_of_mitmproxy_is_broken_or_known_never_to_fire(scene: Stage) -> None:
    never = tuple(prefix for prefixes in NEVER.values() for prefix in prefixes)
    known = set(hooks.all_hooks)
    assert {name for name in known if not name.startswith(never)} == set(FIRED)
    assert {name for name in scene.worker.chain.hooks if not name.startswith(never)} <= set(FIRED)


async def test_every_fault_is_counted_by_its_hook(drill: Stage) -> None:
    before = drill.worker.witness.totals["fault:requestheaders"]
    with broken(drill, "requestheaders", "last", RuntimeError("broken")) as calls:
        await outcomes(SHAPES, drill)
    assert drill.worker.witness.totals["fault:requestheaders"] - before == len(calls) == len(SHAPES)


async def test_a_fault_before_the_dial_is_answered_with_503_and_its_reason(drill: Stage) -> None:
    with broken(drill, "requestheaders", "last", RuntimeError("broken")):
        found = await outcomes(SHAPES, drill)
    assert {(answer.status, answer.reason) for answer in found.values() if answer} == {(503, "fault")}


class FullDisk(logging.Handler):
    """A log on a full disk, which does not hide its errors as logging's own handlers do."""

    def emit(self, record: logging.LogRecord) -> None:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(record.getMessage().encode())


@pytest.mark.parametrize("hook", ["requestheaders", "server_connect", "next_layer", "responseheaders"])
async def test_a_fault_that_cannot_even_be_logged_reaches_nothing_of_production(drill: Stage, hook: str) -> None:
    handler = FullDisk()
    logging.getLogger().addHandler(handler)
    try:
        with broken(drill, hook, "last", RuntimeError("broken")) as calls:
            found = await outcomes(SHAPES, drill)
    finally:
        logging.getLogger().removeHandler(handler)
    assert calls
    assert None not in found.values()
    assert drill.prod.books.silent


async def test_a_witness_that_fails_reaches_nothing_of_production(
    drill: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for name in ("blocked", "removed", "dialled", "fault", "recorder", "refused"):
        monkeypatch.setattr(type(drill.worker.witness), name, full)
    found = await outcomes({**SHAPES, **FAILING}, drill)
    assert None not in found.values()
    assert drill.prod.books.silent
    monkeypatch.undo()


async def test_curl_sees_a_refusal_and_not_production_while_a_hook_is_broken(drill: Stage) -> None:
    through = ("-x", f"http://127.0.0.1:{drill.proxy}", "http://www.cms.example/echo")
    assert '"side":"sandbox"' in (await curl(*through))[1]
    with broken(drill, "requestheaders", "first", RuntimeError("broken")):
        _, text = await curl(*through)
    assert text.endswith("\n503")
    assert drill.prod.books.silent
