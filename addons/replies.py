"""Answers that are made here, and where a request is led instead."""

from __future__ import annotations

from mitmproxy import http


def refusal(status: int, reason: str, drill: str | None) -> http.Response:
    """Return the answer to a request that goes nowhere; `X-HMS-Drill` names the reason."""
    fields = {
        "Content-Type": "text/plain; charset=utf-8",
        "Cache-Control": "no-store",
        "X-HMS-Drill": f'{drill or "none"}; reason="{reason}"'.encode("ascii", "replace").decode(),
    }
    if status == 503:
        fields["Retry-After"] = "1"
    return http.Response.make(status, f"HMS-ESR: blocked: {reason}\n".encode(), fields)


def void(response: http.Response) -> None:
    """Make an answer that must not be read one that says nothing, after which its connection ends."""
    response.status_code, response.reason = 502, "Bad Gateway"
    response.headers = http.Headers([(b"Content-Length", b"0"), (b"Connection", b"close")])
    response.stream = lambda chunk: []


def lead(request: http.Request, scheme: str, *, host: str, port: int) -> None:
    """Set where a request is dialled without touching its Host."""
    request.data.scheme = scheme.encode()
    request.data.host = host
    request.data.port = port
