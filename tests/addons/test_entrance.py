from __future__ import annotations

import contextlib
import ssl

import pytest
from mitmproxy import options
from mitmproxy.proxy import events, layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.test import tflow

from addons.bounds import HEAD_TOO_LONG
from addons.crowd import Crowd
from addons.entrance import NOWHERE, Entrance, Refuse
from addons.reading import HttpReader
from addons.steered import Steered
from switchboard.drill import Phase
from tests.addons.flows import Parts, a_client, running
from tests.switchboard.estates import MEMBER, OUTSIDER, SANDBOX


def a_hello(name: str) -> bytes:
    """Return a client's first TLS record with this SNI."""
    out = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


HELLO = a_hello("www.cms.example")


def an_entrance(parts: Parts) -> Entrance:
    return Entrance(parts.current, parts.logins, parts.witness)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        (MEMBER, False),
        (OUTSIDER, False),
        (f"::ffff:{MEMBER}", False),
        ("192.0.2.1", True),
        (SANDBOX, True),
        ("?", True),
    ],
)
def test_only_clients_of_the_estate_come_in(address: str, refused: bool) -> None:
    parts, client = Parts(), a_client(address)
    an_entrance(parts).client_connected(client)
    assert (client.error is not None) is refused
    assert bool(parts.witness.totals) is refused


def test_a_client_with_too_many_connections_is_refused_until_one_ends() -> None:
    parts = Parts()
    entrance = Entrance(parts.current, parts.logins, parts.witness, crowd=Crowd(1))
    first, second, third = a_client(), a_client(), a_client()
    entrance.client_connected(first)
    entrance.client_connected(second)
    assert (first.error, second.error) == (None, "denied: not yet decided")
    assert parts.witness.totals["refused:client has too many connections"] == 1
    entrance.client_disconnected(second)
    entrance.client_disconnected(first)
    entrance.client_connected(third)
    assert third.error is None


@pytest.mark.parametrize(("error", "counted"), [(HEAD_TOO_LONG, 1), ("severed", 0), (None, 0)])
def test_connections_that_were_cut_at_a_bound_are_counted(error: str | None, counted: int) -> None:
    parts, client = Parts(), a_client()
    entrance = an_entrance(parts)
    entrance.client_connected(client)
    client.error = error
    entrance.client_disconnected(client)
    assert parts.witness.totals[f"refused:{error}"] == counted


def test_a_client_without_an_address_is_refused() -> None:
    client = a_client()
    client.peername = None  # type: ignore[assignment]
    an_entrance(Parts()).client_connected(client)
    assert client.error is not None


def chosen(parts: Parts, address: str, data: bytes, *, door: str) -> tuple[layer.Layer | None, Context]:
    """Return the layer chosen for the first bytes of a connection."""
    context = Context(a_client(address), options.Options())
    if door == "regular":
        modes.HttpProxy(context)
    elif door == "steered":
        Steered(context)
    else:
        modes.HttpProxy(context)
        HttpReader(context, layers.http.HTTPMode.regular)
        context.server.address = ("www.cms.example", 443)
    pending = layer.NextLayer(context)
    pending.data_client = lambda: data  # type: ignore[method-assign]
    an_entrance(parts).next_layer(pending)
    return pending.layer, context


