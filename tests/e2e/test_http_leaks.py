"""The HTTP rows of LEAKS 4.5 over real sockets, for a member inside a drill.

Every test asserts what the client is told, that stand-in production hears nothing, and what the sandbox saw.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from sandbox.books import Entry
from tests.e2e import asking
from tests.e2e.asking import UPGRADE, Answer, Fields, Line, head
from tests.e2e.http_rows import API, OPENED, TABLE, WWW, Row, get, within
from tests.e2e.stage import OUTSIDER, Stage, stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with stage(tmp_path_factory.mktemp("scene")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def drill(scene: Stage) -> AsyncIterator[Stage]:
    """A running drill, begun after a member's request was seen to reach production (a dead sink proves nothing)."""
    assert (await send(scene, Row("control", get(WWW), 200))).side == "prod"
    await scene.start()
    await asyncio.sleep(0.01)
    scene.silence()
    scene.sandbox.books.last.clear()
    try:
        yield scene
    finally:
        await scene.end()


async def send(scene: Stage, row: Row) -> Answer:
    """Make the request of a row and read one answer, within 3 seconds."""
    async with asyncio.timeout(3):
        kind, _, host = row.door.rpartition(":")
        if kind == "h2":
            async with asking.two(scene, host, steered=True) as two:
                assert not isinstance(row.send, str | bytes)
                return await two.ask(row.send, row.body)
        text = row.send if isinstance(row.send, bytes) else str(row.send).encode("utf-8")
        text = text.replace(b"{admin}", b"%d" % scene.admin).replace(b"{proxy}", b"%d" % scene.proxy)
        if kind == "bare":
            async with asking.line(scene.proxy) as line:
                await line.send(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
                assert (await line.head()).status == 200
                return await line.ask(text)
        if host in ("regular", "steered"):
            async with asking.line(scene.proxy if host == "regular" else scene.steered) as line:
                return await line.ask(text)
        async with asking.tls(scene, host) as line:
            return await line.ask(text)


def entries(scene: Stage) -> list[Entry]:
    return list(scene.sandbox.books.last)


def named(table: Mapping[str, list[Row]]) -> list[object]:
    return [pytest.param(row, id=f"{number} {row.id}") for number, rows in table.items() for row in rows]


@pytest.mark.parametrize("row", named(TABLE))
async def test_a_request_that_could_lead_out_of_a_drill_does_not(drill: Stage, row: Row) -> None:
    answer = await send(drill, row)
    await asyncio.sleep(0.005)
    assert (answer.status, row.reason if row.reason in answer.reason else answer.reason) == (row.status, row.reason)
    assert [entry.path for entry in entries(drill)] == ([] if row.path is None else [row.path])
    assert answer.side == ("" if row.path is None else "sandbox")
    assert drill.prod.books.silent


ROUTING = {
    "X-Forwarded-Host": WWW,
    "X-Forwarded-For": "10.1.2.3",
    "X-Forwarded-Proto": "https",
    "X_Forwarded_Host": WWW,
    "Forwarded": f"host={WWW}",
    "X-Original-URL": "/admin",
    "X-Original-Host": WWW,
    "X-Rewrite-URL": "/admin",
    "X-Host": WWW,
    "X-HTTP-Method-Override": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Tenant": "production",
    "X-Env": "production",
    "X-Real-IP": "10.1.2.3",
    "True-Client-IP": "10.1.2.3",
    "CF-Connecting-IP": "10.1.2.3",
    "Via": "1.1 production",
    "X-HMS-Env": "production",
}
REMEMBERED = {
    "If-None-Match": '"production"',
    "If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT",
    "If-Range": '"production"',
    "If-Match": '"production"',
    "Range": "bytes=0-1",
    "Last-Event-ID": "production",
}
TRACING = {
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "tracestate": "production=1",
    "baggage": "production=1",
    "b3": "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1",
    "X-B3-TraceId": "80f198ee56343ba8",
    "sentry-trace": "production",
    "X-Amzn-Trace-Id": "Root=1-production",
    "uber-trace-id": "production",
    "X-Cloud-Trace-Context": "production",
    "X-Datadog-Trace-Id": "1",
    "X-Request-Id": "production",
}
CREDENTIALS = {
    "Authorization": "Bearer production-secret",
    "Cookie": "session=production-secret",
    "X-Api-Key": "production-secret",
    "X_Api_Key": "production-secret",
    "Api-Key": "production-secret",
    "X-Auth-Token": "production-secret",
    "X-Amz-Security-Token": "production-secret",
    "X-CSRF-Token": "production-secret",
    "X-Session-Id": "production-secret",
    "Ocp-Apim-Subscription-Key": "production-secret",
    "Cf-Access-Jwt-Assertion": "production-secret",
    "X-Access-Key": "production-secret",
    "X-Hub-Signature-256": "production-secret",
    "Client-Cert": ":production-secret:",
    "X-Remote-User": "production-secret",
    "DPoP": "production-secret",
    "Sec-WebSocket-Token": "production-secret",
    "Sec-WebSocket-Protocol": "base64url.bearer.authorization.production-secret",
    "Referer": f"https://{WWW}/reset?token=production-secret",
}
STRIPPED = {"HT-11": ROUTING, "HT-16": REMEMBERED, "DT-09": TRACING, "CR": CREDENTIALS}
ADDED = {"X-HMS-Env": "sandbox", "baggage": "env=sandbox,drill=drill-1"}


@pytest.mark.parametrize("door", [API, f"h2:{API}"], ids=["HTTP/1", "HTTP/2"])
@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(n, v, id=f"{number} {n}") for number, names in STRIPPED.items() for n, v in names.items()],
)
async def test_a_field_of_production_never_crosses(drill: Stage, name: str, value: str, door: str) -> None:
    drill.sandbox.books.watch(b"production-secret")
    row = Row(name, within(API, "/echo", more=f"{name}: {value}\r\nX-Plain: stays\r\n"), 200, door=door)
    if door != API:
        row = Row(name, head("GET", API, "/echo", (name.lower(), value), ("x-plain", "stays")), 200, door=door)
    answer = await send(drill, row)
    (entry,) = entries(drill)
    fields = {key.lower(): text for key, text in entry.headers}
    assert answer.status == 200
    assert fields.get(name.lower()) == {key.lower(): text for key, text in ADDED.items()}.get(name.lower())
    assert fields["x-plain"] == "stays"
    assert fields["host"].startswith("sandbox-svc.test:")
    assert entry.credentials == ()
    assert drill.sandbox.books.found[b"production-secret"] == 0
    assert drill.prod.books.silent


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("a=1&api_key=production-secret&b=2", "a=1&b=2"),
        ("access_token=production-secret", ""),
        ("%61ccess%5Ftoken=production-secret&b=2", "b=2"),
        ("access%255Ftoken=production-secret&b=2", "b=2"),
        ("a=1;token=production-secret;b=2", "a=1;b=2"),
        ("token[]=production-secret&a[]=1", "a[]=1"),
        ("TOKEN=production-secret&+sid+=production-secret&x=%20", "x=%20"),
        ("X-Amz-Signature=production-secret&X-Amz-Date=1", "X-Amz-Date=1"),
    ],
)
async def test_a_credential_in_the_query_never_crosses(drill: Stage, query: str, left: str) -> None:
    drill.sandbox.books.watch(b"production-secret")
    answer = await send(drill, Row("query", within(API, f"/echo?{query}"), 200, door=API))
    assert f'"path":"/sandbox/echo{"?" + left if left else ""}"' in answer.body.decode()
    assert drill.sandbox.books.found[b"production-secret"] == 0
    assert drill.prod.books.silent


