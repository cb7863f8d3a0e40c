"""The runtime rows of LEAKS 4.10: what a worker does while it starts, stops, stalls or is configured by others."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mitmproxy import ctx

from addons.dial import Dial, Resolver
from switchboard import proxy_node
from switchboard.drill import Phase, SwitchDocument
from switchboard.errors import Unavailable
from switchboard.estate import Listener
from switchboard.node import NodeState
from switchboard.pocket_memory import MemoryStore
from tests.e2e import asking
from tests.e2e.shapes import SHAPES, forged, outcomes
from tests.e2e.stage import MEMBER, OUTSIDER, Stage, drilled, held_port, lookup, stage

GET = b"GET http://www.cms.example/echo HTTP/1.1\r\nHost: www.cms.example\r\n\r\n"


class Shelf(MemoryStore):
    """A store in memory. `present` is set when the switch may be read, `gone` when a node may say goodbye."""

    def __init__(self, document: SwitchDocument | None) -> None:
        super().__init__()
        self.document = document
        self.present, self.gone = asyncio.Event(), asyncio.Event()
        self.acknowledged: list[int] = []

    async def read_switch(self) -> SwitchDocument | None:
        await self.present.wait()
        return self.document

    async def watch_switch(self, *, after: int = -1, poll_s: float = 0.25) -> AsyncIterator[SwitchDocument]:
        await asyncio.Event().wait()
        yield SwitchDocument()

    async def acknowledge(self, node: NodeState) -> None:
        self.acknowledged.append(node.epoch)

    async def add_score(self, drill_id: str, delta: object) -> bool:
        return True

    async def goodbye(self, node_id: str, incarnation: str | None = None) -> bool:
        await self.gone.wait()
        return True


@asynccontextmanager
async def node(scene: Stage, shelf: Shelf) -> AsyncIterator[SimpleNamespace]:
    """Run `serve` on a port of its own beside a scene whose worker is not used."""
    stop, bound = asyncio.Event(), asyncio.Event()
    with held_port("127.0.0.1") as port:
        door = Listener(mode="regular", host="127.0.0.1", port=port)
        listeners = scene.estate.listeners.model_copy(update={"proxy": (door,)})
        serve = proxy_node.serve(
            scene.estate.model_copy(update={"listeners": listeners}),
            store=shelf,  # type: ignore[arg-type]
            node_id="proxy-1",
            incarnation="one",
            state=scene.folder,
            supplies=proxy_node.Supplies(),
            stop=stop,
            on_bound=lambda addresses: bound.set(),
        )
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(serve)
            try:
                yield SimpleNamespace(port=port, stop=stop, bound=bound, serving=serving)
            finally:
                stop.set()
                shelf.present.set()
                shelf.gone.set()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
async def sandbox_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers made by `serve` know the sandbox's names, as a hosts file would."""
    made = Dial.__init__

    def with_names(self: Dial, *parts: Any, resolver: Resolver, protected: frozenset[tuple[str, int]]) -> None:
        made(self, *parts, resolver=lookup, protected=protected)

    monkeypatch.setattr(Dial, "__init__", with_names)


async def test_the_listener_opens_only_after_the_switch_is_loaded(tmp_path: Path, sandbox_names: None) -> None:
    """PX-03."""
    async with stage(tmp_path) as scene:
        shelf = Shelf(drilled(Phase.RUNNING, epoch=5))
        async with asyncio.timeout(10), node(scene, shelf) as worker:
            for _ in range(20):
                await asyncio.sleep(0.005)
                assert not is_open(worker.port)
            assert shelf.acknowledged == [0], "it registers before it reads, so that a start waits for it"
            shelf.present.set()
            await worker.bound.wait()
            assert shelf.acknowledged[1] == 5
            async with asking.line(worker.port) as line:
                assert (await line.ask(GET)).side == "sandbox"
        assert scene.prod.books.silent


async def test_a_worker_that_cannot_ask_for_the_switch_never_opens(tmp_path: Path) -> None:
    """PX-03: no store, no listener; what a node had before is no reason to guess."""

    class Away(Shelf):
        async def read_switch(self) -> SwitchDocument | None:
            raise Unavailable("redis cannot be reached")

    ports: list[int] = []

    async def begin(scene: Stage) -> None:
        async with node(scene, Away(None)) as worker:
            ports.append(worker.port)
            await worker.serving

    async with stage(tmp_path) as scene:
        with pytest.raises(ExceptionGroup) as failure:
            await begin(scene)
        assert failure.group_contains(Unavailable)
        assert not is_open(ports[0])


