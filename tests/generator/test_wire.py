from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from generator.entry import Entry
from generator.outcome import Outcome
from generator.request import Request, Sanitiser
from generator.wire import Wire, resolve
from sandbox.certificates import Authority
from switchboard.errors import BadInput
from switchboard.verdict import Upstream
from tests.generator.stage import Sandbox, a_drill, a_switch, an_estate


def nobody(place: str) -> None:
    """Listen to no dials."""


def a_wire(
    dialled: list[str] | None = None, *, ca: Path | None = None, addresses: tuple[str, ...] = ("127.0.0.1",)
) -> Wire:
    switch = a_switch(an_estate("http://127.0.0.1:1"), a_drill())

    async def lookup(host: str, port: int) -> tuple[str, ...]:
        return addresses

    places = dialled if dialled is not None else []
    return Wire(sandbox="staging", switch=lambda: switch, dialled=places.append, ca=ca, connections=4, resolve=lookup)


def a_request(upstream: Upstream, target: str = "/", method: str = "GET", body: bytes = b"") -> Request:
    entry = Entry(0.0, True, "c", "tests", method, target, body=body)
    return Sanitiser("d1", ()).request(entry, upstream, target)[0]


async def sent(wire: Wire, request: Request) -> Outcome:
    async with wire:
        assert await wire.refusal(request.upstream) is None
        return await wire.send(request, time.monotonic())


def at(sandbox: Sandbox, host: str = "sandbox.test") -> Upstream:
    return Upstream("http", host, int(sandbox.url.rpartition(":")[2]))


