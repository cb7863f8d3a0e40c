from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.connection import Server
from mitmproxy.exceptions import AddonHalt
from mitmproxy.proxy import layer, server_hooks
from mitmproxy.proxy.layers.http._hooks import HttpRequestHeadersHook
from mitmproxy.proxy.layers.tls import TlsStartServerHook
from mitmproxy.proxy.server_hooks import ServerConnectHook
from mitmproxy.test import tflow
from mitmproxy.tls import TlsData

from addons.chain import Chain, deny
from tests.addons.flows import Handled, a_client, a_dial, a_flow


class Panic(BaseException):
    """What is no Exception."""


FAULTS: list[Callable[[], BaseException]] = [RuntimeError, OSError, asyncio.CancelledError, AddonHalt, Panic]


class Addon:
    def __init__(self, fault: BaseException | None = None, *, later: bool = False) -> None:
        self._fault = fault
        self._later = later
        self.calls = 0

    def requestheaders(self, flow: http.HTTPFlow) -> Any:
        self.calls += 1
        return self._fail() if self._later else self._now()

    server_connect = tls_start_server = requestheaders

    def _now(self) -> None:
        if self._fault is not None:
            raise self._fault

    async def _fail(self) -> None:
        await asyncio.sleep(0)
        self._now()


def a_chain(*addons: Addon) -> tuple[Chain, list[str]]:
    faults: list[str] = []
    chain = Chain(on_fault=faults.append)
    chain.add(*addons)
    return chain, faults


async def test_addons_run_in_their_order_whether_they_wait_or_not() -> None:
    addons = [Addon(), Addon(later=True), Addon()]
    chain, faults = a_chain(*addons)
    await chain.run(HttpRequestHeadersHook(a_flow()), Handled(a_client()))
    assert [addon.calls for addon in addons] == [1, 1, 1]
    assert faults == []


@pytest.mark.parametrize("later", [False, True], ids=["at once", "after waiting"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_denies_counts_stops_the_rest_and_completes(
    fault: Callable[[], BaseException], later: bool
) -> None:
    after, flow = Addon(), a_flow()
    chain, faults = a_chain(Addon(fault(), later=later), after)
    await chain.run(HttpRequestHeadersHook(flow), Handled(flow.client_conn))
    assert flow.response is not None
    assert (flow.response.status_code, faults, after.calls) == (503, ["requestheaders"], 0)


@pytest.mark.parametrize("fault", [KeyboardInterrupt, SystemExit])
async def test_what_ends_the_process_denies_and_goes_on(fault: type[BaseException]) -> None:
    flow = a_flow()
    chain, _ = a_chain(Addon(fault()))
    with pytest.raises(fault):
        chain.start(HttpRequestHeadersHook(flow), Handled(flow.client_conn))
    assert flow.response is not None


async def test_a_dial_that_is_cancelled_is_denied_and_completes() -> None:
    """Else whoever waits for it would wait for ever (an edge cuts dials by cancelling them)."""
    entered = asyncio.Event()

    class Slow:
        async def server_connect(self, data: server_hooks.ServerConnectionHookData) -> None:
            entered.set()
            await asyncio.Event().wait()

    dial, chain = a_dial("www.cms.example", 443), Chain(on_fault=lambda name: None)
    chain.add(Slow())
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(chain.run(ServerConnectHook(dial), Handled(dial.client)))
        await entered.wait()
        task.cancel()
    assert dial.server.error == "denied: a hook failed"
    assert not task.cancelled()


async def test_a_fault_that_cannot_be_told_is_denied_all_the_same() -> None:
    def full(name: str) -> None:
        raise OSError(28, "No space left on device")

    flow, chain = a_flow(), Chain(on_fault=full)
    chain.add(Addon(RuntimeError()))
    await chain.run(HttpRequestHeadersHook(flow), Handled(flow.client_conn))
    assert flow.response is not None


async def test_tls_towards_a_server_has_no_session_after_a_fault() -> None:
    start = TlsData(conn=Server(address=("s", 1)), context=None, ssl_conn=object())  # type: ignore[arg-type]
    chain, _ = a_chain(Addon(RuntimeError()))
    await chain.run(TlsStartServerHook(start), Handled(a_client()))
    assert start.ssl_conn is None


@pytest.mark.parametrize("name", ["requestheaders", "request", "http_connect"])
def test_a_request_that_is_not_on_its_way_gets_503(name: str) -> None:
    flow = a_flow()
    flow.request.stream = True
    handler = Handled(flow.client_conn)
    deny(name, flow, handler)
    assert flow.response is not None
    assert flow.response.headers["x-hms-drill"] == 'reason="fault"'
    assert not flow.request.stream  # with a response and streaming mitmproxy would crash
    assert handler.ended == []


@pytest.mark.parametrize(
    "name", ["responseheaders", "response", "error", "websocket_message", "websocket_start", "http_connected"]
)
def test_what_is_on_its_way_ends_with_its_connection(name: str) -> None:
    flow = tflow.tflow(resp=True)
    flow.live = True
    handler = Handled(flow.client_conn)
    deny(name, flow, handler)
    assert flow.error is not None
    assert handler.ended == ["severed"]


def test_a_client_is_refused() -> None:
    client = a_client()
    handler = Handled(client)
    deny("client_connected", client, handler)
    assert client.error == "denied: a hook failed"


@pytest.mark.parametrize("name", ["server_connected", "server_disconnected", "server_connect_error"])
def test_a_server_connection_that_exists_ends_with_everything(name: str) -> None:
    dial = a_dial("www.cms.example", 443)
    handler = Handled(dial.client)
    deny(name, dial, handler)
    assert handler.ended == ["severed"]


def test_whatever_else_a_hook_is_about_ends_with_its_connection() -> None:
    handler = Handled(a_client())
    deny("next_layer", layer.NextLayer, handler)
    assert handler.ended == ["severed"]