@pytest.mark.parametrize(
    "fields",
    [head("GET", WWW, "/echo", ("x", f"a\r\n\r\n{OPENED}")), head("GET", WWW, f"/echo HTTP/1.1\r\n\r\n{OPENED}")],
    ids=["in a value", "in :path"],
)
async def test_a_member_outside_a_drill_cannot_split_a_request_to_production(scene: Stage, fields: Fields) -> None:
    """HT-02: the worker makes HTTP/1 of HTTP/2, and must not make two requests of one."""
    scene.silence()
    answer = await send(scene, Row("split", fields, 400, door=f"h2:{WWW}"))
    assert (answer.status, answer.reason) == (400, "line break in request")
    assert scene.prod.books.silent


async def test_proxy_credentials_of_nobody_are_refused_and_go_nowhere(drill: Stage) -> None:
    more = "Proxy-Authorization: Basic cHJvZHVjdGlvbjpzZWNyZXQ=\r\n"
    for row in (
        Row("in the clear", get(WWW, more=more), 407),
        Row("in TLS", within(WWW, "/", more=more), 407, door=WWW),
    ):
        answer = await send(drill, row)
        assert answer.status == 407
    assert entries(drill) == []
    assert drill.prod.books.silent


async def test_two_cookie_fields_of_http2_never_cross(drill: Stage) -> None:
    """HT-22."""
    fields = head("GET", WWW, "/echo", ("cookie", "a=production-cookie"), ("cookie", "session=production-cookie"))
    answer = await send(drill, Row("cookies", fields, 200, door=f"h2:{WWW}"))
    assert answer.status == 200
    assert not drill.sandbox.books.saw("production-cookie")
    assert drill.prod.books.silent


