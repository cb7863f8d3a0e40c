"""A mitmdump script that does what the switchboard's routes do for this request, as its users write them.

Run by `mitmdump -s`. The routes come as JSON in `BENCH_ROUTES`: pairs of [scheme, host, prefix] and
[scheme, host, port, prefix], longest prefix first.
"""

from __future__ import annotations

import json
import os
import sys
import threading

from mitmproxy import ctx, http
from mitmproxy.master import Master

_DROPPED = ("Authorization", "Proxy-Authorization", "Cookie", "Referer", "Proxy-Connection")
_ANSWER_DROPPED = ("Set-Cookie", "ETag", "Last-Modified", "Strict-Transport-Security", "Alt-Svc")


class Rewrite:
    def __init__(self, routes: list[list[list[str]]]) -> None:
        self._routes = routes

    def running(self) -> None:
        servers = ctx.master.addons.get("proxyserver")
        print(json.dumps({"port": servers.listen_addrs()[0][1]}), flush=True)
        threading.Thread(target=_end_with_parent, args=(ctx.master,), daemon=True).start()

    def request(self, flow: http.HTTPFlow) -> None:
        request = flow.request
        for (scheme, host, prefix), (to_scheme, to_host, to_port, to_prefix) in self._routes:
            if request.scheme == scheme and request.pretty_host == host and request.path.startswith(prefix):
                request.path = to_prefix + request.path[len(prefix) :]
                request.scheme, request.host, request.port = to_scheme, to_host, int(to_port)
                break
        else:
            flow.response = http.Response.make(403, b"not routed")
            return
        for name in _DROPPED:
            request.headers.pop(name, None)
        request.headers["X-HMS-Env"] = "sandbox"
        request.headers["baggage"] = "env=sandbox,drill=bench"

    def response(self, flow: http.HTTPFlow) -> None:
        assert flow.response is not None
        fields = flow.response.headers
        for name in _ANSWER_DROPPED:
            fields.pop(name, None)
        fields["Cache-Control"] = "no-store"
        fields["X-HMS-Drill"] = "bench"


def _end_with_parent(master: Master) -> None:
    sys.stdin.read()
    master.event_loop.call_soon_threadsafe(master.shutdown)


addons = [Rewrite(json.loads(os.environ.get("BENCH_ROUTES", "[]")))]
