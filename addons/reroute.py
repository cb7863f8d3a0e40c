"""Verdict -> request and answer. Decides in `requestheaders`: with streaming, `request` runs too late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

from mitmproxy import http

from addons import passage
from addons.current import Current
from addons.edge import Edge
from addons.entrance import NOWHERE
from addons.forward import Forward
from addons.login import Logins, WrongLogin
from addons.mocking import Mocks
from addons.passage import Passage
from addons.replies import lead, refusal
from addons.witness import Witness
from switchboard import headers
from switchboard.authority import Unclear, parse_authority
from switchboard.crossing import screened
from switchboard.exposure import PREFIX, strip_exposed
from switchboard.policy import decide, decide_tunnel
from switchboard.switch import Switch
from switchboard.verdict import Ask, Kind, Verdict

Judge = Callable[[Ask, Switch], Verdict]
Act = Callable[[http.HTTPFlow, Ask, Verdict], Awaitable[None] | None]

HOLD_S = 2.0
_LOGIN = "proxy login is wrong"


class Reroute:
    """`hold_s`: how long a request waits for the next epoch before it gets a 503."""

    def __init__(
        self,
        current: Current,
        logins: Logins,
        witness: Witness,
        *,
        edge: Edge,
        forward: Forward,
        mocks: Mocks,
        hold_s: float = HOLD_S,
    ) -> None:
        self._current = current
        self._logins = logins
        self._witness = witness
        self._edge = edge
        self._forward = forward
        self._mocks = mocks
        self._hold_s = hold_s

    def http_connect(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Decide whether a tunnel may be opened; what goes through it is asked again, request by request."""
        user = self._user(flow)
        if flow.response is not None:
            return None
        ask = Ask(
            client=_client(flow),
            user=user,
            method="CONNECT",
            scheme="https",
            authorities=(f"{flow.request.host}:{flow.request.port}",),
            target="/",
        )
        return self._settle(flow, ask, judge=decide_tunnel, act=self._open)

    def requestheaders(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        if flow.error is not None:
            return None  # mitmproxy shows a request that it has refused by itself
        user = self._user(flow)
        if flow.response is not None:
            return None
        return self._settle(flow, self._ask(flow, user), judge=_judge(flow), act=self._carry_out)

    def _open(self, flow: http.HTTPFlow, ask: Ask, verdict: Verdict) -> None:
        if verdict.kind not in (Kind.PASS, Kind.FORWARD):
            self._refuse(flow, verdict)

    def _carry_out(self, flow: http.HTTPFlow, ask: Ask, verdict: Verdict) -> Awaitable[None] | None:
        """Edit the flow as the verdict says; a slow mock and a client's pocket give something to wait for."""
        found = Passage(ask, verdict, started_at=time.monotonic())
        passage.note(flow, found)
        waiting = None
        if verdict.kind is Kind.MOCK:
            waiting = self._mocks.begin(flow, found)
        elif verdict.kind is Kind.FORWARD:
            waiting = self._forward.begin(flow, found, world=self._current.switch.worlds[verdict.sandbox or ""])
        elif verdict.kind is Kind.PASS:
            self._pass(flow, found)
        else:
            self._refuse(flow, verdict)
        found.local = flow.response is not None and verdict.kind is not Kind.FORWARD
        self._edge.depart(flow)
        return waiting

    def request(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Finish what was read whole: twins in its body, a mock that needs it, and its length.

        An HTTP/2 body has no length of its own on HTTP/1, and would become a second request (LEAKS HT-03).
        """
        request, found = flow.request, passage.of(flow)
        request.trailers = None
        if found is not None and found.verdict.kind is Kind.MOCK and flow.response is None:
            return self._mocks.answer(flow, found)
        if found is not None and found.swaps:
            self._forward.swap_body(flow, found)
        if flow.response is None and not request.stream and (found is None or found.swaps or request.is_http2):
            size = len(request.raw_content or b"")
            if size or request.method in ("POST", "PUT", "PATCH"):
                request.headers.pop("transfer-encoding", None)
                request.headers["content-length"] = str(size)
        return None

    def client_disconnected(self, client: object) -> None:
        self._edge.forget(client.id)  # type: ignore[attr-defined]

    def _user(self, flow: http.HTTPFlow) -> str | None:
        try:
            user = self._logins.user_of(flow)
            self._logins.remember(flow, user)
            return user
        except WrongLogin:
            self._witness.refused(_LOGIN)
            flow.response = refusal(407, _LOGIN, None)
            flow.response.headers["Proxy-Authenticate"] = 'Basic realm="HMS-ESR"'
            flow.response.headers["Connection"] = "close"  # a login counts from a connection's first request on
            return None

    def _ask(self, flow: http.HTTPFlow, user: str | None) -> Ask:
        request, tls = flow.request, flow.client_conn.tls
        return Ask(
            client=_client(flow),
            user=user,
            method=request.method,
            scheme="https" if tls or request.scheme == "https" else "http",
            authorities=_authorities(request),
            target=request.path,
            sni=(flow.client_conn.sni or "") if tls else None,
        )

    def _settle(self, flow: http.HTTPFlow, ask: Ask, *, judge: Judge, act: Act) -> Awaitable[None] | None:
        """Act on the verdict; while it is Hold, wait for the next epoch, at most `hold_s` seconds."""
        switch = self._current.switch
        verdict = judge(ask, switch)
        if verdict.kind is not Kind.HOLD:
            return act(flow, ask, verdict)
        return self._held(flow, ask, judge, act=act, held=(switch, verdict))

    async def _held(
        self, flow: http.HTTPFlow, ask: Ask, judge: Judge, *, act: Act, held: tuple[Switch, Verdict]
    ) -> None:
        switch, verdict = held
        self._edge.wait(flow.client_conn.id, 1)
        try:
            async with asyncio.timeout(self._hold_s):
                while verdict.kind is Kind.HOLD:
                    switch = await self._current.later_than(switch.epoch)
                    verdict = judge(ask, switch)
        except TimeoutError:
            pass  # it is Hold still, and gets a 503
        finally:
            self._edge.wait(flow.client_conn.id, -1)
        waiting = act(flow, ask, verdict)
        if waiting is not None:
            await waiting

    def _refuse(self, flow: http.HTTPFlow, verdict: Verdict) -> None:
        self._witness.blocked(verdict.drill, verdict.reason)
        flow.response = refusal(verdict.status, verdict.reason, verdict.drill)

    def _pass(self, flow: http.HTTPFlow, found: Passage) -> None:
        request, ask = flow.request, found.ask
        if request.is_http2 and headers.can_split(_texts(request)):
            # Towards an HTTP/1 server we would make a second request of it (LEAKS HT-02), also outside a drill.
            flow.response = refusal(400, "line break in request", None)
            return
        # RFC 9110 7.6.1: fields for us as the next hop; the rest goes on as it came.
        request.headers.pop("proxy-authorization", None)
        request.headers.pop("proxy-connection", None)
        found.exposed = _without_exposed(request)
        if request.data.host == NOWHERE:
            try:
                at = parse_authority(ask.authorities[0] if ask.authorities else "", ask.scheme)
            except Unclear as error:
                flow.response = refusal(400, str(error), None)
                return
            lead(request, ask.scheme, host=at.host, port=at.port)
        elif flow.client_conn.tls:
            request.data.scheme = b"https"
        request.stream = not request.is_http2 or "content-length" in request.headers


def _judge(flow: http.HTTPFlow) -> Judge:
    """Return the policy with what its answer must also hold against: fields that mean one thing only."""
    flaw = headers.screen(flow.request.headers.fields)
    return lambda ask, switch: screened(decide(ask, switch), flaw)


def _without_exposed(request: http.Request) -> bytes:
    """Take cookies that a drill has set for scripts off a live request; return what it carried of them."""
    carried = b"; ".join(value for name, value in request.headers.fields if name.lower() == b"cookie")
    if PREFIX not in carried:
        return b""
    kept = strip_exposed(carried)
    request.headers.pop("cookie", None)
    if kept:
        request.headers.fields = (*request.headers.fields, (b"Cookie", kept))
    return carried if kept != carried else b""


def _client(flow: http.HTTPFlow) -> str:
    return flow.client_conn.peername[0]


def _texts(request: http.Request) -> Iterator[bytes]:
    yield from (request.data.method, request.data.path, request.data.authority)
    for field in request.headers.fields:
        yield from field


def _authorities(request: http.Request) -> tuple[str, ...]:
    """Return every identity a request came with, Host (or :authority) first."""
    fields = request.headers.fields
    found = [value.decode("utf-8", "surrogateescape") for name, value in fields if name.lower() == b"host"]
    if request.authority:
        found.append(request.authority)
    if not found and request.http_version == "HTTP/1.1":
        return ()  # RFC 9112 3.2: a server answers 400 to HTTP/1.1 without Host
    if request.data.host and request.data.host != NOWHERE:
        found.append(f"{request.data.host}:{request.data.port}")
    return tuple(found)
