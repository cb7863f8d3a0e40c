from __future__ import annotations

import asyncio
import resource
import sys

import pytest
from mitmproxy import http, options
from mitmproxy.proxy import events
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http._events import RequestHeaders

from addons import bounds, passage
from addons.bounds import BoundedServer, is_refused, most_read, raise_file_limit
from tests.addons.flows import Parts, a_client, a_flow

LIMITED = (
    "import resource; hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096);"
    "resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard));"
    "from addons.bounds import raise_file_limit;"
    "assert raise_file_limit() == hard == resource.getrlimit(resource.RLIMIT_NOFILE)[0]"
)


async def test_a_process_may_open_as_many_files_as_its_hard_limit_allows() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LIMITED)
    assert await process.wait() == 0
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= raise_file_limit()


async def test_only_the_body_of_a_request_that_is_refused_is_thrown_away() -> None:
    parts = Parts()
    refused, forwarded, wrong = a_flow("https://elsewhere.example/"), a_flow("https://www.cms.example/"), a_flow()
    wrong.request.headers["proxy-authorization"] = "Basic eDp5"
    for flow in (refused, forwarded, wrong):
        waiting = parts.reroute.requestheaders(flow)
        if waiting is not None:
            await waiting
    assert [is_refused(flow) for flow in (refused, forwarded, wrong)] == [True, False, True]
    assert [most_read(flow) for flow in (refused, forwarded)] == [bounds.MOST_REFUSED, bounds.MOST_BODY]


async def test_a_body_with_a_credential_rule_is_read_as_far_as_the_estate_says() -> None:
    parts, flow = Parts(), a_flow("https://www.cms.example/")
    waiting = parts.reroute.requestheaders(flow)
    if waiting is not None:
        await waiting
    found = passage.of(flow)
    assert found is not None
    assert found.world is not None
    found.swaps = True
    assert most_read(flow) == found.world.target.limits.body


def read(*pieces: bytes) -> tuple[BoundedServer, list[http.Request], bytes]:
    """Feed the pieces to an HTTP/1 connection; return what it has read and what it has answered."""
    server = BoundedServer(Context(a_client(), options.Options()))
    requests, answer = [], b""
    for event in (events.Start(), *(events.DataReceived(server.conn, piece) for piece in pieces)):
        for command in server.handle_event(event):
            answer += getattr(command, "data", b"")
            received = getattr(command, "event", None)
            if isinstance(received, RequestHeaders):
                requests.append(received.request)
    return server, requests, answer


HEAD = b"GET / HTTP/1.1\r\nHost: www.cms.example\r\nX: "


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([HEAD + b"a" * 60_000 + b"\r\n\r\n"], 0),
        ([HEAD, b"a" * 60_000, b"\r\n\r\n"], 0),
        ([HEAD + b"a" * 66_000], 431),
        ([HEAD + b"a" * 66_000 + b"\r\n\r\n"], 431),
        ([HEAD, b"a" * 60_000, b"a" * 60_000, b"\r\n\r\n"], 431),
        ([b"\n" * 70_000 + HEAD + b"\r\n\r\n"], 0),
        ([HEAD.replace(b"\r\n", b"\n") + b"a\n\n" + b"b" * 70_000], 0),
    ],
    ids=["within", "in pieces", "endless", "whole", "endless in pieces", "behind blank lines", "with much behind it"],
)
def test_a_request_head_has_at_most_64_kib(pieces: list[bytes], status: int) -> None:
    server, requests, answer = read(*pieces)
    assert len(requests) == (0 if status else 1)
    assert answer.startswith(b"HTTP/1.1 431 ") is (status == 431)
    assert (server.conn.error == bounds.HEAD_TOO_LONG) is (status == 431)


def test_blank_lines_without_end_are_not_kept() -> None:
    server, requests, answer = read(*[b"\r\n" * 1_000] * 200)
    assert (requests, answer) == ([], b"")
    assert len(server.buf) <= bounds.MOST_HEAD
