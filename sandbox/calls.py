"""One request on its way to a service, and what a service is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from aiohttp import web

JSON_LIMIT = 64 * 1024


class Refused(Exception):
    """The request is at fault: answered as JSON with `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """`path` is what the service knows: prefixes of the route are taken off."""

    request: web.Request
    path: str

    @property
    def session(self) -> str | None:
        return self.request.cookies.get("session")

    @property
    def bearer(self) -> str | None:
        """The token of an `Authorization: Bearer` (RFC 6750 2.1)."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    async def json_object(self) -> Mapping[str, Any]:
        """Return the body as a JSON object (64 KiB at most); raises Refused."""
        body = bytearray()
        async for chunk in self.request.content.iter_any():
            body += chunk
            if len(body) > JSON_LIMIT:
                raise Refused(413, f"the body is longer than {JSON_LIMIT} bytes")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"the body is not JSON: {error}") from error
        if not isinstance(value, dict):
            raise Refused(400, "the body is not a JSON object")
        return value

    def number(self, name: str, *, default: float, most: float) -> float:
        """Return the query parameter `name` between 0 and `most`; raises Refused."""
        text = self.request.query.get(name, str(default))
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            raise Refused(400, f"{name}={text!r} is not a number from 0 to {most:g}")
        return value


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


class Service(Protocol):
    """`find` returns who answers a method (HEAD arrives as GET) and path, None for a path it never had."""

    def find(self, method: str, path: str) -> Handler | None: ...


def json(value: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return `value` as a JSON answer that no cache keeps."""
    fields = {"Cache-Control": "no-store", **(headers or {})}
    return web.Response(body=orjson.dumps(value), content_type="application/json", status=status, headers=fields)
