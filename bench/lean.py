"""Our side as a process: one worker under the full policy, or the same lean proxy with no policy at all.

The second has the same doors, chain and connection handler; its only addon reads HTTP and streams answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from mitmproxy import http, options
from mitmproxy.addons import core, proxyserver
from mitmproxy.master import Master
from mitmproxy.proxy import layer
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.chain import Chain
from addons.doors import Doors
from addons.light import rest_memory
from addons.reading import HttpReader
from bench import child
from bench.scene import ORIGIN, document
from switchboard.estate import Estate, Secret
from switchboard.estate_file import parse_estate
from switchboard.policy import compile_switch
from switchboard.proxy import OPTIONS, worker
from switchboard.store import Store
from switchboard.switch import compile_worlds


class NoPolicy:
    """Proxy whatever is asked for, as it came; every name leads to the origin."""

    def __init__(self, origin: tuple[str, int]) -> None:
        self._origin = origin
        self._asked: dict[str, object] = {}

    def server_connect(self, data: ServerConnectionHookData) -> None:
        self._asked[data.server.id] = data.server.address
        data.server.address = self._origin

    def server_connected(self, data: ServerConnectionHookData) -> None:
        # mitmproxy reuses a connection by the name that was asked for.
        data.server.__dict__["address"] = self._asked.pop(data.server.id)

    def next_layer(self, pending: layer.NextLayer) -> None:
        pending.layer = HttpReader(pending.context, HTTPMode.regular)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        flow.response.stream = True


async def _lookup(host: str, port: int) -> list[str]:
    return [ORIGIN]


@asynccontextmanager
async def _without_policy(estate: Estate, given: child.Line) -> AsyncIterator[list[tuple[str, int]]]:
    master = Master(options.Options())
    master.addons.add(core.Core(), proxyserver.Proxyserver())
    known = master.options.keys()
    master.options.update(**{name: value for name, value in OPTIONS.items() if name in known})
    chain = Chain(on_fault=lambda hook: None)
    chain.add(NoPolicy((ORIGIN, given["http"])))
    doors = Doors(chain=chain, opts=master.options)
    try:
        yield [await doors.open(listener) for listener in estate.listeners.proxy]
    finally:
        doors.shut()
        await doors.close_all(limit_s=1.0)


@asynccontextmanager
async def _with_policy(estate: Estate, given: child.Line) -> AsyncIterator[list[tuple[str, int]]]:
    twins = {
        name: {at: rule.twin.value or "" for at, rule in enumerate(target.credentials) if isinstance(rule.twin, Secret)}
        for name, target in estate.targets.items()
    }
    switch = compile_switch(estate, document(), worlds=compile_worlds(estate, twins))
    async with (
        Store.open(given["redis"]) as store,
        worker(switch, state=Path(given["state"]), resolver=_lookup, store=store) as running,
    ):
        yield running.addresses


async def _serve(given: child.Line) -> None:
    run = _with_policy if given["policy"] else _without_policy
    rest_memory()
    async with run(parse_estate(given["estate"], "switchboard.yml"), given) as addresses:
        child.say(port=addresses[0][1])
        await child.parent_gone()


def _main() -> None:
    uvloop.run(_serve(child.first_line()))


if __name__ == "__main__":
    _main()
