"""Over real sockets: no credential of production in any byte for the sandbox, none of the sandbox's for production."""

from __future__ import annotations

import asyncio
import gzip
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.e2e import asking
from tests.e2e.asking import Answer
from tests.e2e.border import MEMBERS, WWW, Border, border, border_estate
from tests.e2e.origin import Received, Reply, chunk, reply
from tests.e2e.planted import Planted, greetings, header_secrets, needles, planted
from tests.e2e.real import Real, real
from tests.e2e.stage import MEMBER

pytestmark = pytest.mark.asyncio(loop_scope="module")

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
JSON = "Content-Type: application/json\r\n"
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drill(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Border]:
    async with border(tmp_path_factory.mktemp("scene")) as found:
        await found.stage.start()
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def passing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Border]:
    async with border(tmp_path_factory.mktemp("passing"), text=border_estate(cookies="pass")) as found:
        await found.stage.start()
        yield found


async def ask(scene: Border, data: bytes, *, client: str = MEMBER) -> Answer:
    async with asyncio.timeout(5), asking.line(scene.stage.proxy, client=client) as line:
        return await line.ask(data)


def get(path: str = "/page", fields: str = "", *, method: str = "GET", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} http://{WWW}{path} HTTP/1.1\r\nHost: {WWW}\r\n{fields}{length}\r\n".encode() + body


def shown(wire: bytes, found: frozenset[bytes]) -> list[bytes]:
    return [needle for needle in found if needle in wire]


async def crosses(scene: Border, request: Planted) -> int:
    """Send a request with planted secrets; assert that none arrived, and return the status."""
    scene.sandbox.clear()
    scene.sandbox.answer = lambda received: reply(b"{}", fields=JSON)
    answer = await ask(scene, request.wire())
    assert shown(bytes(scene.sandbox.wire), request.needles) == []
    assert len(scene.sandbox.requests) == (answer.status == 200)
    return answer.status


@quick
@given(request=planted())
async def test_no_planted_secret_reaches_the_sandbox(drill: Border, request: Planted) -> None:
    assert await crosses(drill, request) in (200, 400)


@quick
@given(request=planted(isolates=False))
async def test_no_ruled_secret_reaches_a_sandbox_that_gets_the_browsers_cookies(
    passing: Border, request: Planted
) -> None:
    assert await crosses(passing, request) in (200, 400)


async def test_most_of_the_planted_requests_do_cross(drill: Border) -> None:
    statuses = Counter[int]()
    for number in range(20):
        body = json.dumps({"auth": {"token": f"prod-{number}"}, "n": number}).encode()
        request = Planted("POST", "/x?api_key=prod", (("Content-Type", "application/json"),), body, frozenset())
        statuses[await crosses(drill, request)] += 1
        assert json.loads(drill.sandbox.requests[0].body) == {"auth": {"token": "twin-json"}, "n": number}
        assert drill.sandbox.requests[0].target == "/x?api_key=twin%26query%2Fkey"
    assert statuses == {200: 20}


@quick
@given(request=planted(), coding=st.sampled_from(["gzip", "x-gzip", "GZIP"]))
async def test_no_secret_in_a_packed_body_reaches_the_sandbox(drill: Border, request: Planted, coding: str) -> None:
    if not request.body:
        return
    fields = (*request.fields, ("Content-Encoding", coding))
    packed = Planted(request.method, request.path, fields, gzip.compress(request.body), request.needles)
    await crosses(drill, packed)


@quick
@given(request=planted(), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), trails=st.booleans())
async def test_no_secret_in_a_chunked_body_reaches_the_sandbox(
    drill: Border, request: Planted, sizes: list[int], trails: bool
) -> None:
    if not request.body:
        return
    pieces, at = [], 0
    for size in (*sizes, len(request.body)):
        pieces += [chunk(request.body[at : at + size])] if at < len(request.body) else []
        at += size
    head = request.wire().partition(b"\r\n\r\n")[0].rpartition(b"\r\n")[0]  # without its length
    drill.sandbox.clear()
    drill.sandbox.answer = lambda received: reply(b"{}", fields=JSON)
    trailer = b"0\r\nX-Api-Key: zQ9-trailer\r\n\r\n" if trails else chunk(b"")
    answer = await ask(drill, head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(pieces) + trailer)
    assert answer.status == (0 if trails else 200)  # with a trailer the connection ends
    assert shown(bytes(drill.sandbox.wire), request.needles | {b"zQ9-trailer"}) == []


