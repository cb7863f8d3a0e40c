"""All four services of one side behind one origin, with the books on a port of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from sandbox.books import Books
from sandbox.calls import Call, Handler, Refused, Service, json
from sandbox.certificates import ServerFiles
from sandbox.desk import SERVICES, Desk
from sandbox.metrics import Metrics
from sandbox.pages import foreign
from sandbox.people import People
from sandbox.placing import PREFIXES, Name, Place, Prefixes, place
from sandbox.portal import Portal
from sandbox.probes import Probes
from sandbox.services import Services
from sandbox.side import Side
from sandbox.tap import Taps
from sandbox.workflow import Applications, Workflow
from switchboard.errors import Unavailable

FIELD_LIMIT = 64 * 1024
# Streams and slow answers are cut off when the agency ends: nobody waits for them.
PATIENCE_S = 0.2


@dataclass(frozen=True, slots=True)
class Agency:
    """A running agency: where it listens (None: not at all) and what it received."""

    side: Side
    host: str
    http_port: int
    tls_port: int | None
    books_port: int | None
    books: Books


@contextlib.asynccontextmanager
async def agency(
    side: Side | str = Side.SANDBOX,
    host: str = "127.0.0.1",
    *,
    http_port: int = 0,
    tls_port: int = 0,
    tls: ServerFiles | None = None,
    books_port: int | None = None,
    books: Books | None = None,
    prefixes: Prefixes = PREFIXES,
    services_url: str = SERVICES,
) -> AsyncIterator[Agency]:
    """Run the agency of one side until the block ends; port 0 takes a free one.

    TLS is served beside http where `tls` is given, `GET /books` where `books_port` is. `books` are the
    caller's own (with `keep_headers`, or kept over a restart), `services_url` is where pages are told to ask the
    services. Raises Unavailable where a port cannot be had.
    """
    side = Side(side)
    books = books or Books(side)
    context = tls.context() if tls else None
    async with contextlib.AsyncExitStack() as stack:
        taps = Taps(books)
        stack.callback(taps.abort)
        serve = await stack.enter_async_context(_running(_application(services(side, services_url), books, prefixes)))
        plain = await stack.enter_async_context(_listening(taps.under(serve), host, http_port))
        secure = None
        if context is not None:
            secure = await stack.enter_async_context(_listening(taps.under(serve, context), host, tls_port))
        shown = None
        if books_port is not None:
            reading = await stack.enter_async_context(_running(_reading_room(books)))
            shown = await stack.enter_async_context(_listening(reading, host, books_port))
        yield Agency(side, host, plain, secure, shown, books)


def services(side: Side, url: str = SERVICES) -> dict[Name, Sequence[Service]]:
    """Return who is asked, in this order, for each place of a new agency; `url` is where pages ask the services."""
    people, applications, probes = People(side), Applications(side), Probes(side)
    return {
        Name.PORTAL: (Portal(side, people, applications), Desk(side, people, services=url), probes),
        Name.SERVICES: (Services(side, people, applications), probes),
        Name.WORKFLOW: (Workflow(side, applications), probes),
        Name.METRICS: (Metrics(side), probes),
    }


def _application(asked: Mapping[Name, Sequence[Service]], books: Books, prefixes: Prefixes) -> web.Application:
    side = books.side

    def where(request: web.Request) -> Place:
        return place(_host(request), request.path, prefixes)

    async def answer(request: web.Request) -> web.StreamResponse:
        service, path = where(request)
        books.enter(
            method=request.method,
            host=_host(request),
            target=request.raw_path,
            service=service,
            headers=_fields(request),
        )
        handler = _find(asked[service], request.method, path)
        if handler is None:
            return foreign(side, request.path)
        return await _answered(handler, Call(request, path), side)

    async def sign(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Agency-Side"] = side
        response.headers["X-Agency-Service"] = where(request).service

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    application.on_response_prepare.append(sign)
    return application


async def _answered(handler: Handler, call: Call, side: Side) -> web.StreamResponse:
    try:
        return await handler(call)
    except Refused as error:
        return json({"side": side, "error": str(error)}, status=error.status)
    except ConnectionResetError:
        # The reader of a stream went away: an end, not a failure.
        return web.Response()


def _find(asked: Sequence[Service], method: str, path: str) -> Handler | None:
    known = "GET" if method == "HEAD" else method
    for service in asked:
        if handler := service.find(known, path):
            return handler
    return None


def _host(request: web.Request) -> str:
    # Without Host, `request.host` would look the machine's own name up.
    return request.headers.get("Host", "")


def _fields(request: web.Request) -> Iterator[tuple[str, str]]:
    for name, value in request.raw_headers:
        yield name.decode("latin-1"), value.decode("utf-8", "surrogateescape")


def _reading_room(books: Books) -> web.Application:
    async def show(request: web.Request) -> web.StreamResponse:
        return json(books.summary())

    application = web.Application()
    application.router.add_get("/books", show)
    return application


@contextlib.asynccontextmanager
async def _running(application: web.Application) -> AsyncIterator[Callable[[], asyncio.Protocol]]:
    """Set an application up and give its protocol factory; at the end every connection is closed."""
    runner = web.AppRunner(
        application,
        access_log=None,
        shutdown_timeout=PATIENCE_S,
        max_line_size=FIELD_LIMIT,
        max_field_size=FIELD_LIMIT,
        # A body is counted as it was sent, not as it unpacks.
        auto_decompress=False,
    )
    await runner.setup()
    try:
        server = runner.server
        assert server is not None
        yield server
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _listening(protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> AsyncIterator[int]:
    """Listen and give the port; closed before the connections are, so that nobody slips in between."""
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(protocol, host, port, backlog=1024)
    except OSError as error:
        raise Unavailable(
            f"the agency cannot listen on {host}:{port}: {error.strerror or error}; "
            "stop what uses it or choose another port"
        ) from error
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
