from __future__ import annotations

from dataclasses import replace

import pytest
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from addons.dial import Dial, Refused, Resolver
from switchboard.drill import Phase, SwitchDocument
from tests.addons.flows import Parts, a_dial, running
from tests.switchboard.estates import MEMBER, OUTSIDER

PLACE = ("sandbox-mfe.test", 8080)


def resolving(*addresses: str) -> Resolver:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


def a_gate(parts: Parts, *addresses: str) -> Dial:
    return Dial(parts.current, parts.logins, parts.witness, resolver=resolving(*addresses))


def opened(dial: ServerConnectionHookData, peer: str, port: int = 8080) -> ServerConnectionHookData:
    dial.server.peername = (peer, port)
    return dial


@pytest.mark.parametrize(
    ("addresses", "error"),
    [
        (["10.90.0.7"], None),
        (["10.90.0.7", "10.90.0.8"], None),
        (["203.0.113.5"], "denied: production address"),
        (["10.90.0.7", "203.0.113.5"], "denied: production address"),
        (["127.0.1.1"], "denied: address outside the target's networks"),
        (["::ffff:203.0.113.5"], "denied: production address"),
        (["169.254.169.254"], "denied: link-local, multicast or unspecified address"),
        ([], "denied: name has no address"),
    ],
)
async def test_a_name_of_the_sandbox_is_dialled_only_where_every_address_is_the_sandboxs(
    addresses: list[str], error: str | None
) -> None:
    dial = a_dial(*PLACE)
    await a_gate(Parts(), *addresses).server_connect(dial)
    assert dial.server.error == error
    assert dial.server.address == (PLACE if error else (addresses[0], 8080))


@pytest.mark.parametrize("place", [("www.cms.example", 443), ("203.0.113.5", 443), ("elsewhere.example", 80)])
async def test_a_drill_dials_nothing_but_its_places(place: tuple[str, int]) -> None:
    dial = a_dial(*place)
    gate = a_gate(Parts(), "10.90.0.7")
    await gate.server_connect(dial)
    assert dial.server.error is not None
    assert dial.server.address == place
    assert gate.pins == {}


async def test_a_name_that_cannot_be_resolved_is_denied() -> None:
    async def broken(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    dial, parts = a_dial(*PLACE), Parts()
    await Dial(parts.current, parts.logins, parts.witness, resolver=broken).server_connect(dial)
    assert dial.server.error == "denied: name cannot be resolved"


async def test_a_fault_while_resolving_leaves_the_denial_in_place() -> None:
    async def broken(host: str, port: int) -> list[str]:
        raise RuntimeError

    dial, parts = a_dial(*PLACE), Parts()
    with pytest.raises(RuntimeError):
        await Dial(parts.current, parts.logins, parts.witness, resolver=broken).server_connect(dial)
    assert dial.server.error == "denied: not yet decided"


async def test_a_world_that_moves_while_a_name_resolves_is_decided_anew() -> None:
    parts = Parts(running(Phase.ENDED))

    async def moving(host: str, port: int) -> list[str]:
        switch = running()
        parts.current.apply(replace(switch, document=SwitchDocument(epoch=8, drills=switch.document.drills)))
        return ["203.0.113.5"]

    dial = a_dial("www.cms.example", 443, tls=True)
    await Dial(parts.current, parts.logins, parts.witness, resolver=moving).server_connect(dial)
    assert dial.server.error == "denied: production or denied host"


async def test_a_connection_gets_its_name_back_once_it_is_open() -> None:
    dial, gate = a_dial(*PLACE), a_gate(Parts(), "10.90.0.7")
    await gate.server_connect(dial)
    gate.server_connected(opened(dial, "10.90.0.7"))
    assert dial.server.address == PLACE


@pytest.mark.parametrize(
    ("peer", "reason"),
    [
        ("10.90.0.8", "peer is not the address that was checked"),
        ("203.0.113.5", "production's side reached from a drill"),
    ],
)
async def test_a_peer_that_is_not_the_one_checked_is_refused(peer: str, reason: str) -> None:
    dial, gate = a_dial(*PLACE), a_gate(Parts(), "10.90.0.7")
    await gate.server_connect(dial)
    with pytest.raises(Refused, match=reason):
        gate.server_connected(opened(dial, peer))


@pytest.mark.parametrize(
    ("phase", "refused"), [(Phase.ARMING, False), (Phase.RUNNING, True)], ids=["while arming", "once running"]
)
async def test_a_dial_to_production_that_an_edge_overtakes(phase: Phase, refused: bool) -> None:
    """What is in flight finishes where it began, but never inside a running drill."""
    parts = Parts(running(Phase.ENDED))
    gate, dial = a_gate(parts, "127.0.1.1"), a_dial("www.cms.example", 443, tls=True)
    await gate.server_connect(dial)
    assert dial.server.error is None
    parts.current.switch = running(phase)
    if refused:
        with pytest.raises(Refused, match="production's side"):
            gate.server_connected(opened(dial, "127.0.1.1", 9443))
        assert parts.witness.recorder("drill-staging").take().counters["production_dials"] == 1  # type: ignore[union-attr]
    else:
        gate.server_connected(opened(dial, "127.0.1.1", 9443))
        assert parts.witness.recorder("drill-staging").take() is None


async def test_a_connection_without_a_pin_or_a_peer_is_refused() -> None:
    gate = a_gate(Parts(), "10.90.0.7")
    with pytest.raises(KeyError):
        gate.server_connected(opened(a_dial(*PLACE), "10.90.0.7"))
    dial = a_dial(*PLACE)
    await gate.server_connect(dial)
    with pytest.raises(Refused, match="no peer address"):
        gate.server_connected(dial)


async def test_pins_go_with_their_connections() -> None:
    gate, one, two = a_gate(Parts(), "10.90.0.7"), a_dial(*PLACE), a_dial(*PLACE)
    await gate.server_connect(one)
    await gate.server_connect(two)
    gate.server_disconnected(one)
    gate.server_connect_error(two)
    assert gate.pins == {}


async def test_a_client_outside_is_led_to_production_and_never_to_the_switchboard() -> None:
    gate = a_gate(Parts(), "127.0.1.1")
    dial = a_dial("www.cms.example", 443, client=OUTSIDER)
    await gate.server_connect(dial)
    assert (dial.server.error, dial.server.address) == (None, ("127.0.1.1", 9443))
    own = a_dial("localhost", 8700, client=OUTSIDER)
    await a_gate(Parts(), "127.0.0.1").server_connect(own)
    assert own.server.error == "denied: the switchboard's own listener"


async def test_a_member_by_login_dials_as_a_member() -> None:
    parts = Parts()
    dial = a_dial("www.cms.example", 443, client=OUTSIDER)
    parts.logins._connections[dial.client.id] = "agent-1"
    await a_gate(parts, "127.0.1.1").server_connect(dial)
    assert dial.server.error == "denied: production or denied host"


async def test_what_is_denied_is_counted_for_the_drill() -> None:
    parts = Parts()
    await a_gate(parts, "203.0.113.5").server_connect(a_dial(*PLACE, client=MEMBER))
    delta = parts.witness.recorder("drill-staging").take()
    assert delta is not None
    assert delta.counters == {"blocked": 1, "blocked:dial: production address": 1}
