"""Flows, connections and a worker's parts for tests of one addon, without a socket."""

from __future__ import annotations

from dataclasses import dataclass, field

from mitmproxy import http
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test import tflow

from addons.answers import Answers
from addons.current import Current
from addons.edge import Edge
from addons.forward import Forward
from addons.login import Logins
from addons.mocking import Mocks
from addons.reroute import Reroute
from addons.witness import Witness
from switchboard.drill import Phase
from switchboard.pocket_memory import MemoryStore
from switchboard.pockets import Pockets
from switchboard.seal import Seal
from switchboard.switch import Switch
from tests.switchboard.estates import MEMBER, a_drill, a_switch

PASSWORDS = {"agent-1": "open-sesame", "agent-2": "open-barley"}


@dataclass
class Handled:
    """A connection handler as the addons see one; `ended` says how it was."""

    client: Client
    ended: list[str] = field(default_factory=list)
    gone: dict[str, Handled] | None = None

    def sever(self) -> None:
        self._end("severed")

    def close(self) -> None:
        self._end("closed")

    def cut_upstream(self) -> None:
        self.ended.append("cut upstream")

    async def cut(self, flow: http.HTTPFlow) -> None:
        self.ended.append("cut")

    def _end(self, how: str) -> None:
        self.ended.append(how)
        if self.gone is not None:
            self.gone.pop(self.client.id, None)


def a_client(address: str = MEMBER) -> Client:
    client = tflow.tclient_conn()
    client.peername = (address, 50_000)
    return client


def a_flow(
    url: str = "http://www.cms.example/", *, client: str = MEMBER, fields: dict[str, str] | None = None
) -> http.HTTPFlow:
    """Return a flow as `requestheaders` gets it: nothing dialled yet, TLS to the client where the URL is https."""
    flow = tflow.tflow(client_conn=a_client(client))
    flow.request = http.Request.make("GET", url)
    flow.request.headers["host"] = flow.request.host
    for name, value in (fields or {}).items():
        flow.request.headers[name] = value
    flow.server_conn.timestamp_start = None
    is_tls = url.startswith("https:")
    flow.client_conn.tls, flow.client_conn.sni = is_tls, flow.request.host if is_tls else None
    return flow


def a_dial(host: str, port: int, *, client: str = MEMBER, tls: bool = False) -> ServerConnectionHookData:
    server = Server(address=(host, port))
    server.tls = tls
    return ServerConnectionHookData(server=server, client=a_client(client))


def running(phase: Phase = Phase.RUNNING) -> Switch:
    return a_switch(a_drill(phase))


class Parts:
    """The parts of a worker around `reroute`."""

    def __init__(self, switch: Switch | None = None, *, hold_s: float = 0.01) -> None:
        self.current = Current(switch or running())
        self.logins = Logins(PASSWORDS)
        self.witness = Witness("proxy-test", clock=lambda: 1.0)
        self.handlers: dict[str, Handled] = {}
        self.edge = Edge(self.handlers, self.logins)  # type: ignore[arg-type]
        seal, store = Seal(bytes(32)), MemoryStore()
        self.pockets = Pockets(store, seal)
        self.mocks = Mocks(self.current, self.witness, self.edge, store=store, seal=seal, files={})
        self.forward = Forward(self.witness, self.pockets)
        self.reroute = Reroute(
            self.current,
            self.logins,
            self.witness,
            edge=self.edge,
            forward=self.forward,
            mocks=self.mocks,
            hold_s=hold_s,
        )
        self.answers = Answers(self.current, self.witness, edge=self.edge, pockets=self.pockets)

    def handled(self, client: Client) -> Handled:
        """Register a connection."""
        found = Handled(client, gone=self.handlers)
        self.handlers[client.id] = found
        return found
