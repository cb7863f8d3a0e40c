"""The last gate before a socket. Denies first, allows as its very last statement.

Theory: `server_connect` runs before mitmproxy resolves a name or opens a socket, for every kind of upstream
connection. The decision is made anew here from the client alone, so a stale or wrong edit of the flow cannot
open a way. In a drill the name is resolved by us, every address is checked, and the socket is opened to the
checked address. The connection then gets its name back, since mitmproxy reuses connections by name.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from mitmproxy import connection
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.current import Current
from addons.login import Logins
from addons.witness import Witness
from switchboard.dialing import (
    Plan,
    check_address,
    check_live_address,
    is_production_address,
    is_still_outside,
    plan,
)
from switchboard.switch import Member, Switch, parse_address


class Resolver(Protocol):
    async def __call__(self, host: str, port: int) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Pin:
    """What a connection was allowed for. `address` is None where production's side resolves by itself."""

    asked: tuple[str, int]
    plan: Plan
    address: tuple[str, int] | None


_MOST_LOOKUPS = 8


class Refused(Exception):
    """A dial that is not allowed; `str()` is the reason."""


class Dial:
    """`protected` are places of the switchboard's own (address, port) that nobody may dial through it."""

    def __init__(
        self,
        current: Current,
        logins: Logins,
        witness: Witness,
        *,
        resolver: Resolver,
        protected: frozenset[tuple[str, int]] = frozenset(),
    ) -> None:
        self._current = current
        self._logins = logins
        self._witness = witness
        self._resolve = resolver
        self._protected = protected
        self._lookups: Counter[str] = Counter()
        self.pins: dict[str, Pin] = {}

    async def server_connect(self, data: ServerConnectionHookData) -> None:
        server = data.server
        server.error = "denied: not yet decided"
        assert server.address is not None
        host, port = server.address[0], server.address[1]
        try:
            pin = await self._allow(data.client, host, port, tls=server.tls)
        except (Refused, OSError) as refusal:
            reason = str(refusal) if isinstance(refusal, Refused) else "name cannot be resolved"
            server.error = f"denied: {reason}"
            self._tell(data.client, reason)
            return
        self.pins[server.id] = pin
        if pin.address is not None:
            server.address = pin.address
        server.error = None

    def server_connected(self, data: ServerConnectionHookData) -> None:
        """Compare the peer with what was allowed; raises Refused, and the chain then severs everything."""
        server, switch = data.server, self._current.switch
        pin, peer = self.pins[server.id], server.peername
        if peer is None:
            raise Refused("no peer address")
        member = self._member(data.client, switch)
        production = is_production_address(peer[0], peer[1], switch=switch)
        if member is not None and not is_still_outside(member):
            drill = member.drill.id if member.drill else None
            self._witness.dialled(drill, (peer[0], peer[1]), production=production)
            if production or pin.plan.live:
                raise Refused("production's side reached from a drill")
        if pin.address is not None and parse_address(peer[0]) != parse_address(pin.address[0]):
            raise Refused("peer is not the address that was checked")
        if pin.plan.live and check_live_address(peer[0], peer[1], switch=switch) is not None:
            raise Refused("peer may not be reached through the proxy")
        # Connections are reused by name; `address` refuses to be set while open (mitmproxy connection.py).
        server.__dict__["address"] = pin.asked

    def server_connect_error(self, data: ServerConnectionHookData) -> None:
        self.pins.pop(data.server.id, None)

    def server_disconnected(self, data: ServerConnectionHookData) -> None:
        self.pins.pop(data.server.id, None)

    def _member(self, client: connection.Client, switch: Switch) -> Member | None:
        assert client.peername is not None
        return switch.member(client.peername[0], self._logins.user_behind(client.id))

    def _tell(self, client: connection.Client, reason: str) -> None:
        member = self._member(client, self._current.switch)
        if member is not None:
            self._witness.blocked(member.drill.id if member.drill else None, f"dial: {reason}")

    async def _allow(self, client: connection.Client, host: str, port: int, *, tls: bool) -> Pin:
        """Return the pin under which a dial is allowed; raises Refused or OSError."""
        while True:
            switch = self._current.switch
            planned = plan(host, port, member=self._member(client, switch), tls=tls, switch=switch)
            if isinstance(planned, str):
                raise Refused(planned)
            addresses = await self._look_up(client, planned)
            if self._current.switch is switch:  # else the world moved while we resolved: decide again
                return self._pin((host, port), planned, addresses=addresses, switch=switch)

    async def _look_up(self, client: connection.Client, planned: Plan) -> list[str]:
        """Resolve a name, a few at a time for each client, so that one's slow names leave room for the others."""
        address = client.peername[0]
        if self._lookups[address] >= _MOST_LOOKUPS:
            raise Refused("too many names at once")
        self._lookups[address] += 1
        try:
            return await self._resolve(planned.host, planned.port)
        finally:
            self._lookups[address] -= 1
            if not self._lookups[address]:
                del self._lookups[address]

    def _pin(self, asked: tuple[str, int], planned: Plan, *, addresses: list[str], switch: Switch) -> Pin:
        if not addresses:
            raise Refused("name has no address")
        for address in addresses:
            if (address, planned.port) in self._protected:
                raise Refused("the switchboard's own place")
            if planned.live:
                reason = check_live_address(address, planned.port, switch=switch)
            else:
                reason = check_address(address, planned.port, switch=switch, sandbox=planned.sandbox)
            if reason is not None:
                raise Refused(reason)
        if planned.live:
            led = (planned.host, planned.port) if (planned.host, planned.port) != asked else None
            return Pin(asked, planned, led)
        return Pin(asked, planned, (addresses[0], planned.port))
