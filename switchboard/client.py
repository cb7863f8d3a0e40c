"""The client of the admin's HTTP API: each call returns plain JSON, each refusal raises from `errors`."""

from __future__ import annotations

import asyncio
import hashlib
import io
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import orjson
from aiohttp import (
    ClientConnectionError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
)

from switchboard.errors import BadInput, Conflict, EsrError, NotFound, Unauthorised, Unavailable

CALL_TIMEOUT_S = 60.0  # a start waits for every node
CONNECT_TIMEOUT_S = 5.0
SILENCE_S = 10.0  # of a stream that sends once a second
RECONNECT_S = 1.0
_MOST_UNSURE = 100

Json = dict[str, Any]

_KINDS: Mapping[int, type[EsrError]] = {
    401: Unauthorised,
    404: NotFound,
    409: Conflict,
    429: Unauthorised,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


class ApiClient:
    """`async with ApiClient(url, token=token) as api: await api.state()`.

    Every method raises BadInput, Unauthorised, NotFound, Conflict or Unavailable as the admin says it;
    `code` is the problem's. Proxy variables of the environment are not followed: the admin is asked,
    never a proxy.
    """

    def __init__(self, url: str, *, token: str | None = None) -> None:
        self._url = _checked(url)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._session: ClientSession | None = None
        self._unsure: Json = {}  # keys of outcomes that may have been counted, by digest of drill and lines

    async def __aenter__(self) -> Self:
        self._session = ClientSession(trust_env=False, headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    # -- switch

    async def state(self) -> Json:
        """Return the state object."""
        return await self._json("GET", "/api/esr/state")

    async def set_mode(
        self,
        mode: str,
        *,
        target: str | None = None,
        cohort: str | None = None,
        if_match: int | None = None,
    ) -> Json:
        """Turn the small toggle and return the state after it; `if_match` is the epoch it builds upon."""
        body = _given(mode=mode, target=target, cohort=cohort)
        headers = {} if if_match is None else {"If-Match": str(if_match)}
        return await self._json("PUT", "/api/esr/mode", body=body, headers=headers)

    async def start_drill(
        self,
        *,
        scenario: str | None = None,
        target: str | None = None,
        cohort: str | None = None,
        **overrides: Any,
    ) -> Json:
        """Start a drill and return it. A None leaves a key out; cohort "none" is traffic only.

        `overrides`: owner, max, speed, users, duration, seed.
        """
        body = _given(scenario=scenario, target=target, cohort=cohort, **overrides)
        return await self._json("POST", "/api/esr/drills", body=body)

    async def drills(self) -> list[Json]:
        """Return every drill that is not long over, oldest first."""
        return list((await self._json("GET", "/api/esr/drills"))["drills"])

    async def drill(self, drill_id: str) -> Json:
        """Return one drill."""
        return await self._json("GET", _drill_path(drill_id))

    async def stop_drill(self, drill_id: str) -> Json:
        """End a drill and return it; its phase is `draining` when some node needs longer."""
        return await self._json("POST", _drill_path(drill_id, "stop"))

    async def pause_drill(self, drill_id: str) -> Json:
        """Pause a drill's traffic and return the drill."""
        return await self._json("POST", _drill_path(drill_id, "pause"))

    async def resume_drill(self, drill_id: str) -> Json:
        """Resume a drill's traffic and return the drill."""
        return await self._json("POST", _drill_path(drill_id, "resume"))

    # -- figures

    async def follow_score(self, *, drill: str | None = None, patience_s: float = 10.0) -> AsyncIterator[Json]:
        """Yield the scorecard once a second; resumes where it was when the connection breaks.

        Raises Unavailable when no connection could be had for `patience_s`. Does not end by itself
        while the admin runs and the drill is known.
        """
        last_id: str | None = None
        loop = asyncio.get_running_loop()
        heard_at = loop.time()
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
            timeout = ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)
            try:
                async with self._answer(
                    "GET", "/api/esr/score", params=_given(drill=drill), headers=headers, timeout=timeout
                ) as answer:
                    async for event_id, data in _events(answer):
                        heard_at = loop.time()
                        last_id = event_id or last_id
                        yield orjson.loads(data)
            except Unavailable:
                if loop.time() - heard_at > patience_s:
                    raise
            await asyncio.sleep(RECONNECT_S)

    async def post_outcomes(self, lines: bytes, *, drill: str | None = None, key: str | None = None) -> Json:
        """Send NDJSON outcomes and return `{"drill","counted"}`; all lines are counted or none.

        After Unavailable they may or may not be counted: call again with the same lines, and they count once. `key`
        names them beyond the life of this client; by default they get a name of their own.
        """
        name = hashlib.sha256((drill or "").encode() + b"\0" + lines).hexdigest()
        key = key or self._unsure.pop(name, None) or uuid.uuid4().hex
        try:
            return await self._json(
                "POST",
                "/api/esr/score/events",
                params=_given(drill=drill),
                data=io.BytesIO(lines),
                headers={"Content-Type": "application/x-ndjson", "Idempotency-Key": key},
            )
        except (Unavailable, asyncio.CancelledError):
            self._unsure[name] = key
            if len(self._unsure) > _MOST_UNSURE:
                del self._unsure[next(iter(self._unsure))]
            raise

    async def leaks(self, *, drill: str | None = None) -> Json:
        """Return the leak report."""
        return await self._json("GET", "/api/esr/leaks", params=_given(drill=drill))

    async def outbox(self, *, drill: str | None = None, limit: int | None = None) -> Json:
        """Return `{"drill","entries"}`: what mocks swallowed, the newest first."""
        return await self._json("GET", "/api/esr/outbox", params=_given(drill=drill, limit=limit))

    async def scenarios(self) -> list[Json]:
        """Return the scenarios, broken ones with `error`."""
        return list((await self._json("GET", "/api/esr/scenarios"))["scenarios"])

    async def targets(self) -> Json:
        """Return `{"targets": [...], "cohorts": [...]}`."""
        return await self._json("GET", "/api/esr/targets")

    # -- the admin itself

    async def health(self) -> Json:
        """Return when the admin runs."""
        return await self._json("GET", "/healthz")

    async def readiness(self) -> Json:
        """Return `{"ready","epoch","degraded","waiting"}`, whether it is ready or not."""
        async with self._answer("GET", "/readyz", accept=frozenset({503})) as answer:
            return _object(await answer.read(), self._url)

    async def openapi(self) -> Json:
        """Return the description of the API."""
        return await self._json("GET", "/api/esr/openapi.json")

    async def metrics(self) -> str:
        """Return the metrics in Prometheus' text format."""
        return (await self._bytes("/metrics")).decode()

    async def proxy_pac(self) -> str:
        """Return the proxy configuration script."""
        return (await self._bytes("/proxy.pac")).decode()

    async def ca_pem(self) -> bytes:
        """Return the certificate that clients have to trust."""
        return await self._bytes("/ca.pem")

    # -- inside

    async def _bytes(self, path: str) -> bytes:
        async with self._answer("GET", path) as answer:
            return await answer.read()

    async def _json(self, method: str, path: str, *, body: Json | None = None, **more: Any) -> Json:
        if body is not None:
            more["data"] = orjson.dumps(body)
            more["headers"] = {"Content-Type": "application/json", **more.get("headers", {})}
        async with self._answer(method, path, **more) as answer:
            return _object(await answer.read(), self._url)

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, *, accept: frozenset[int] = frozenset(), **more: Any
    ) -> AsyncIterator[ClientResponse]:
        if self._session is None:
            raise RuntimeError("ApiClient is used as `async with`")
        more.setdefault("timeout", ClientTimeout(total=CALL_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S))
        try:
            async with self._session.request(method, self._url + path, allow_redirects=False, **more) as answer:
                if answer.status not in accept and not 200 <= answer.status < 300:
                    raise _refusal(answer.status, await answer.read(), self._url)
                yield answer
        except (ClientConnectionError, ClientPayloadError, TimeoutError) as error:
            raise Unavailable(
                f"no admin answers at {self._url} ({str(error) or type(error).__name__}): "
                "start one with 'hms-esr up', or give its address with --url",
                code="admin_unavailable",
            ) from error
        except ClientError as error:
            raise _not_the_admin(self._url, str(error)) from error


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"--url: {url!r} is not the address of an admin like 'http://127.0.0.1:8700'")
    return url.rstrip("/")