async def test_trailers_of_http2_never_cross(drill: Stage) -> None:
    """HT-21."""
    drill.sandbox.books.watch(b"production-secret")
    async with asyncio.timeout(3), asking.two(drill) as two:
        stream = await two.start(head("POST", WWW, "/upload"), end=False)
        await two.data(stream, b"abc", end=False)
        await two.trailers(stream, [("authorization", "production-secret")])
        answer = await two.answer(stream)
    assert (answer.status, answer.side) == (201, "sandbox")
    assert drill.sandbox.books.found[b"production-secret"] == 0
    assert drill.prod.books.silent


async def test_origin_becomes_that_of_the_sandbox(drill: Stage) -> None:
    """HT-14."""
    await send(drill, Row("origin", within(API, "/echo", more=f"Origin: https://{WWW}\r\n"), 200, door=API))
    (entry,) = entries(drill)
    assert dict(entry.headers)["Origin"] == f"https://sandbox-mfe.test:{drill.sandbox.tls_port}"


async def test_extended_connect_is_not_offered(drill: Stage) -> None:
    """WS-12: SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441 3) is 0x8."""
    async with asyncio.timeout(3), asking.two(drill) as two:
        await two.ask(head("GET", WWW, "/echo"))
        assert two.settings.get(0x8, 0) == 0


Script = Callable[[Line, bytes], Awaitable[None]]


