"""Every way a member's request can take through a worker, each as one call that says what came back."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping

from tests.e2e import asking
from tests.e2e.asking import Answer
from tests.e2e.stage import Stage

Shape = Callable[[Stage], Awaitable[Answer]]

WWW = b"Host: www.cms.example\r\n"
SECRET = b"Authorization: Bearer production-secret\r\nCookie: session=production-cookie\r\n"


async def plain(stage: Stage) -> Answer:
    async with asking.line(stage.proxy) as line:
        return await line.ask(b"GET http://www.cms.example/echo HTTP/1.1\r\n" + WWW + SECRET + b"\r\n")


async def tunnelled(stage: Stage) -> Answer:
    async with asking.tls(stage) as line:
        return await line.ask(b"GET /echo HTTP/1.1\r\n" + WWW + SECRET + b"\r\n")


async def steered(stage: Stage) -> Answer:
    async with asking.line(stage.steered) as line:
        return await line.ask(b"GET /echo HTTP/1.1\r\n" + WWW + SECRET + b"\r\n")


async def steered_tls(stage: Stage) -> Answer:
    async with asking.tls(stage, steered=True) as line:
        return await line.ask(b"GET /echo HTTP/1.1\r\n" + WWW + SECRET + b"\r\n")


async def http2(stage: Stage) -> Answer:
    async with asking.two(stage) as two:
        secret = ("authorization", "Bearer production-secret")
        return await two.ask(asking.head("POST", "www.cms.example", "/upload", secret), b"unframed")


async def websocket(stage: Stage) -> Answer:
    async with asking.line(stage.proxy) as line:
        answer = await line.ask(b"GET http://www.cms.example/ws HTTP/1.1\r\n" + WWW + SECRET + asking.UPGRADE + b"\r\n")
        if answer.status != 101:
            return answer
        await line.send(asking.frame(b"hello"))
        _, text = await asking.message(line)
        await line.send(asking.frame(b"\x03\xe8", opcode=8))
        await asking.message(line)
        return Answer(101 if text else 0, answer.fields, text)


async def upload(stage: Stage) -> Answer:
    async with asking.line(stage.proxy) as line:
        await line.send(b"POST http://www.cms.example/upload HTTP/1.1\r\n" + WWW + SECRET)
        await line.send(b"Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await asyncio.sleep(0.01)
        return await line.ask(b"6\r\nsecond\r\n0\r\n\r\n")


async def unreachable(stage: Stage) -> Answer:
    """Lead to a closed port of the sandbox."""
    async with asking.line(stage.proxy) as line:
        return await line.ask(b"GET http://dead.cms.example/echo HTTP/1.1\r\nHost: dead.cms.example\r\n\r\n")


async def forged(stage: Stage) -> Answer:
    """Lead to a sandbox address whose certificate is production's."""
    async with asking.tls(stage, "forged.cms.example", steered=True) as line:
        return await line.ask(b"GET /echo HTTP/1.1\r\nHost: forged.cms.example\r\n\r\n")


async def refused(stage: Stage) -> Answer:
    """Ask for a tunnel to where no route leads."""
    async with asking.line(stage.proxy) as line:
        return await line.ask(b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n")


async def pinned(stage: Stage) -> Answer:
    """Speak TLS that trusts nobody, as an application with a pinned certificate does."""
    async with asking.line(stage.steered) as line:
        await line.writer.start_tls(ssl.create_default_context(), server_hostname="www.cms.example")
    return asking.NOTHING


SHAPES: Mapping[str, Shape] = {
    "plain": plain,
    "CONNECT and TLS": tunnelled,
    "steered": steered,
    "steered TLS": steered_tls,
    "HTTP/2": http2,
    "WebSocket": websocket,
    "streamed upload": upload,
}
# These reach a sandbox in no state of the world; they make the hooks of failure fire.
FAILING: Mapping[str, Shape] = {
    "unreachable": unreachable,
    "forged": forged,
    "refused": refused,
    "pinned": pinned,
}


async def outcome(shape: Shape, stage: Stage, *, within_s: float = 3.0) -> Answer | None:
    """Return what one request came to, None where its client was left hanging."""
    try:
        async with asyncio.timeout(within_s):
            return await shape(stage)
    except TimeoutError:
        return None
    except (OSError, asyncio.IncompleteReadError):
        return asking.NOTHING


async def outcomes(shapes: Mapping[str, Shape], stage: Stage, *, within_s: float = 3.0) -> dict[str, Answer | None]:
    """Make all requests at once."""
    found = await asyncio.gather(*(outcome(shape, stage, within_s=within_s) for shape in shapes.values()))
    return dict(zip(shapes, found, strict=True))