def _drill_path(drill_id: str, verb: str | None = None) -> str:
    path = f"/api/esr/drills/{quote(drill_id, safe='')}"
    return f"{path}/{verb}" if verb else path


def _given(**values: Any) -> Json:
    return {key: value for key, value in values.items() if value is not None}


def _object(raw: bytes, url: str) -> Json:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _not_the_admin(url, "its answer is not JSON") from error
    if not isinstance(found, dict):
        raise _not_the_admin(url, "its answer is not a JSON object")
    return found


def _refusal(status: int, raw: bytes, url: str) -> EsrError:
    """Return the error that a problem document stands for."""
    try:
        problem = orjson.loads(raw)
        detail, code = str(problem["detail"]), str(problem["code"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return _not_the_admin(url, f"it answered {status}")
    fallback = BadInput if status < 500 or status == 501 else EsrError
    return _KINDS.get(status, fallback)(detail, code=code)


def _not_the_admin(url: str, why: str) -> Unavailable:
    return Unavailable(
        f"what answers at {url} is not an admin of HMS-ESR ({why}): give its address with --url",
        code="not_the_admin",
    )


async def _events(answer: ClientResponse) -> AsyncIterator[tuple[str, bytes]]:
    """Yield (id, data) of a stream of server-sent events (WHATWG HTML 9.2.6); comments are skipped."""
    event_id = ""
    data: list[bytes] = []
    async for raw in answer.content:
        line = raw.rstrip(b"\r\n")
        if not line:
            if data:
                yield event_id, b"\n".join(data)
            data = []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"id":
            event_id = value.decode("utf-8", "replace")