HTTP = b"GET /x HTTP/1.1\r\nHost: www.cms.example:8080\r\n\r\n"
ENDLESS = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(0x3FFC) + (b"\x16\x03\x01\x40\x00" + bytes(0x4000)) * 4
CHOICES = [
    ("explicit proxy", MEMBER, b"", "regular", HttpReader),
    ("nothing yet", MEMBER, b"", "steered", None),
    ("too little of TLS", MEMBER, b"\x16\x03", "steered", None),
    ("member, TLS", MEMBER, HELLO, "steered", layers.ClientTLSLayer),
    ("member, part of a hello", MEMBER, HELLO[:20], "steered", None),
    ("member, HTTP", MEMBER, HTTP, "steered", HttpReader),
    ("member, HTTP/2 in the clear", MEMBER, b"PRI * HTTP/2.0\r\n\r\n", "steered", HttpReader),
    ("member, anything else", MEMBER, b"SSH-2.0-x\r\n", "steered", Refuse),
    ("member, broken hello", MEMBER, HELLO[:43] + b"\xff" * (len(HELLO) - 43), "steered", Refuse),
    ("outsider, TLS", OUTSIDER, HELLO, "steered", layers.TCPLayer),
    ("outsider, HTTP", OUTSIDER, HTTP, "steered", layers.TCPLayer),
    ("outsider, half a head", OUTSIDER, HTTP[:20], "steered", None),
    ("outsider, head without Host", OUTSIDER, b"GET / HTTP/1.0\r\n\r\n", "steered", Refuse),
    ("outsider, Host that is an address", OUTSIDER, b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", "steered", Refuse),
    ("tunnel of an outsider", OUTSIDER, b"", "tunnel", layers.TCPLayer),
    ("tunnel of a member, nothing yet", MEMBER, b"", "tunnel", None),
    ("tunnel of a member, TLS", MEMBER, HELLO, "tunnel", layers.ClientTLSLayer),
    ("tunnel of a member, part of a hello", MEMBER, HELLO[:20], "tunnel", None),
    ("tunnel of a member, hello without end", MEMBER, ENDLESS, "tunnel", Refuse),
    ("hello without end", MEMBER, ENDLESS, "steered", Refuse),
    ("tunnel of a member, HTTP", MEMBER, HTTP, "tunnel", HttpReader),
    ("tunnel of a member, anything else", MEMBER, b"SSH-2.0-x\r\n", "tunnel", Refuse),
]


@pytest.mark.parametrize(("address", "data", "door", "kind"), [c[1:] for c in CHOICES], ids=[c[0] for c in CHOICES])
def test_what_a_client_says_first_decides_how_it_is_read(
    address: str, data: bytes, door: str, kind: type[layer.Layer] | None
) -> None:
    found, _ = chosen(Parts(), address, data, door=door)
    assert type(found) is (kind or type(None))


@pytest.mark.parametrize(
    ("address", "data", "place"),
    [
        (OUTSIDER, HELLO, ("www.cms.example", 443)),
        (OUTSIDER, HTTP, ("www.cms.example", 8080)),
        (MEMBER, HELLO, ("www.cms.example", 443)),
        (MEMBER, HTTP, (NOWHERE, 80)),
    ],
    ids=["outsider, TLS", "outsider, HTTP", "member, TLS", "member, HTTP"],
)
def test_a_steered_connection_leads_where_it_says_and_a_members_nowhere_before_it_is_decided(
    address: str, data: bytes, place: tuple[str, int]
) -> None:
    _, context = chosen(Parts(), address, data, door="steered")
    assert context.server.address == place


@pytest.mark.parametrize(("pieces", "kind"), [(200, type(None)), (300, Refuse)])
def test_a_beginning_in_very_many_pieces_is_refused(pieces: int, kind: type[object]) -> None:
    """Each piece is looked at again with every further one."""
    parts = Parts()
    context = Context(a_client(), options.Options())
    Steered(context)
    pending = layer.NextLayer(context)
    pending.events = [events.DataReceived(context.client, HELLO[i : i + 1]) for i in range(pieces)]
    pending.events[1:] = [events.DataReceived(context.client, b"") for _ in pending.events[1:]]
    an_entrance(parts).next_layer(pending)
    assert type(pending.layer) is kind


def test_a_member_outside_a_drill_may_speak_anything() -> None:
    found, _ = chosen(Parts(running(Phase.ENDED)), MEMBER, b"SSH-2.0-x\r\n", door="tunnel")
    assert type(found) is layers.TCPLayer


def test_a_member_by_login_is_read() -> None:
    parts = Parts()
    client = tflow.tclient_conn()
    client.peername = (OUTSIDER, 1)
    parts.logins._connections[client.id] = "agent-1"
    assert an_entrance(parts)._is_read(client)
