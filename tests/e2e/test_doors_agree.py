"""What comes in by one door is treated as what comes in by the other, byte for byte, in the clear and in TLS."""

from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import pytest_asyncio
import zstandard

from tests.e2e import asking
from tests.e2e.asking import Line
from tests.e2e.border import API, MEMBERS, WWW, Border, border
from tests.e2e.origin import Hangup, Origin, Received, Reply, chunk, echo, reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

HTML = "Content-Type: text/html; charset=utf-8\r\n"
JSON = "Content-Type: application/json\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded\r\n"
MULTIPART = "Content-Type: multipart/form-data; boundary=b\r\n"
LOGIN = "Authorization: Bearer prod-token\r\nCookie: session=prod-session; theme=dark\r\nX-Api-Key: prod-key\r\n"


@dataclass(frozen=True, slots=True)
class Row:
    """One request. `at` is the sandbox's own address in an answer's text."""

    id: str
    path: str = "/page?a=1&b=%20x"
    method: str = "GET"
    host: str = WWW
    fields: str = ""
    body: bytes = b""
    answer: Callable[[str], Reply] = lambda at: echo(Received(b""))


def text(body: str, fields: str = HTML, *, status: int = 200) -> Callable[[str], Reply]:
    return lambda at: reply(body.replace("@", at).encode(), status=status, fields=fields.replace("@", at))


def coded(pack: Callable[[bytes], bytes], name: str) -> Callable[[str], Reply]:
    page = "<html><body><a href='http://@/x'>x</a></body></html>"
    return lambda at: reply(pack(page.replace("@", at).encode()), fields=f"{HTML}Content-Encoding: {name}\r\n")


def in_pieces(at: str) -> Reply:
    return reply(fields=f"{JSON}Transfer-Encoding: chunked\r\n", length=False) + (
        chunk(b'{"next": "http://') + chunk(at[:9].encode()) + chunk(at[9:].encode() + b'/page/2"}') + chunk(b"")
    )


async def events(at: str) -> AsyncIterator[bytes]:
    yield reply(fields="Content-Type: text/event-stream\r\nConnection: close\r\n", length=False)
    for number in range(3):
        yield f"id: {number}\ndata: http://{at}/{number}\n\n".encode()
        await asyncio.sleep(0.01)
    raise Hangup


async def cut(at: str) -> AsyncIterator[bytes]:
    yield reply(b"{}", fields=JSON, length=False)
    raise Hangup