@quick
@given(request=planted())
async def test_no_secret_of_an_http_2_client_reaches_the_sandbox(drill: Border, request: Planted) -> None:
    drill.sandbox.clear()
    drill.sandbox.answer = lambda received: reply(b"{}", fields=JSON)
    fields: list[tuple[str | bytes, str | bytes]] = []
    for name, value in request.fields:
        parts = value.split("; ") if name.lower() == "cookie" else [value]  # RFC 9113 8.2.3: clients split it up
        fields += [(name.lower().encode(), part.encode("latin-1").strip()) for part in parts]
    async with asyncio.timeout(5), asking.two(drill.stage, steered=True) as two:
        stream = await two.start(asking.head(request.method, WWW, request.path, *fields), end=False)
        await two.data(stream, request.body, end=False)
        await two.trailers(stream, [("x-api-key", "zQ9-trailer")])
        answer = await two.answer(stream)
    assert answer.status in (200, 400)
    assert len(drill.sandbox.requests) == (answer.status == 200)
    assert shown(bytes(drill.sandbox.wire), request.needles | {b"zQ9-trailer"}) == []


@quick
@given(greeting=greetings(), secret=header_secrets, opcode=st.sampled_from([1, 2]))
async def test_no_secret_of_a_web_socket_reaches_the_sandbox(
    drill: Border, greeting: tuple[bytes, frozenset[bytes]], secret: str, opcode: int
) -> None:
    text, found = greeting
    drill.sandbox.clear()
    drill.sandbox.answer = lambda received: ACCEPTED
    drill.sandbox.speak = lambda message: "heard"
    offered = "bearer." + "".join(c for c in secret if c.isalnum())
    protocols = f"Sec-WebSocket-Protocol: graphql-ws, {offered}\r\nAuthorization: Bearer {secret}\r\n"
    async with asyncio.timeout(5), asking.line(drill.stage.proxy) as line:
        answer = await line.ask(get("/ws", protocols + asking.UPGRADE.decode()))
        assert answer.status == 101
        await line.send(asking.frame(text[:125], opcode=opcode))
        got, _ = await asking.message(line)
    wire = bytes(drill.sandbox.wire)
    assert shown(wire, found | needles(secret) | {offered.encode()}) == []
    assert b"twin-subprotocol" in wire
    assert bool(drill.sandbox.said) == (got in (1, 2))


# -- what a login gives, and to whom


async def logs_in(scene: Border, *, client: str = MEMBER, agent: str = "one") -> Answer:
    def answer(request: Received) -> Reply:
        fields = (
            f"{JSON}Set-Cookie: session=sandbox-cookie-{agent}; Path=/; HttpOnly\r\n"
            f"Set-Cookie: XSRF-TOKEN=sandbox-xsrf-{agent}; Path=/\r\nX-Partner-Token: sandbox-partner\r\n"
        )
        return reply(json.dumps({"access_token": f"sandbox-token-{agent}"}).encode(), fields=fields)

    scene.sandbox.answer = answer
    return await ask(scene, get("/login", f"User-Agent: {agent}\r\n", method="POST", body=b"x=1"), client=client)


async def seen(scene: Border, fields: str = "", *, client: str = MEMBER, agent: str = "one") -> dict[str, str]:
    """Ask once with production's credentials and return the fields that the sandbox got."""
    scene.sandbox.clear()
    scene.sandbox.answer = lambda request: reply(b"{}", fields=JSON)
    carried = "Authorization: Bearer prod-token\r\nCookie: session=prod-cookie; XSRF-TOKEN=prod-xsrf\r\n"
    await ask(
        scene, get("/page", f"User-Agent: {agent}\r\nX-Partner-Token: prod-partner\r\n{carried}{fields}"), client=client
    )
    assert b"prod-" not in scene.sandbox.wire
    return {name.lower(): value for name, value in scene.sandbox.requests[-1].fields}


async def test_a_login_teaches_cookie_token_and_header(drill: Border) -> None:
    client = MEMBERS[1]
    before = await seen(drill, client=client)
    assert not {"authorization", "cookie", "x-partner-token"} & before.keys()
    answer = await logs_in(drill, client=client)
    assert [value for name, value in answer.fields if name.lower() == "set-cookie"] == [
        "esr-XSRF-TOKEN=sandbox-xsrf-one; Path=/"
    ]
    after = await seen(drill, "X-XSRF-TOKEN: prod-xsrf\r\n", client=client)
    assert after["authorization"] == "Bearer sandbox-token-one"
    assert after["x-partner-token"] == "sandbox-partner"
    assert after["cookie"] == "session=sandbox-cookie-one; XSRF-TOKEN=sandbox-xsrf-one"
    assert after["x-xsrf-token"] == "sandbox-xsrf-one"


async def test_a_cookie_that_is_deleted_is_gone(drill: Border) -> None:
    client = MEMBERS[2]
    await logs_in(drill, client=client)
    drill.sandbox.answer = lambda request: reply(fields="Set-Cookie: session=; Path=/; Max-Age=0\r\n")
    await ask(drill, get("/logout", "User-Agent: one\r\n"), client=client)
    assert (await seen(drill, client=client))["cookie"] == "XSRF-TOKEN=sandbox-xsrf-one"


