"""Answers of sandboxes on their way back: places of production, no cookies, text rewritten as it streams."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from itertools import chain

from mitmproxy import http

from addons import passage
from addons.bounds import OURS
from addons.current import Current
from addons.edge import Edge
from addons.passage import Passage
from addons.replies import refusal, void
from addons.witness import Witness
from switchboard import headers, rewrite
from switchboard.banner import banner_html
from switchboard.codings import Bomb, Broken, unpack
from switchboard.credentials import learn, needs_answer
from switchboard.crossing import come_back, set_cookies
from switchboard.exposure import expire_exposed, expose
from switchboard.headers import Field
from switchboard.leads import Scheme
from switchboard.pocket import Pocket
from switchboard.pockets import Change, Pockets
from switchboard.verdict import Kind
from switchboard.world import World

Piped = Callable[[bytes], list[bytes]]

_BODILESS = frozenset({101, 204, 304})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_SPLITS = "answer: line break in a field"
_CUT_SHORT = "answer is cut short"
_TOO_LARGE = "unread:answer is too large to learn from"


class Answers:
    """`pockets` keep what a sandbox sets and teaches."""

    def __init__(self, current: Current, witness: Witness, *, edge: Edge, pockets: Pockets) -> None:
        self._current = current
        self._witness = witness
        self._edge = edge
        self._pockets = pockets

    def responseheaders(self, flow: http.HTTPFlow) -> Awaitable[object] | None:
        """Clean an answer before any of it leaves; one that belongs to a side already left is dropped."""
        found, response = passage.of(flow), flow.response
        assert response is not None
        if found is None or found.local:
            return None
        if response.status_code < 200 and response.status_code != 101:
            # mitmproxy takes an interim answer for the final one; what follows must answer no other request (HT-19).
            void(response)
        if not flow.request.is_http2 and (found.closes or self._edge.is_retiring(flow.client_conn.id)):
            response.headers["connection"] = "close"
        response.stream = response.stream or True
        if not found.forwarded:
            _expire(flow, found)
            return None
        if self._is_late(found):
            self._witness.blocked(found.verdict.drill, "answer of a side already left")
            flow.kill()
            return None
        if headers.can_split((response.data.reason, *chain.from_iterable(response.headers.fields))):
            # HTTP/2 carries line breaks in fields, and lenient clients end a line at a bare CR (RFC 9110 5.5).
            self._witness.blocked(found.verdict.drill, _SPLITS)
            void(response)
            return None
        return self._clean(flow, found)

    def _is_late(self, found: Passage) -> bool:
        member = self._current.switch.member(found.ask.client, found.ask.user)
        return (member.drill.id if member and member.drill else None) != found.verdict.drill

    def _clean(self, flow: http.HTTPFlow, found: Passage) -> Awaitable[object] | None:
        world, crossing, response = found.world, found.crossing, flow.response
        assert world is not None
        assert crossing is not None
        assert response is not None
        raw = response.headers.fields
        scheme: Scheme = "https" if found.ask.scheme == "https" else "http"
        response.headers.fields = come_back(raw, crossing, found.verdict, world=world, scheme=scheme)
        if not found.verdict.listed:
            return None
        pipe = self._pipe(flow, found, scheme=scheme)
        cookies = set_cookies(raw) if world.isolates else []
        taught = learn(raw, None, rules=world.rules) if world.rules.learns else {}
        if world.rules.learns and _has_body(flow) and needs_answer(raw, world.rules):
            self._read_whole(flow, found, raw, pipe=pipe)
        if not cookies and not taught:
            return None
        return self._remember(flow, found, cookies=cookies, taught=taught)

    def _pipe(self, flow: http.HTTPFlow, found: Passage, *, scheme: Scheme) -> Piped | None:
        """Rewrite a text as it streams by; anything else goes on as it comes."""
        response, world = flow.response, found.world
        assert response is not None
        assert world is not None
        if not _has_body(flow):
            return None
        fields = response.headers.fields
        pipe = rewrite.pipe(fields, world.url_map, world.target.limits, scheme=scheme, inject=_insertion(world, fields))
        if pipe is None:
            if reason := rewrite.why_unread(fields):
                self._witness.count(found.verdict.drill, f"unread:{reason}")
            return None
        response.headers.fields = rewrite.head(fields, chunked=flow.request.http_version == "HTTP/1.1")
        response.stream = guarded = self._guarded(pipe, found)
        return guarded

    def _guarded(self, pipe: rewrite.Pipe, found: Passage) -> Piped:
        failed: Bomb | Broken | None = None

        def run(chunk: bytes) -> list[bytes]:
            nonlocal failed
            if failed is not None:
                raise failed  # the end of the sandbox's connection is told even of an answer that was cut
            try:
                given = pipe(chunk)
            except (Bomb, Broken) as error:
                failed = error
                self._witness.blocked(found.verdict.drill, f"answer: {error}")
                raise  # what was sent is incomplete, and ends as such: the connection is cut
            reason = pipe.unread or (_CUT_SHORT if pipe.truncated else None)
            if reason and not chunk:
                self._witness.count(found.verdict.drill, f"unread:{reason}")
            return given

        return run

    def _read_whole(self, flow: http.HTTPFlow, found: Passage, raw: tuple[Field, ...], *, pipe: Piped | None) -> None:
        """Hold an answer back until it is read, so that what it teaches is known before the client can use it.

        One that turns out to be too large goes on all the same (`BoundedStream`), and teaches nothing.
        """
        response, world = flow.response, found.world
        assert response is not None
        assert world is not None
        length = next((value for name, value in raw if name.lower() == b"content-length"), b"0")
        if length.isdigit() and int(length) > world.target.limits.body:
            self._witness.count(found.verdict.drill, _TOO_LARGE)
            return
        found.lesson = raw
        found.pipe = pipe
        response.stream = False

    def _remember(
        self, flow: http.HTTPFlow, found: Passage, *, cookies: list[bytes], taught: dict[str, str]
    ) -> Awaitable[object] | None:
        """Put cookies and learned twins into the client's pocket before the answer leaves."""
        crossing, world, response, now = found.crossing, found.world, flow.response, time.time()
        assert crossing is not None
        assert world is not None
        assert response is not None

        def change(pocket: Pocket) -> Pocket:
            jar = pocket.jar.store(cookies, url=crossing.url, now=now, upstream=crossing.upstream, reach=crossing.reach)
            return pocket.with_jar(jar).with_learned(taught)

        if world.expose and cookies:
            lines = expose(
                cookies,
                names=world.expose,
                url=crossing.url,
                now=now,
                until=self._deadline(found),
                upstream=crossing.upstream,
            )
            response.headers.fields = (*response.headers.fields, *((b"Set-Cookie", line) for line in lines))
        return self._keep(found, change)

    def _keep(self, found: Passage, change: Change) -> Awaitable[object] | None:
        """Change a client's pocket; that is worth waiting for, but most answers set what is known already."""
        pocket = self._pockets.at_hand(found.purse, found.pocket_key)
        if pocket is not None and change(pocket) is pocket:
            return None
        return self._pockets.change(found.purse, found.pocket_key, change)

    def _deadline(self, found: Passage) -> float | None:
        drill = self._current.switch.drills.get(found.verdict.drill or "")
        return datetime.fromisoformat(drill.deadline).timestamp() if drill is not None else None

    def response(self, flow: http.HTTPFlow) -> Awaitable[object] | None:
        """An answer has come whole; one that was held back for what it teaches goes on after that."""
        found = passage.of(flow)
        if flow.websocket is None:
            self._edge.land(flow)
        if found is None or found.lesson is None:
            return None
        if flow.response is not None and flow.response.stream:
            self._witness.count(found.verdict.drill, _TOO_LARGE)
            return None
        return self._learn(flow, found, found.lesson)

    def _learn(self, flow: http.HTTPFlow, found: Passage, raw: tuple[Field, ...]) -> Awaitable[object] | None:
        world, response = found.world, flow.response
        assert world is not None
        assert response is not None
        body = response.raw_content or b""
        coded = [value for name, value in raw if name.lower() == b"content-encoding"]
        learned: dict[str, str] = {}
        try:
            plain = unpack(body, coded, limits=world.target.limits)
        except (Broken, Bomb) as error:
            self._witness.count(found.verdict.drill, f"unread:{error}")
        else:
            learned = learn(raw, plain, rules=world.rules)
        if found.pipe is not None:
            try:
                body = b"".join((*found.pipe(body), *found.pipe(b"")))
            except (Bomb, Broken) as error:  # counted by the pipe
                flow.response = refusal(502, f"answer: {error}", found.verdict.drill)
                return None
        response.raw_content = body
        kept = [field for field in response.headers.fields if field[0].lower() not in _FRAMING]
        response.headers.fields = (*kept, (b"Content-Length", b"%d" % len(body)))
        return self._keep(found, lambda pocket: pocket.with_learned(learned)) if learned else None

    def error(self, flow: http.HTTPFlow) -> None:
        self._edge.land(flow)
        found, said = passage.of(flow), flow.error.msg if flow.error is not None else ""
        if found is not None and found.verdict.kind is not Kind.BLOCK and said.startswith(OURS):
            self._witness.blocked(found.verdict.drill, said.removeprefix(OURS))

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        self._edge.land(flow)


def _has_body(flow: http.HTTPFlow) -> bool:
    assert flow.response is not None
    return flow.request.method != "HEAD" and flow.response.status_code not in _BODILESS


def _insertion(world: World, fields: tuple[Field, ...]) -> bytes | None:
    """Return the banner of a page, as its policy allows it."""
    if world.target.banner is None:
        return None
    policies = [value for name, value in fields if name.lower() == b"content-security-policy"]
    return banner_html(world.target.banner, policies=policies)


def _expire(flow: http.HTTPFlow, found: Passage) -> None:
    """Take cookies that a drill has set for scripts off the browser of a client that is back on the live side."""
    carried = found.exposed
    if carried and flow.response is not None:
        url = f"{found.ask.scheme}://{found.ask.authorities[0]}{found.ask.target}"
        lines = expire_exposed(carried, url=url)
        flow.response.headers.fields = (*flow.response.headers.fields, *((b"Set-Cookie", line) for line in lines))
