"""The admin: HTTP API and console, and the loops behind them.

`admin_state` knows and changes the switch, `admin_score` samples the figures; `admin_drills`,
`admin_feed`, `admin_pages` and `admin_health` are the calls; `admin_auth` decides who may make them.
Everything needs a token but for what is listed in `PUBLIC`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from switchboard.admin_auth import (
    TOKEN_TTL_S,
    Gatekeeper,
    WrongHost,
    ensure_token,
    host_is_ours,
    login_url,
    session_key,
)
from switchboard.admin_drills import DrillCalls, Examine
from switchboard.admin_errors import translate_errors
from switchboard.admin_feed import FeedCalls
from switchboard.admin_health import HealthCalls
from switchboard.admin_outbox import OutboxCalls
from switchboard.admin_pages import PageCalls
from switchboard.admin_score import Board, Scenarios
from switchboard.admin_sessions import Sessions
from switchboard.admin_state import TRUST_AFTER_S, Desk
from switchboard.errors import Unavailable
from switchboard.estate import Estate, Listener
from switchboard.store import Store

__all__ = ["admin", "ensure_token", "login_url", "serve"]

PUBLIC = frozenset({"/", "/healthz", "/readyz", "/ca.pem", "/proxy.pac", "/console/{name}"})
MOST_BODY_BYTES = 64 * 1024
HEADERS = {
    "Content-Security-Policy": ("default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class _Parts:
    desk: Desk
    board: Board
    feed: FeedCalls
    gatekeeper: Gatekeeper


async def serve(
    estate: Estate,
    *,
    store: Store,
    state: Path,
    scenarios: Scenarios,
    token: str | None,
    guard: str = "absent",
    examine: Examine = lambda scenario: None,
    stop: asyncio.Event,
    on_bound: Callable[[str], None] | None = None,
) -> None:
    """Serve the admin until `stop` is set; `on_bound` gets the URL once it listens.

    `examine` raises BadInput for a scenario whose source cannot be read. Raises Unavailable where the port or
    the state folder cannot be had; Redis may be away.
    """
    async with admin(
        estate, store=store, state=state, scenarios=scenarios, token=token, guard=guard, examine=examine
    ) as url:
        if on_bound is not None:
            on_bound(url)
        await stop.wait()


@asynccontextmanager
async def admin(
    estate: Estate,
    *,
    store: Store,
    state: Path,
    scenarios: Scenarios,
    token: str | None,
    guard: str = "absent",
    examine: Examine = lambda scenario: None,
    names: Iterable[str] = (),
    extra_routes: Iterable[web.RouteDef] = (),
    trust_after_s: float = TRUST_AFTER_S,
) -> AsyncIterator[str]:
    """Yield the URL of a running admin. `names` are host names it may be called by, besides addresses.

    `extra_routes` are served behind the same checks (for pages of an organisation, and of tests).
    `trust_after_s` is how long nodes are listened to where Redis holds nothing, before the first drill may begin.
    """
    secret, _ = ensure_token(state, token)
    desk = Desk(estate, store, trust_after_s=trust_after_s)
    board = Board(desk, scenarios)
    parts = _Parts(
        desk=desk,
        board=board,
        feed=FeedCalls(board, store),
        gatekeeper=Gatekeeper(token=secret, sessions=Sessions(key=session_key(state), state=state), store=store),
    )
    app = web.Application(
        middlewares=[translate_errors, _host_check(frozenset(names)), _token_check(parts.gatekeeper)],
        client_max_size=MOST_BODY_BYTES,
    )
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_let_go(parts))
    for calls in (
        DrillCalls(desk, scenarios, guard=guard, examine=examine),
        parts.feed,
        OutboxCalls(board, store),
        HealthCalls(desk, board),
        PageCalls(estate, parts.gatekeeper, state=state),
    ):
        app.add_routes(calls.routes())
    app.add_routes(extra_routes)
    async with _loops(parts), _listening(app, estate.listeners.admin) as url:
        yield url


@asynccontextmanager
async def _loops(parts: _Parts) -> AsyncIterator[None]:
    with suppress(Unavailable):  # `follow_redis` goes on trying; until then nothing is ready
        await parts.desk.load()
    desk = parts.desk
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(loop)
            for loop in (
                desk.follow_switch(),
                desk.follow_nodes(),
                desk.follow_redis(),
                desk.steer(),
                parts.board.run(),
                parts.feed.keep_offering(),
                _vouch(parts.gatekeeper),
            )
        ]
        try:
            yield
        except Exception as error:
            failure = error  # raised below: a group would hide whose fault it was
        finally:
            for task in running:
                task.cancel()
    if failure is not None:
        raise failure


async def _vouch(gatekeeper: Gatekeeper) -> None:
    while True:
        try:
            await gatekeeper.vouch()
        except Unavailable:
            await asyncio.sleep(1.0)
        else:
            await asyncio.sleep(TOKEN_TTL_S / 3)


@asynccontextmanager
async def _listening(app: web.Application, place: Listener) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0, handle_signals=False)
    await runner.setup()
    try:
        site = web.TCPSite(runner, place.host, place.port)
        try:
            await site.start()
        except OSError as error:
            raise Unavailable(
                f"admin: {place} cannot be listened on ({error.strerror or error}): "
                "stop what uses it, or set 'listeners: {admin: …}' to another place",
                code="port_in_use",
            ) from error
        host, port = runner.addresses[0][:2]
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    finally:
        await runner.cleanup()


def _host_check(names: frozenset[str]) -> Middleware:
    @web.middleware
    async def check_host(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = request.headers.get("Host")
        if not host_is_ours(host, names):
            raise WrongHost(f"Host {(host or '')[:80]!r} is not this admin: call it by its address or as localhost")
        return await handler(request)

    return check_host


def _token_check(gatekeeper: Gatekeeper) -> Middleware:
    @web.middleware
    async def check_token(request: web.Request, handler: Handler) -> web.StreamResponse:
        # What the router made of the path counts, not how the path is spelled.
        resource = request.match_info.route.resource
        public = resource is not None and resource.canonical in PUBLIC
        if not (public and request.method in ("GET", "HEAD")):
            await gatekeeper.check(request)
        return await handler(request)

    return check_token


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def _let_go(parts: _Parts) -> Callable[[web.Application], Awaitable[None]]:
    async def let_go(_app: web.Application) -> None:
        parts.desk.close()
        parts.board.close()

    return let_go