FILE = b"".join(
    b"--b\r\nContent-Disposition: form-data; name=%b\r\n\r\n%b\r\n" % part
    for part in [(b'"password"', b"prod-password"), (b'"file"; filename="a.bin"', bytes(range(256)) * 20)]
)
SET = "Set-Cookie: session=sandbox-1; Path=/; HttpOnly\r\nSet-Cookie: XSRF-TOKEN=x1; Path=/\r\n"
ROWS = [
    Row("plain"),
    Row("credentials", fields=LOGIN),
    Row("basic", fields="Authorization: Basic cHJvZDpwYXNz\r\n"),
    Row("unruled credentials", fields="X-Auth-Token: prod-1\r\nProxy-Authorization-2: prod-2\r\n"),
    Row("query", path="/q?api_key=prod-key&token=prod-2&page=3;x=1"),
    Row("path parameter", path="/q;jsessionid=prod-3/x"),
    Row("JSON", "/login", "POST", fields=JSON, body=b'{"auth": {"token": "prod-json"}, "password": "prod", "n": 1e2}'),
    Row("form", "/login", "POST", fields=FORM, body=b"user=a+b&password=prod%2Dpass&x="),
    Row("multipart", "/upload", "POST", fields=MULTIPART, body=FILE + b"--b--\r\n"),
    Row("JSON that is none", "/login", "POST", fields=JSON, body=b'{"auth": '),
    Row("upload", "/upload", "PUT", fields="Content-Type: application/pdf\r\n", body=bytes(200_000)),
    Row("tracing and conditions", fields="traceparent: 00-1-2-03\r\nIf-None-Match: x\r\nRange: bytes=1-2\r\n"),
    Row("origin", fields=f"Origin: https://{WWW}\r\nReferer: https://{WWW}/a\r\n"),
    Row("agents", fields="User-Agent: agent/1.0\r\nAccept: */*\r\nAccept-Encoding: gzip, br, zstd, sdch\r\n"),
    Row("prefix", "/profile/a%20b?x=1", host=API),
    Row("prefix itself", "/profile", host=API),
    Row("other side of a border", "/profiles/1", host=API),
    Row("method that is not accepted", "/profile", "DELETE", API),
    Row("dot segments", "/profile/../x", host=API),
    Row("route without a prefix", "/v1/x", "PATCH", API, JSON, b"{}"),
    Row("mock", "/pay/1", "POST", "payments.example", JSON, b'{"amount": 3}'),
    Row("mock of text", "/text", host="mocks.example"),
    Row("template", "/hello?name=Ada", host="mocks.example"),
    Row("template, HEAD", "/hello?name=Ada", "HEAD", host="mocks.example"),
    Row("not listed", host="elsewhere.example"),
    Row("left out on purpose", host="other.cms.example"),
    Row("unknown method", method="TRACE"),
    Row("two hosts", fields="Host: other.example\r\n"),
    Row("redirect", answer=text("", "Location: http://@/next?x=1\r\n", status=302)),
    Row("redirect to a path", "/profile", host=API, answer=text("", "Location: /sandbox/profile/2\r\n", status=307)),
    Row("links", answer=text("", "Link: <http://@/a>; rel=preload\r\nRefresh: 1; url=http://@/b\r\n")),
    Row("policy", answer=text("<body>", f"{HTML}Content-Security-Policy: default-src http://@\r\nETag: x\r\n")),
    Row("page", answer=text("<!doctype html><body><a href='http://@/x'>x</a>")),
    Row("style", answer=text("a { background: url(//@/x.png) }", "Content-Type: text/css\r\n")),
    Row("escaped", answer=text('{"a": "http:\\/\\/@\\/x", "b": "http%3A%2F%2F@%2Fx"}', JSON)),
    Row("binary", answer=text("\0\1 http://@/x", "Content-Type: image/png\r\n")),
    Row("in pieces", answer=in_pieces),
    Row("gzip", answer=coded(gzip.compress, "gzip"), fields="Accept-Encoding: gzip\r\n"),
    Row("deflate", answer=coded(zlib.compress, "deflate")),
    Row("br", answer=coded(brotli.compress, "br"), fields="Accept-Encoding: br\r\n"),
    Row("zstd", answer=coded(zstandard.compress, "zstd")),
    Row("unknown coding", answer=coded(bytes, "snappy")),
    Row("HEAD", method="HEAD", answer=lambda at: reply(fields=f"{HTML}Content-Length: 123\r\n", length=False)),
    Row("204", answer=lambda at: reply(status=204, length=False)),
    Row("304", answer=lambda at: reply(status=304, fields="ETag: x\r\n", length=False)),
    Row("range", fields="Range: bytes=0-3\r\n", answer=text("http://@/", f"{HTML}Content-Range: bytes 0-3/9\r\n")),
    Row("server error", answer=text("no", status=503)),
    Row("cookies", "/login", "POST", fields=FORM, body=b"password=prod", answer=text("in", SET)),
    Row("cookies again", fields=LOGIN),
    Row("token", "/token", "POST", answer=text('{"access_token": "sandbox-token", "next": "http://@/x"}', JSON)),
    Row("token again", fields=LOGIN),
    Row("script's own", fields="X-XSRF-TOKEN: prod-x\r\nCookie: XSRF-TOKEN=prod-x; esr-XSRF-TOKEN=x1\r\n"),
    Row("events", answer=events),
    Row("ended by the connection", answer=cut),
]

DOORS = {"in the clear": ("regular", "steered"), "in TLS": ("regular, TLS", "steered, TLS")}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drill(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Border]:
    async with border(tmp_path_factory.mktemp("scene")) as found:
        await found.stage.start()
        yield found


def opened(scene: Border, door: str, host: str) -> AbstractAsyncContextManager[Line]:
    client = MEMBERS[["regular", "steered", "regular, TLS", "steered, TLS"].index(door)]
    steered = door.startswith("steered")
    if door.endswith("TLS"):
        return asking.tls(scene.stage, host, client=client, steered=steered)
    return asking.line(scene.stage.steered if steered else scene.stage.proxy, client=client)


async def heard(line: Line) -> bytes:
    """Return all bytes until the end."""
    found = b""
    async with asyncio.timeout(5):
        while data := await line.reader.read(65536):
            found += data
    return found


_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")


