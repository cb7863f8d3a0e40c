"""gRPC through a drill: HTTP/2 from end to end, credentials in metadata, streams both ways, and how a call ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.certificates import ServerFiles
from tests.e2e import asking
from tests.e2e.asking import Two, head
from tests.e2e.border import border_estate
from tests.e2e.origin import chunk, origin
from tests.e2e.remote_calls import RemoteCalls, message, remote_calls
from tests.e2e.stage import Stage, stage

API = "api.cms.example"
ROUTE = """
      - {{from: "https://api.cms.example", to: "https://sandbox-svc.test:{tls_raw}/api"}}
"""
H2_ROUTE = """
      - {{from: "https://api.cms.example", to: "https://sandbox-svc.test:{tls_raw}", h2: true}}
"""
RULE = """
    credentials:
      - {{in: metadata, name: x-call-key, twin: {{value: twin-call-key}}}}
      - {{in: metadata, name: x-ticket-bin, twin: {{value: dHdpbg}}}}
"""
CALL = (("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "2S"), ("user-agent", "grpc-x/1"))
CREDENTIALS = (("x-call-key", "prod-key"), ("x-ticket-bin", "cHJvZA"), ("authorization", "Bearer prod-token"))


def h2_estate() -> str:
    text = border_estate().replace(ROUTE, H2_ROUTE).replace("\n    credentials:\n", RULE)
    assert "h2: true" in text
    return text


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[tuple[Stage, RemoteCalls]]:
    async with stage(tmp_path, text=h2_estate()) as found:
        files = ServerFiles(tmp_path / "sandbox.pem", tmp_path / "sandbox-key.pem")
        async with remote_calls("127.0.2.1", found.tls_raw, files) as server:
            await found.start()
            found.silence()
            yield found, server
            assert found.prod.books.silent


@asynccontextmanager
async def client(found: Stage, door: str = "steered") -> AsyncIterator[Two]:
    async with asyncio.timeout(5), asking.two(found, API, steered=door == "steered") as two:
        yield two


@pytest.mark.parametrize("door", ["steered", "regular"])
async def test_a_call_ends_with_its_trailers_and_carries_twins(scene: tuple[Stage, RemoteCalls], door: str) -> None:
    found, server = scene
    async with client(found, door) as two:
        stream = await two.start(head("POST", API, "/x/Unary", *CALL, *CREDENTIALS), end=False)
        await two.data(stream, message(b"question"))
        answer = await two.answer(stream)
    assert (answer.status, answer.body) == (200, message(b"answer"))
    assert dict(two.trailing[stream]) == {"grpc-status": "0", "grpc-message": "fine", "x-final": "metadata"}
    assert answer.header("x-initial") == "metadata"
    sent = dict(server.heads[0])
    assert (sent["x-call-key"], sent["x-ticket-bin"], sent["te"]) == ("twin-call-key", "dHdpbg", "trailers")
    assert sent["grpc-timeout"] == "2S"
    assert "authorization" not in sent
    assert sent[":authority"] == f"sandbox-svc.test:{found.tls_raw}"
    assert "content-length" not in sent or sent["content-length"] == str(len(message(b"question")))
    assert b"question" in server.data


async def test_a_call_that_fails_says_so(scene: tuple[Stage, RemoteCalls]) -> None:
    found, _ = scene
    async with client(found) as two:
        answer = await two.ask(head("POST", API, "/x/Fails", *CALL), message(b"question"))
    assert (answer.header("grpc-status"), answer.header("grpc-message")) == ("5", "no such thing")


async def test_both_sides_of_a_stream_speak_in_turn(scene: tuple[Stage, RemoteCalls]) -> None:
    found, server = scene
    async with client(found) as two:
        stream = await two.start(head("POST", API, "/x/Both", *CALL), end=False)
        for turn in (b"one", b"two", b"three"):
            await two.data(stream, message(turn), end=False)
            while not two.body(stream).endswith(message(turn)):
                await two.read()
        await two.trailers(stream, [("x-call-key", "prod-trailer")])
        await two.answer(stream)
    assert dict(two.trailing[stream])["grpc-status"] == "0"
    assert server.trailers == []  # what a client sends behind its body goes nowhere


async def test_a_client_of_http_1_reaches_a_target_of_http_2(scene: tuple[Stage, RemoteCalls]) -> None:
    found, server = scene
    body = message(b"question")
    async with asyncio.timeout(5), asking.tls(found, API, steered=True) as line:
        request = f"POST /x/Unary HTTP/1.1\r\nHost: {API}\r\nX-Call-Key: prod\r\nContent-Length: {len(body)}\r\n\r\n"
        answer = await line.ask(request.encode() + body)
    assert (answer.status, answer.body) == (200, message(b"answer"))
    assert dict(server.heads[0])["x-call-key"] == "twin-call-key"


async def test_an_upload_in_chunks_crosses_into_http_2(scene: tuple[Stage, RemoteCalls]) -> None:
    found, server = scene
    async with asyncio.timeout(5), asking.tls(found, API, steered=True) as line:
        start = f"POST /x/Unary HTTP/1.1\r\nHost: {API}\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = await line.ask(start.encode() + chunk(b"one ") + chunk(b"two") + chunk(b""))
    assert (answer.status, bytes(server.data)) == (200, b"one two")
    assert "transfer-encoding" not in dict(server.heads[0])


async def test_a_target_that_does_not_speak_http_2_after_all_hears_nothing(tmp_path: Path) -> None:
    async with stage(tmp_path, text=h2_estate()) as found:
        context = ServerFiles(tmp_path / "sandbox.pem", tmp_path / "sandbox-key.pem").context()
        async with origin("127.0.2.1", found.tls_raw, context=context) as server:
            await found.start()
            async with client(found) as two:
                answer = await two.ask(
                    head("POST", API, "/x/Unary", *CALL), b"POST /second HTTP/1.1\r\nHost: x\r\n\r\n"
                )
            assert answer.status == 0
            assert bytes(server.wire) == b""
            assert found.worker.witness.totals["fault:tls_established_server"] == 1


@pytest.mark.parametrize("alpn", ["http/1.1", "h2"])
async def test_a_line_break_that_http_2_carries_becomes_no_field(scene: tuple[Stage, RemoteCalls], alpn: str) -> None:
    found, _ = scene
    async with asyncio.timeout(5):
        if alpn == "h2":
            async with client(found) as two:
                answer = await two.ask(head("POST", API, "/x/Splits", *CALL), b"")
        else:
            async with asking.tls(found, API, steered=True) as line:
                answer = await line.ask(f"POST /x/Splits HTTP/1.1\r\nHost: {API}\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.status in (0, 502)
    assert "evil" not in str(answer)