@asynccontextmanager
async def hostile(drill: Stage, answer: bytes, heard: list[bytes]) -> AsyncIterator[None]:
    """Let `http://raw.cms.example` lead to a sandbox that answers every connection with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        heard.append(await reader.read(65536))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.2.1", drill.raw, reuse_port=True):
        yield


RAW = "raw.cms.example"
ENDING = b"Content-Length: 2\r\n\r\nok"
ANSWERS: Mapping[str, tuple[bytes, int, Mapping[str, str]]] = {
    "HT-12 Location to production stays": (
        b"HTTP/1.1 302 Found\r\nLocation: http://www.cms.example/x\r\n" + ENDING,
        302,
        {"location": "http://www.cms.example/x"},
    ),
    "HT-13 Location to the sandbox comes back": (
        b"HTTP/1.1 302 Found\r\nLocation: http://sandbox-raw.test:{raw}/x?y\r\n" + ENDING,
        302,
        {"location": "http://raw.cms.example/x?y"},
    ),
    "HT-16 validators": (
        b'HTTP/1.1 200 OK\r\nETag: "x"\r\nLast-Modified: x\r\nExpires: x\r\nCache-Control: max-age=9\r\n' + ENDING,
        200,
        {"etag": "", "last-modified": "", "expires": "", "cache-control": "no-store"},
    ),
    "HT-19 early hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: <https://www.cms.example/x>; rel=preload\r\n\r\n"
        b"HTTP/1.1 200 OK\r\n" + ENDING,
        502,
        {"link": ""},
    ),
    "HT-19 preload": (
        b"HTTP/1.1 200 OK\r\nLink: <https://www.cms.example/x>; rel=preload\r\n" + ENDING,
        200,
        {"link": ""},
    ),
    "BR cookies, service workers, alternatives": (
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nService-Worker-Allowed: /\r\nAlt-Svc: h3=x\r\n"
        b"Strict-Transport-Security: max-age=9\r\nClear-Site-Data: x\r\nReport-To: x\r\nNEL: x\r\n" + ENDING,
        200,
        dict.fromkeys(
            ("set-cookie", "service-worker-allowed", "alt-svc", "strict-transport-security", "report-to", "nel"), ""
        ),
    ),
    "a mark that is not ours": (
        b"HTTP/1.1 200 OK\r\nX-HMS-Drill: production\r\n" + ENDING,
        200,
        {"x-hms-drill": "drill-1"},
    ),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n" + ENDING, 502, {}),
}


@pytest.mark.parametrize("case", ANSWERS)
async def test_an_answer_of_the_sandbox_leaves_nothing_in_the_client(drill: Stage, case: str) -> None:
    answer, status, fields = ANSWERS[case]
    heard: list[bytes] = []
    async with hostile(drill, answer.replace(b"{raw}", b"%d" % drill.raw), heard):
        found = await send(drill, Row(case, get(RAW), status))
    assert (found.status, {name: found.header(name) for name in fields}) == (status, fields)
    assert drill.prod.books.silent


async def test_a_switch_of_protocols_nobody_asked_for_is_no_tunnel(drill: Stage) -> None:
    """HT-09: 101 from a sandbox never becomes a tunnel that carries what was not read."""
    heard: list[bytes] = []
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    async with hostile(drill, upgrade, heard), asyncio.timeout(3), asking.line(drill.proxy) as line:
        await line.send(get(RAW).encode())
        await line.head()
        await line.send(b"PRI * HTTP/2.0\r\n\r\nproduction-secret")
        await line.is_closed()
    assert b"production-secret" not in b"".join(heard)
    assert drill.prod.books.silent


async def test_following_a_redirect_to_production_ends_in_the_sandbox(drill: Stage) -> None:
    """HT-12: an absolute URL of production is mapped when it comes back."""
    first = await send(drill, Row("redirect", get(WWW, path=f"/redirect?to=http://{WWW}/echo"), 302))
    second = await send(drill, Row("follow", get(WWW, target=first.header("location")), 200))
    assert (first.status, second.side) == (302, "sandbox")
    assert drill.prod.books.silent


async def test_a_client_outside_every_drill_cannot_reach_the_switchboard_through_it(scene: Stage) -> None:
    """HT-27: neither the admin port by any spelling nor a link-local service."""
    reached: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(await reader.read(100))
        writer.close()

    places = ["127.0.0.1:{admin}", "localhost:{admin}", "[::ffff:127.0.0.1]:{admin}", "2130706433:{admin}"]
    places += ["0.0.0.0:{admin}", "0:{admin}", "169.254.169.254", "[fe80::1]", "224.0.0.1"]
    async with await asyncio.start_server(serve, "127.0.0.1", scene.admin, reuse_port=True):
        for place in (place.format(admin=scene.admin) for place in places):
            async with asyncio.timeout(3), asking.line(scene.proxy, client=OUTSIDER) as line:
                answer = await line.ask(get(place).encode())
            assert answer.status in (400, 502), place
        async with asyncio.timeout(3), asking.line(scene.proxy, client=OUTSIDER) as line:
            await line.send(f"CONNECT 127.0.0.1:{scene.admin} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await line.head()
            await line.send(b"GET /api/esr/state HTTP/1.1\r\n\r\n")
            await line.is_closed()
    assert reached == []


async def test_websocket_fields_cross_and_secrets_beside_them_do_not(drill: Stage) -> None:
    more = (
        UPGRADE.decode() + "Sec-WebSocket-Protocol: chat, bearer.production-secret\r\nCookie: a=production-secret\r\n"
    )
    drill.sandbox.books.watch(b"production-secret")
    async with asyncio.timeout(3), asking.line(drill.proxy) as line:
        await line.send(get(WWW, path="/ws", more=more).encode())
        assert (await line.head()).status == 101
        await line.send(asking.frame(b"hello"))
        _, text = await asking.message(line)
    assert b'"side":"sandbox"' in text
    (entry,) = entries(drill)
    assert dict(entry.headers)["Sec-WebSocket-Protocol"] == "chat"
    assert drill.sandbox.books.found[b"production-secret"] == 0
    assert drill.prod.books.silent