def unframed(answer: bytes) -> tuple[bytes, bytes]:
    """Return head and body of an answer without the marks of its chunks, which fall as the network will."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"chunked" not in head.lower():
        return head, rest
    body = b""
    while (mark := _CHUNK.match(rest)) and (size := int(mark[1], 16)):
        body += rest[mark.end() : mark.end() + size]
        rest = rest[mark.end() + size + 2 :]
    return head, body


async def treated(scene: Border, row: Row, door: str) -> tuple[list[Received], tuple[bytes, bytes], list[str]]:
    """Send a row through a door; return what the sandbox got, what the client got, and what was counted."""
    for one, port in ((scene.sandbox, scene.stage.raw), (scene.secure, scene.stage.tls_raw)):
        one.clear()
        one.answer = answering(row, f"sandbox-{'raw' if one is scene.sandbox else 'svc'}.test:{port}")
    scene.counted()
    origin = f"http://{row.host}" if door == "regular" else ""
    length = f"Content-Length: {len(row.body)}\r\n" if row.body or row.method == "POST" else ""
    head = (
        f"{row.method} {origin}{row.path} HTTP/1.1\r\nHost: {row.host}\r\n{row.fields}{length}Connection: close\r\n\r\n"
    )
    async with opened(scene, door, row.host) as line:
        await line.send(head.encode() + row.body)
        answer = unframed(await heard(line))
    counted = [name for name in scene.counted() if not name.startswith("dial:")]
    return [*scene.sandbox.requests, *scene.secure.requests], answer, sorted(counted)


def answering(row: Row, at: str) -> Callable[[Received], Reply]:
    return lambda request: row.answer(at)


@pytest.mark.parametrize("doors", DOORS)
@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS])
async def test_both_doors_treat_a_request_alike(drill: Border, row: Row, doors: str) -> None:
    one, other = DOORS[doors]
    try:
        first = await treated(drill, row, one)
    except ConnectionRefusedError as refused:  # the tunnel itself is refused: the same answer, one step earlier
        status = int(refused.args[0])
        received, (head, _), _ = await treated(drill, row, other)
        assert (received, head.split()[1]) == ([], b"%d" % status)
        return
    second = await treated(drill, row, other)
    assert first[1] == second[1]
    assert first[0] == second[0]
    assert first[2] == second[2]
    assert first[1][0].startswith(b"HTTP/1.1 ")


async def test_what_the_table_is_made_of_reaches_the_sandbox_and_comes_back_rewritten(drill: Border) -> None:
    rows = {row.id: row for row in ROWS}
    received, (head, body), _ = await treated(drill, rows["gzip"], "steered")
    assert f"http://{WWW}/x".encode() in gzip.decompress(body)
    assert b"DRILL" in gzip.decompress(body)
    assert received[0].header("host") == f"sandbox-raw.test:{drill.stage.raw}"
    assert b"content-length" not in head.lower()
    received, _, _ = await treated(drill, rows["token again"], "steered")
    assert received[0].header("authorization") == "Bearer sandbox-token"
    assert received[0].header("cookie") == "session=sandbox-1; XSRF-TOKEN=x1"


async def test_a_client_of_two_doors_has_one_jar(drill: Border) -> None:
    rows = {row.id: row for row in ROWS}
    received, _, _ = await treated(drill, rows["cookies again"], "regular")
    assert received[0].header("cookie") == "session=sandbox-1; XSRF-TOKEN=x1"


def scripted(origin: Origin, answer: Callable[[Received], Reply]) -> None:
    origin.answer = answer


async def test_both_doors_treat_a_web_socket_alike(drill: Border, tmp_path: Path) -> None:
    found = []
    at = f"sandbox-raw.test:{drill.stage.raw}"
    for door in ("regular", "steered", "regular, TLS", "steered, TLS"):
        drill.sandbox.clear()
        scripted(drill.sandbox, lambda request: ACCEPTED)
        drill.sandbox.speak = lambda message: f'{{"see": "ws://{at}/x"}}'
        async with opened(drill, door, WWW) as line:
            origin = f"http://{WWW}" if door == "regular" else ""
            await line.send(f"GET {origin}/ws HTTP/1.1\r\nHost: {WWW}\r\n{LOGIN}".encode() + asking.UPGRADE + b"\r\n")
            head = await line.head()
            await line.send(asking.frame(b'{"token": "prod-socket"}'))
            said = await asking.message(line)
        found.append((head, said, drill.sandbox.requests[0], drill.sandbox.said))
    assert found[0] == found[1]
    assert found[2] == found[3]
    assert found[0][1] == (1, f'{{"see": "ws://{WWW}/x"}}'.encode())
    assert found[2][1] == (1, f'{{"see": "wss://{WWW}/x"}}'.encode())
    assert found[0][3] == ['{"token": "twin-socket"}']


ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
