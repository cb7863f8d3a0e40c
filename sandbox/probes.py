"""Answers that put a proxy to the test. Every service gives them, at the same paths.

`/echo` what arrived · `/upload` counts a body · `/stream?bytes=` a long answer · `/slow?s=` a late one ·
`/answer?status=` any status · `/redirect?to=` · `/events?every=` server-sent events · `/ws` a WebSocket.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools

import orjson
from aiohttp import WSMsgType, web

from sandbox.calls import Call, Handler, Refused, json
from sandbox.side import Side

STREAM_LIMIT = 2 * 1024**3
SLOW_LIMIT_S = 30.0
_BLOCK = bytes(64 * 1024)


class Probes:
    def __init__(self, side: Side) -> None:
        self._side = side
        self._any: dict[str, Handler] = {
            "/echo": self._echo,
            "/redirect": self._redirect,
            "/slow": self._slow,
        }
        self._any["/answer"] = self._answer
        self._gets: dict[str, Handler] = {
            "/events": self._events,
            "/stream": self._stream,
            "/ws": self._socket,
        }

    def find(self, method: str, path: str) -> Handler | None:
        if path == "/upload" and method in ("POST", "PUT"):
            return self._upload
        return self._any.get(path) or (self._gets.get(path) if method == "GET" else None)

    async def _echo(self, call: Call) -> web.StreamResponse:
        count, digest = await _swallow(call.request)
        request = call.request
        return json(
            {
                "side": self._side,
                "method": request.method,
                "path": request.raw_path,
                "secure": request.secure,
                "peer": request.remote,
                "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers],
                "body_bytes": count,
                "body_sha256": digest,
            }
        )

    async def _upload(self, call: Call) -> web.StreamResponse:
        count, digest = await _swallow(call.request)
        return json({"side": self._side, "body_bytes": count, "body_sha256": digest}, status=201)

    async def _answer(self, call: Call) -> web.StreamResponse:
        status = int(call.number("status", default=200, most=599))
        if status < 200:
            raise Refused(400, f"status={status} is not a final status (200 to 599)")
        if status in (204, 205, 304):
            return web.Response(status=status)
        return json({"side": self._side, "status": status}, status=status)

    async def _redirect(self, call: Call) -> web.StreamResponse:
        place = call.request.query.get("to", "/")
        if not place.isascii() or not place.isprintable():
            raise Refused(400, f"to={place!r} is not a printable ASCII location")
        return web.Response(status=302, headers={"Location": place})

    async def _slow(self, call: Call) -> web.StreamResponse:
        seconds = call.number("s", default=1.0, most=SLOW_LIMIT_S)
        await asyncio.sleep(seconds)
        return json({"side": self._side, "waited_s": seconds})

    async def _stream(self, call: Call) -> web.StreamResponse:
        left = int(call.number("bytes", default=1024, most=STREAM_LIMIT))
        answer = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        answer.content_length = left
        await answer.prepare(call.request)
        while left and call.request.method != "HEAD":
            block = _BLOCK[:left]
            await answer.write(block)
            left -= len(block)
        return answer

    async def _events(self, call: Call) -> web.StreamResponse:
        every_s = max(0.01, call.number("every", default=0.5, most=SLOW_LIMIT_S))
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await answer.prepare(call.request)
        for number in itertools.count(1):
            data = orjson.dumps({"side": self._side, "n": number}).decode()
            await answer.write(f"id: {number}\ndata: {data}\n\n".encode())
            await asyncio.sleep(every_s)
        return answer

    async def _socket(self, call: Call) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=1024 * 1024)
        if not socket.can_prepare(call.request).ok:
            raise Refused(426, "this path speaks WebSocket only")
        await socket.prepare(call.request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(orjson.dumps({"side": self._side, "echo": message.data}).decode())
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
        return socket


async def _swallow(request: web.Request) -> tuple[int, str]:
    """Return length and SHA-256 of a body of any size in flat memory."""
    count, digest = 0, hashlib.sha256()
    async for chunk in request.content.iter_any():
        count += len(chunk)
        digest.update(chunk)
    return count, digest.hexdigest()
