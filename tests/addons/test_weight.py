from __future__ import annotations

import pytest
from mitmproxy import options
from mitmproxy.proxy import events, layer, layers
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import modes
from mitmproxy.proxy.layers.http import HTTPMode

from addons.bounds import BoundedStream
from addons.reading import HttpReader
from addons.weight import EVENT, has_arrived, heads, weigh
from tests.addons.flows import a_client, a_flow


@pytest.fixture
def context() -> Context:
    found = Context(a_client(), options.Options())
    modes.HttpProxy(found)
    return found


def a_reader(context: Context, *, heads: int = 0) -> HttpReader:
    found = HttpReader(context, HTTPMode.regular)
    found.heads = heads
    return found


def a_stream(reader: HttpReader) -> BoundedStream:
    found = BoundedStream(reader.context.fork(), 1, is_unread=lambda client: False)
    found.flow = a_flow()
    reader.streams[1] = found
    return found


def a_tunnel(context: Context) -> BoundedStream:
    """Return a CONNECT with nothing in it yet."""
    stream = a_stream(a_reader(context, heads=1))
    stream.child_layer = layer.NextLayer(stream.context)
    return stream


def test_events_that_wait_weigh_more_than_their_bytes(context: Context) -> None:
    stream = a_stream(a_reader(context))
    stream._paused_event_queue.extend(events.DataReceived(context.client, b"abc") for _ in range(4))
    load = weigh(context.layers)
    assert (load.waiting, load.kept) == (4 * (EVENT + 3), 0)


def test_bodies_that_are_read_whole_and_requests_behind_another_are_weighed(context: Context) -> None:
    reader = a_reader(context)
    stream = a_stream(reader)
    stream.request_body_buf += b"12345"
    stream.response_body_buf += b"12"
    reader.connections[context.client].buf += b"GET"  # type: ignore[attr-defined]
    load = weigh(context.layers)
    assert (load.waiting, load.kept, load.total) == (3, 7, 10)


def test_what_is_inside_a_tunnel_is_weighed(context: Context) -> None:
    inside = a_stream(a_reader(a_tunnel(context).context))
    inside.request_body_buf += b"123"
    assert weigh(context.layers).kept == 3


def test_a_connection_has_arrived_with_its_first_whole_head(context: Context) -> None:
    assert not has_arrived(context.layers)
    reader = a_reader(context)
    assert not has_arrived(context.layers)
    reader.heads = 1
    assert has_arrived(context.layers)
    assert heads(context.layers) == 1


def test_a_tunnel_that_is_read_has_arrived_with_the_first_whole_head_inside_it(context: Context) -> None:
    stream = a_tunnel(context)
    assert not has_arrived(context.layers)
    inside = a_reader(stream.context)
    assert not has_arrived(context.layers)
    inside.heads = 1
    assert has_arrived(context.layers)
    assert heads(context.layers) == 2


def test_a_tunnel_that_nobody_looks_into_has_arrived(context: Context) -> None:
    layers.TCPLayer(a_tunnel(context).context, ignore=True)
    assert has_arrived(context.layers)
