from __future__ import annotations

import asyncio

import pytest
from mitmproxy import http
from mitmproxy.websocket import WebSocketData

from addons.edge import is_stream
from switchboard.drill import Phase
from switchboard.switch import Switch
from tests.addons.flows import Handled, Parts, a_client, a_flow, running
from tests.switchboard.estates import MEMBER, OUTSIDER, a_drill, a_switch

NONE = a_switch()
ARMING, RUNNING, PAUSED, DRAINING, ENDED, FAILED = (running(phase) for phase in Phase)
OTHER = a_switch(a_drill(target="open"))


def events() -> http.HTTPFlow:
    flow = a_flow()
    flow.response = http.Response.make(200, b"", {"Content-Type": "text/event-stream; charset=utf-8"})
    return flow


def websocket() -> http.HTTPFlow:
    flow = a_flow()
    flow.websocket = WebSocketData()
    return flow


def test_what_goes_on_until_someone_ends_it_is_a_stream() -> None:
    assert [is_stream(flow) for flow in (a_flow(), events(), websocket())] == [False, True, True]


CROSSINGS = [
    ("arming", NONE, ARMING, True),
    ("running after arming", ARMING, RUNNING, False),
    ("pause", RUNNING, PAUSED, False),
    ("resume", PAUSED, RUNNING, False),
    ("draining", RUNNING, DRAINING, True),
    ("stopped while arming", ARMING, DRAINING, True),
    ("ended after draining", DRAINING, ENDED, False),
    ("failed after arming", ARMING, FAILED, False),
    ("running, arming missed", NONE, RUNNING, True),
    ("ended, draining missed", RUNNING, ENDED, True),
    ("forgotten, draining missed", RUNNING, NONE, True),
    ("another drill at once", RUNNING, OTHER, True),
    ("nothing", NONE, NONE, False),
    ("a new epoch of the same phase", RUNNING, running(), False),
]


@pytest.mark.parametrize(("old", "new", "crosses"), [c[1:] for c in CROSSINGS], ids=[c[0] for c in CROSSINGS])
async def test_connections_of_those_who_change_sides_are_closed(old: Switch, new: Switch, crosses: bool) -> None:
    parts = Parts()
    member, outsider = parts.handled(a_client(MEMBER)), parts.handled(a_client(OUTSIDER))
    assert await parts.edge.cross(old, new, drain_s=0) == int(crosses)
    assert member.ended == (["closed"] * 2 if crosses else [])
    assert outsider.ended == []


async def test_a_member_by_login_changes_sides_too() -> None:
    parts = Parts()
    member = parts.handled(a_client(OUTSIDER))
    parts.logins._connections[member.client.id] = "agent-1"
    assert await parts.edge.cross(NONE, ARMING, drain_s=0) == 1


def flying(parts: Parts, *flows: http.HTTPFlow) -> Handled:
    handler = parts.handled(flows[0].client_conn)
    for flow in flows:
        flow.client_conn = handler.client
        parts.edge.depart(flow)
    return handler


@pytest.mark.parametrize("stream", [events, websocket])
async def test_a_stream_ends_before_anything_is_waited_for(stream: object) -> None:
    parts = Parts()
    handler = flying(parts, stream())  # type: ignore[operator]
    async with asyncio.timeout(1):
        await parts.edge.cross(RUNNING, DRAINING, drain_s=60)
    assert handler.ended[0] == "closed"


async def test_a_request_that_lands_in_time_is_only_closed_after_it() -> None:
    parts, flow = Parts(), a_flow()
    handler = flying(parts, flow)
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        crossing = tasks.create_task(parts.edge.cross(NONE, ARMING, drain_s=60))
        await asyncio.sleep(0)
        assert handler.ended == []
        parts.edge.land(flow)
        assert await crossing == 1
    assert handler.ended == ["closed"]


async def test_a_request_too_slow_is_answered_before_it_is_closed() -> None:
    parts = Parts()
    handler = flying(parts, a_flow(), a_flow(), events())
    await parts.edge.cross(NONE, ARMING, drain_s=0.01)
    assert handler.ended == ["cut", "cut", "closed"]


async def test_a_rest_ends_at_its_time_or_at_an_edge() -> None:
    parts, flow = Parts(), a_flow()
    await parts.edge.rest(flow, 0.001)
    flying(parts, flow)
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        resting = tasks.create_task(parts.edge.rest(flow, 60))
        tasks.create_task(parts.edge.cross(RUNNING, DRAINING, drain_s=0.01))
        await resting


async def test_a_connection_with_a_held_request_outlives_the_edge_and_retires() -> None:
    parts = Parts()
    handler = parts.handled(a_client())
    parts.edge.wait(handler.client.id, 1)
    async with asyncio.timeout(1):
        await parts.edge.cross(NONE, ARMING, drain_s=60)
    assert "closed" not in handler.ended
    assert parts.edge.is_retiring(handler.client.id)
    parts.edge.forget(handler.client.id)
    assert not parts.edge.is_retiring(handler.client.id)


async def test_nothing_is_remembered_of_what_is_over() -> None:
    parts, flow = Parts(), a_flow()
    flying(parts, flow)
    parts.edge.wait(flow.client_conn.id, 1)
    parts.edge.wait(flow.client_conn.id, -1)
    await parts.edge.rest(flow, 0.001)
    parts.edge.land(flow)
    parts.edge.land(flow)
    edge = parts.edge
    assert (edge._flights, edge._waiting, edge._retiring, edge._woken) == ({}, {}, set(), {})