async def test_the_request_is_what_was_recorded_and_marked(sandbox: Sandbox) -> None:
    outcome = await sent(a_wire(), a_request(at(sandbox), "/a%2fb//c?d=%20&e|f"))
    (request,) = sandbox.seen
    assert (outcome.status, outcome.error) == (200, "")
    assert request.raw_path == "/a%2fb//c?d=%20&e|f"
    assert dict(request.headers) == {
        "Host": at(sandbox).authority,
        "User-Agent": "tests",
        "X-HMS-Env": "sandbox",
        "baggage": "env=sandbox,drill=d1",
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_is_sent_as_recorded(sandbox: Sandbox, method: str) -> None:
    outcome = await sent(a_wire(), a_request(at(sandbox), method=method, body=b"x" if method == "PUT" else b""))
    assert (outcome.status, sandbox.seen[0].method, sandbox.bodies) == (200, method, [b"x" if method == "PUT" else b""])


async def test_a_redirect_is_an_answer_and_is_not_followed(sandbox: Sandbox) -> None:
    sandbox.status, sandbox.headers = 302, {"Location": f"{sandbox.url}/elsewhere"}
    outcome = await sent(a_wire(), a_request(at(sandbox)))
    assert (outcome.status, sandbox.paths) == (302, ["/"])


async def test_cookies_of_the_sandbox_are_not_kept(sandbox: Sandbox) -> None:
    sandbox.headers = {"Set-Cookie": "a=b"}
    async with a_wire() as wire:
        for _ in range(2):
            await wire.refusal(at(sandbox))
            await wire.send(a_request(at(sandbox)), 0.0)
    assert not any("Cookie" in request.headers for request in sandbox.seen)


async def test_proxies_of_the_environment_are_ignored(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await sent(a_wire(), a_request(at(sandbox)))).status == 200


async def test_a_connection_is_told_by_address_and_kept(sandbox: Sandbox) -> None:
    dialled: list[str] = []
    async with a_wire(dialled) as wire:
        for _ in range(3):
            await wire.refusal(at(sandbox))
            await wire.send(a_request(at(sandbox)), 0.0)
    assert dialled == [sandbox.url.removeprefix("http://")]


@pytest.mark.parametrize(
    ("addresses", "reason"),
    [
        pytest.param(("127.0.1.5",), "production address", id="production"),
        pytest.param(("127.0.0.1", "127.0.1.5"), "production address", id="production among others"),
        pytest.param(("::ffff:127.0.1.5",), "production address", id="production as IPv6"),
        pytest.param(("169.254.169.254",), "link-local", id="metadata service"),
    ],
)
async def test_a_name_that_leads_to_production_is_refused(addresses: tuple[str, ...], reason: str) -> None:
    dialled: list[str] = []
    upstream = Upstream("http", "sandbox.test", 80)
    async with a_wire(dialled, addresses=addresses) as wire:
        assert reason in (await wire.refusal(upstream) or "")
        outcome = await wire.send(a_request(upstream), 0.0)
    assert (outcome.status, outcome.error, dialled) == (0, "ClientConnectorDNSError", [])


async def test_an_address_as_a_host_is_checked_when_the_socket_is_made() -> None:
    dialled: list[str] = []
    async with a_wire(dialled) as wire:
        outcome = await wire.send(a_request(Upstream("http", "127.0.1.5", 80)), 0.0)
    assert (outcome.status, dialled) == (0, [])
    assert outcome.is_error


async def test_a_name_is_resolved_once(sandbox: Sandbox) -> None:
    asked: list[str] = []

    async def turns(host: str, port: int) -> tuple[str, ...]:
        asked.append(host)
        return ("127.0.0.1",) if len(asked) == 1 else ("127.0.1.5",)

    switch = a_switch(an_estate("http://127.0.0.1:1"), a_drill())
    wire = Wire(sandbox="staging", switch=lambda: switch, dialled=nobody, ca=None, connections=4, resolve=turns)
    async with wire:
        for _ in range(3):
            assert await wire.refusal(at(sandbox)) is None
            assert (await wire.send(a_request(at(sandbox)), 0.0)).status == 200
    assert asked == ["sandbox.test"]


async def test_no_answer_is_an_outcome_with_its_error() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        dropped = await sent(a_wire(), a_request(Upstream("http", "a.test", port)))
    refused = await sent(a_wire(), a_request(Upstream("http", "a.test", port)))
    assert (dropped.status, dropped.error, dropped.is_error) == (0, "ServerDisconnectedError", True)
    assert (refused.status, refused.error, refused.is_error) == (0, "ClientConnectorError", True)


async def test_an_unknown_name_is_an_outcome_too() -> None:
    async def nothing(host: str, port: int) -> tuple[str, ...]:
        raise OSError("no such name")

    switch = a_switch(an_estate("http://127.0.0.1:1"), a_drill())
    wire = Wire(sandbox="staging", switch=lambda: switch, dialled=nobody, ca=None, connections=4, resolve=nothing)
    assert (await sent(wire, a_request(Upstream("http", "nowhere.test", 80)))).status == 0


async def test_the_system_resolves_by_default() -> None:
    assert "127.0.0.1" in await resolve("localhost", 80)


@pytest.fixture
async def tls_port(tmp_path: Path) -> AsyncIterator[int]:
    now = datetime.now(UTC)
    authority = Authority.create("sandbox", now=now)
    authority.write(tmp_path / "ca.pem")
    issued = authority.issue(["sandbox.test"], now=now)
    (tmp_path / "server.pem").write_bytes(issued.chain + issued.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("host", "trusted", "status"),
    [
        pytest.param("sandbox.test", True, 200, id="the target's authority and name"),
        pytest.param("other.test", True, 0, id="another name"),
        pytest.param("sandbox.test", False, 0, id="an authority that is not the target's"),
    ],
)
async def test_tls_trusts_only_the_targets_authority(
    tmp_path: Path, tls_port: int, host: str, trusted: bool, status: int
) -> None:
    ca = tmp_path / "ca.pem" if trusted else None
    outcome = await sent(a_wire(ca=ca), a_request(Upstream("https", host, tls_port)))
    assert outcome.status == status


def test_an_authority_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not PEM")
    with pytest.raises(BadInput, match=r"ca: .*ca\.pem: .*PEM file with the sandbox's authority"):
        a_wire(ca=tmp_path / "ca.pem")


def test_nobody_is_trusted_without_an_authority() -> None:
    context: ssl.SSLContext = a_wire()._trust
    assert context.cert_store_stats()["x509"] == 0