async def test_people_behind_one_address_have_jars_of_their_own(drill: Border) -> None:
    client = MEMBERS[3]
    await logs_in(drill, client=client, agent="one")
    assert "cookie" not in await seen(drill, client=client, agent="two")
    await logs_in(drill, client=client, agent="two")
    assert "sandbox-cookie-one" in (await seen(drill, client=client, agent="one"))["cookie"]
    assert "sandbox-cookie-two" in (await seen(drill, client=client, agent="two"))["cookie"]


@pytest.mark.parametrize("agent", ["a\r\nX: y", "ü" * 10])
async def test_a_twin_that_no_header_carries_is_not_learned(drill: Border, agent: str) -> None:
    client = MEMBERS[4]
    bad = json.dumps({"access_token": f"sandbox{agent}\x00"}).encode()
    drill.sandbox.answer = lambda request: reply(bad, fields=JSON)
    await ask(drill, get("/login"), client=client)
    assert "authorization" not in await seen(drill, client=client, agent="")


async def test_a_drill_ends_and_nothing_of_it_reaches_production(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with border(tmp_path_factory.mktemp("ending")) as scene:
        books = scene.stage.prod.books
        books.watch(b"sandbox-", b"twin", b"esr-")
        assert (await ask(scene, get("/echo", "Cookie: session=prod-cookie\r\n"))).side == "prod"
        await scene.stage.start()
        scene.stage.silence()
        await logs_in(scene)
        await seen(scene)
        assert books.silent
        await scene.stage.end()
        scene.stage.worker.pockets.keep_only([])
        await scene.stage.worker.pockets.catch_up()

        carried = "Cookie: session=prod-cookie; esr-XSRF-TOKEN=sandbox-xsrf-one; a=b\r\nUser-Agent: one\r\n"
        first = await ask(scene, get("/echo", carried))
        assert first.side == "prod"
        expiring = [value for name, value in first.fields if name.lower() == "set-cookie"]
        assert expiring[0].startswith("esr-XSRF-TOKEN=; Path=/; Max-Age=0")
        second = await ask(scene, get("/echo", "Cookie: session=prod-cookie; a=b\r\nUser-Agent: one\r\n"))
        assert "set-cookie" not in {name.lower() for name, _ in second.fields}
        sent = dict(books.last[-2].headers)
        assert sent["Cookie"] == "session=prod-cookie; a=b"
        assert books.found == {b"sandbox-": 0, b"twin": 0, b"esr-": 0}
        assert scene.stage.worker.pockets.at_hand("drill-1", "x") is None
        assert not scene.stage.worker.pockets._store._held  # type: ignore[attr-defined]


async def test_an_exposed_cookie_lives_no_longer_than_the_drill(drill: Border) -> None:
    late = formatdate(time.time() + 10**8, usegmt=True)
    drill.sandbox.answer = lambda request: reply(fields=f"Set-Cookie: XSRF-TOKEN=x; Expires={late}\r\n")
    answer = await ask(drill, get("/page", "User-Agent: expiry\r\n"))
    (line,) = [value for name, value in answer.fields if name.lower() == "set-cookie"]
    assert line.startswith("esr-XSRF-TOKEN=x; Path=/; Max-Age=0")  # the drill of these tests is long overdue


TWO_WORKERS = """
    credentials:
      - {in: header, name: Authorization, scheme: Bearer, twin: learned, learn: {pointer: /access_token}}
"""


async def test_what_one_worker_learns_every_other_knows_at_once() -> None:
    with tempfile.TemporaryDirectory(prefix="esr-") as folder:
        async with real(Path(folder), target=TWO_WORKERS, workers=2) as scene:
            for turn in range(12):
                token = json.dumps({"access_token": f"sandbox-token-{turn}"}).encode()
                cookie = f"{JSON}Set-Cookie: session=sandbox-cookie-{turn}\r\n"
                scene.sandbox.answer = lambda request, token=token, cookie=cookie: reply(token, fields=cookie)  # type: ignore[misc]
                await at_any(scene, "/login")
                scene.sandbox.clear()
                scene.sandbox.answer = lambda request: reply(b"{}", fields=JSON)
                for _ in range(8):
                    await at_any(scene, "/page")
                got = {(r.header("authorization"), r.header("cookie")) for r in scene.sandbox.requests}
                assert got == {(f"Bearer sandbox-token-{turn}", f"session=sandbox-cookie-{turn}")}
            assert b"prod-" not in scene.sandbox.wire


async def at_any(scene: Real, path: str) -> None:
    """Ask over a connection of its own, which any worker may get."""
    async with asyncio.timeout(5), asking.line(scene.port) as line:
        answer = await line.ask(get(path, "Authorization: Bearer prod-token\r\nCookie: session=prod-cookie\r\n"))
    assert answer.status == 200