async def test_a_worker_that_stops_refuses_first_and_then_says_goodbye(tmp_path: Path, sandbox_names: None) -> None:
    """PX-04: under a loop of requests, none reaches production and none is accepted after the doors are shut."""
    async with stage(tmp_path) as scene:
        shelf = Shelf(drilled(Phase.RUNNING, epoch=5))
        shelf.present.set()
        async with asyncio.timeout(10), node(scene, shelf) as worker:
            await worker.bound.wait()
            sides: list[str] = []

            async def trainee() -> None:
                while True:
                    try:
                        async with asking.line(worker.port) as line:
                            sides.append((await line.ask(GET)).side)
                    except ConnectionRefusedError:
                        return
                    except OSError:
                        await asyncio.sleep(0)

            async with asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(trainee())
                await asyncio.sleep(0.1)
                worker.stop.set()
            assert not worker.serving.done()  # it has yet to say goodbye, with its doors shut
            shelf.gone.set()
            await worker.serving
        assert set(sides) <= {"sandbox", ""}
        assert sides.count("sandbox") > 4
        assert scene.prod.books.silent


@pytest.mark.parametrize("place", ["home", "own folder"])
async def test_a_configuration_file_of_mitmproxy_has_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """PX-06: `ignore_hosts` would tunnel everything unread, straight to production."""
    home, state = tmp_path / "home", tmp_path / "state"
    state.mkdir()
    folder = home / ".mitmproxy" if place == "home" else state / "mitmproxy"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("ignore_hosts: ['.*']\nssl_insecure: true\nrawtcp: true\nmode: [transparent]\n")
    monkeypatch.setenv("HOME", str(home))
    async with stage(state) as scene:
        assert scene.worker.attest() == []
        await scene.start()
        found = await outcomes(SHAPES, scene)
        assert {answer and answer.side for answer in found.values()} == {"sandbox"}
        assert scene.prod.books.silent


async def test_the_chain_is_fixed_and_the_dial_is_alone_with_its_hook(tmp_path: Path) -> None:
    """PX-07: nothing can run after the last gate, and nothing before it can skip it."""
    async with stage(tmp_path) as scene:
        hooks = scene.worker.chain.hooks
        assert [hook.__self__.__class__ for hook in hooks["server_connect"]] == [Dial]  # type: ignore[attr-defined]
        assert [hook.__self__.__class__.__name__ for hook in hooks["requestheaders"]] == ["Reroute"]  # type: ignore[attr-defined]


async def test_there_is_no_store_of_flows_and_nothing_to_send_one_again(tmp_path: Path) -> None:
    """PX-14 and PX-17: only the addons that are needed; commands such as `replay.client` do not exist."""
    async with stage(tmp_path):
        assert {type(addon).__name__ for addon in ctx.master.addons.chain} == {"Core", "Proxyserver", "Trust"}
        assert not [
            name
            for name in ctx.master.commands.commands
            if name.startswith(("replay", "export", "save", "view", "script"))
        ]


@pytest.mark.parametrize("place", ["127.0.1.1", "127.0.0.9"], ids=["production's address", "outside the networks"])
async def test_a_name_of_the_sandbox_that_leads_elsewhere_is_never_dialled(tmp_path: Path, place: str) -> None:
    """PX-08: by a typo, a hosts file or a rebinding name server; whatever listens there hears nothing."""
    reached: list[str] = []

    async def astray(host: str, port: int) -> list[str]:
        return [place if host.startswith("sandbox") else host]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("peername")[0])
        writer.close()

    async with stage(tmp_path, resolver=astray) as scene:
        before = await outcomes(SHAPES, scene)
        assert {answer and answer.side for answer in before.values()} == {"prod"}
        plain = await asyncio.start_server(serve, place, scene.sandbox.http_port)
        secure = await asyncio.start_server(serve, place, scene.sandbox.tls_port)
        async with plain, secure:
            await scene.start()
            scene.silence()
            found = await outcomes(SHAPES, scene)
        assert {answer and answer.status for answer in found.values()} == {502}
        assert reached == []
        assert scene.prod.books.silent


