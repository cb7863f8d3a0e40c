from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace

import pytest
from mitmproxy import http

from addons import passage
from switchboard.drill import Phase, SwitchDocument
from switchboard.verdict import Kind
from tests.addons.flows import Parts, a_flow, running
from tests.switchboard.estates import OUTSIDER


async def decided(parts: Parts, flow: http.HTTPFlow) -> http.HTTPFlow:
    """Run `requestheaders` to its end."""
    rest = parts.reroute.requestheaders(flow)
    if inspect.isawaitable(rest):
        await rest
    return flow


async def test_a_forwarded_request_leads_to_the_sandbox_in_every_field() -> None:
    fields = {"authorization": "Bearer x", "x-plain": "stays"}
    flow = await decided(Parts(), a_flow("https://www.cms.example/a?token=1&b=2", fields=fields))
    request = flow.request
    assert (request.scheme, request.host, request.port, request.path) == ("http", "sandbox-mfe.test", 8080, "/a?b=2")
    assert request.headers["host"] == "sandbox-mfe.test:8080"
    assert "authorization" not in request.headers
    assert request.headers["x-plain"] == "stays"
    assert request.stream
    assert flow.response is None


async def test_a_request_of_nobody_in_a_drill_goes_on_as_it_came() -> None:
    fields = {"authorization": "Bearer x", "proxy-authorization": "Basic YWdlbnQtMTpvcGVuLXNlc2FtZQ==", "x-a": "b"}
    parts = Parts(running(Phase.ENDED))
    flow = await decided(parts, a_flow("http://www.cms.example/a?token=1", client=OUTSIDER, fields=fields))
    request = flow.request
    assert (request.host, request.port, request.path) == ("www.cms.example", 80, "/a?token=1")
    assert request.headers["authorization"] == "Bearer x"
    assert "proxy-authorization" not in request.headers


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [
        ("https://elsewhere.example/", 403, "host is not listed"),
        ("https://203.0.113.5/", 400, "address literal"),
        ("https://old.cms.example/", 403, "production host without a route"),
    ],
)
async def test_a_blocked_request_is_answered_here_with_its_reason(url: str, status: int, reason: str) -> None:
    parts = Parts()
    flow = await decided(parts, a_flow(url))
    assert flow.response is not None
    assert flow.response.status_code == status
    assert flow.response.headers["x-hms-drill"] == f'drill-staging; reason="{reason}"'
    assert flow.response.headers["cache-control"] == "no-store"
    delta = parts.witness.recorder("drill-staging").take()
    assert delta is not None
    assert delta.counters[f"blocked:{reason}"] == 1


async def test_fields_that_mean_two_things_are_blocked_only_inside_a_drill() -> None:
    fields = {"upgrade": "h2c"}
    inside = await decided(Parts(), a_flow("https://www.cms.example/", fields=fields))
    outside = await decided(Parts(running(Phase.ENDED)), a_flow("https://www.cms.example/", fields=fields))
    assert inside.response is not None
    assert inside.response.status_code == 400
    assert outside.response is None


async def test_a_mock_answers_here() -> None:
    flow = a_flow("https://payments.example/v1/charge")
    flow.request.method = "POST"
    parts = Parts()
    await decided(parts, flow)
    assert flow.response is None, "what a mock swallows is read whole first"
    waiting = parts.reroute.request(flow)
    assert waiting is not None
    await waiting
    assert [drill for drill, _, _ in parts.mocks.swallowed] == ["drill-staging"]
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.content) == (202, b'{"accepted":true}')


async def test_a_held_request_waits_for_the_next_epoch_and_no_longer_than_its_limit() -> None:
    parts = Parts(running(Phase.ARMING), hold_s=0.01)
    flow = await decided(parts, a_flow("https://www.cms.example/"))
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.headers["retry-after"]) == (503, "1")

    patient = Parts(running(Phase.ARMING), hold_s=60)
    held = a_flow("https://www.cms.example/")
    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        tasks.create_task(decided(patient, held))
        await asyncio.sleep(0)
        later = running()
        patient.current.apply(replace(later, document=SwitchDocument(epoch=8, drills=later.document.drills)))
    assert held.response is None
    assert held.request.host == "sandbox-mfe.test"


async def test_a_wrong_login_is_told_so() -> None:
    flow = await decided(Parts(), a_flow(fields={"proxy-authorization": "Basic eDp5"}))
    assert flow.response is not None
    assert flow.response.status_code == 407
    assert flow.response.headers["proxy-authenticate"] == 'Basic realm="HMS-ESR"'


@pytest.mark.parametrize(("body", "length"), [(b"abc", "3"), (b"", "0")])
def test_a_body_of_http2_is_framed_before_it_goes_on(body: bytes, length: str) -> None:
    flow = a_flow("https://www.cms.example/")
    flow.request.http_version, flow.request.method = "HTTP/2.0", "POST"
    flow.request.data.content = body
    flow.request.trailers = http.Headers(authorization="x")
    Parts().reroute.request(flow)
    assert flow.request.headers["content-length"] == length
    assert flow.request.trailers is None


async def answered(parts: Parts, status: int = 200, **fields: str) -> http.HTTPFlow:
    """Forward a request and let the sandbox answer it."""
    flow = await decided(parts, a_flow("https://www.cms.example/"))
    flow.live = True
    flow.response = http.Response.make(status, b"", {name.replace("_", "-"): text for name, text in fields.items()})
    return flow


async def test_an_answer_of_the_sandbox_is_cleaned_and_streamed() -> None:
    parts = Parts()
    flow = await answered(parts, set_cookie="a=b", etag="x", location="http://sandbox-mfe.test:8080/x")
    waiting = parts.answers.responseheaders(flow)
    assert waiting is not None, "the cookie is put away before the answer leaves"
    await waiting
    assert flow.response is not None
    assert flow.response.stream
    assert flow.response.headers["location"] == "https://www.cms.example/x"
    assert flow.response.headers["x-hms-drill"] == "drill-staging"
    assert not {"set-cookie", "etag"} & set(flow.response.headers)


@pytest.mark.parametrize(("phase", "kept"), [(Phase.DRAINING, True), (Phase.ENDED, False)])
async def test_an_answer_after_the_drill_is_dropped_and_one_while_it_drains_is_not(phase: Phase, kept: bool) -> None:
    parts = Parts()
    flow = await answered(parts)
    parts.current.switch = running(phase)
    parts.answers.responseheaders(flow)
    assert (flow.error is None) is kept


async def test_an_interim_answer_becomes_a_final_one_on_a_connection_that_ends() -> None:
    parts = Parts()
    flow = await answered(parts, 103, link="<https://www.cms.example/x>; rel=preload")
    parts.answers.responseheaders(flow)
    assert flow.response is not None
    assert (flow.response.status_code, flow.response.headers["connection"]) == (502, "close")
    assert "link" not in flow.response.headers


async def test_every_request_that_was_decided_is_in_flight_until_it_is_answered() -> None:
    """Also those answered here: their bodies may still be coming at an edge."""
    for url in ("https://www.cms.example/", "https://elsewhere.example/"):
        parts = Parts()
        flow = await decided(parts, a_flow(url))
        assert parts.edge._flights
        parts.answers.response(flow)
        assert not parts.edge._flights


async def test_what_hooks_of_one_flow_tell_each_other_says_what_was_decided() -> None:
    found = passage.of(await decided(Parts(), a_flow("https://www.cms.example/")))
    assert found is not None
    assert (found.verdict.kind, found.forwarded, found.local) == (Kind.FORWARD, True, False)