async def test_a_server_in_the_sandbox_that_shows_productions_certificate_hears_no_request(tmp_path: Path) -> None:
    """Lock 2: a drill trusts its target's authority only, so TLS ends before a byte of HTTP (LEAKS S1)."""
    async with stage(tmp_path) as scene:
        await scene.start()
        async with asyncio.timeout(5):
            answer = await forged(scene)
        assert answer.status == 502
        assert scene.forged.books.connections == 1
        assert scene.forged.books.requests == 0
        assert scene.prod.books.silent


async def test_a_stalled_loop_at_an_edge_lets_nothing_through(tmp_path: Path) -> None:
    """PX-09: requests that pile up while nothing moves are decided by the switch that holds when they are read."""
    async with stage(tmp_path) as scene:
        async with asyncio.timeout(10), AsyncExitStack() as lines, asyncio.TaskGroup() as tasks:
            waiting = [await lines.enter_async_context(asking.line(scene.proxy)) for _ in range(5)]
            await scene.move(Phase.ARMING)
            late = [await lines.enter_async_context(asking.line(scene.proxy)) for _ in range(5)]
            tasks.create_task(scene.move(Phase.RUNNING))
            for line in (*waiting, *late):
                line.writer.write(GET)
            time.sleep(0.5)  # noqa: ASYNC251
            sides = [(await line.answer()).side for line in (*waiting, *late)]
        assert sides == [""] * 5 + ["sandbox"] * 5
        assert scene.prod.books.requests == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("connect_addr", "127.0.0.1"),
        ("ignore_hosts", [".*"]),
        ("allow_hosts", ["x"]),
        ("rawtcp", True),
        ("ssl_insecure", True),
        ("connection_strategy", "eager"),
        ("stream_large_bodies", "1m"),
        ("validate_inbound_headers", False),
    ],
)
async def test_an_option_that_was_changed_stops_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: object
) -> None:
    """PX-06 and PX-16."""
    monkeypatch.setattr(proxy_node, "ATTEST_S", 0.01)
    ports: list[int] = []

    async def change(scene: Stage) -> None:
        shelf = Shelf(SwitchDocument())
        shelf.present.set()
        shelf.gone.set()
        async with asyncio.timeout(5), node(scene, shelf) as worker:
            ports.append(worker.port)
            await worker.bound.wait()
            ctx.master.options.update(**{option: value})
            await worker.serving

    async with stage(tmp_path) as scene:
        with pytest.raises(ExceptionGroup) as failure:
            await change(scene)
        assert failure.group_contains(Unavailable, match=f"mitmproxy options were changed: {option}")
        assert not is_open(ports[0])


async def test_a_stranger_is_refused_and_a_member_and_an_outsider_are_not(tmp_path: Path) -> None:
    async with stage(tmp_path) as scene:
        for client, status in ((MEMBER, 200), (OUTSIDER, 200), ("127.0.3.3", 0)):
            async with asyncio.timeout(5), asking.line(scene.proxy, client=client) as line:
                assert (await line.ask(GET)).status == status


async def test_a_worker_that_finds_no_switch_anywhere_waits_for_one(tmp_path: Path) -> None:
    """CP-05: an empty store is no reason to believe that nobody is in a drill."""
    async with stage(tmp_path) as scene:
        shelf = Shelf(None)
        shelf.present.set()
        shelf.gone.set()
        async with asyncio.timeout(10), node(scene, shelf) as worker:
            await asyncio.sleep(0.3)
            assert not is_open(worker.port)
            assert not worker.serving.done()
            shelf.document = SwitchDocument(epoch=3)
            await worker.bound.wait()
            assert shelf.acknowledged == [0, 3]
            worker.stop.set()


async def test_a_worker_keeps_the_switch_it_started_with(tmp_path: Path, sandbox_names: None) -> None:
    """CP-03: a worker that joined late stays in the drill when the store then loses everything."""
    async with stage(tmp_path) as scene:
        shelf = Shelf(drilled(Phase.RUNNING, epoch=5))
        shelf.present.set()
        shelf.gone.set()
        async with asyncio.timeout(10), node(scene, shelf) as worker:
            await worker.bound.wait()
            worker.stop.set()
            await worker.serving
        lost = Shelf(None)
        lost.present.set()
        lost.gone.set()
        async with asyncio.timeout(10), node(scene, lost) as worker:
            await worker.bound.wait()
            async with asking.line(worker.port) as line:
                assert (await line.ask(GET)).side == "sandbox"
            worker.stop.set()
        assert scene.prod.books.silent
