"""What mocks swallowed: one entry a request, as `GET /api/esr/outbox` lists it. Holds no credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from switchboard.estate import Mock
from switchboard.mock_request import MockRequest

MOST_SHOWN = 8 * 1024
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 9.2.1: nothing was meant to happen
_KINDS = (
    ("mail", re.compile(r"e?mails?|smtp|sendgrid|mailgun|postmark|ses|letters?")),
    ("text", re.compile(r"sms|twilio|messag(?:e|es|ing)|texts?|push|notif(?:y|ications?)")),
    ("payment", re.compile(r"pay|payments?|paypal|charges?|invoices?|refunds?|stripe|billing|transfers?|checkout")),
)
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One swallowed request. `body` is a JSON value, or text; of a long one the first 8 KiB as text."""

    at: float
    method: str
    url: str
    kind: str
    mock: str
    status: int
    content_type: str
    size: int
    body: Any
    shortened: bool

    def to_json(self) -> bytes:
        """Return the entry as the store keeps it and the API gives it."""
        return orjson.dumps(
            {
                "time": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
                "method": self.method,
                "url": self.url,
                "kind": self.kind,
                "mock": self.mock,
                "status": self.status,
                "content_type": self.content_type,
                "size": self.size,
                "body": self.body,
                "shortened": self.shortened,
            }
        )


def is_kept(mock: Mock, method: str) -> bool:
    """Return whether what this mock swallows is for the outbox: as it says, else by the method."""
    return method not in _SAFE if mock.outbox is None else mock.outbox is not False


def swallow(mock: Mock, request: MockRequest, *, status: int) -> OutboxEntry:
    """Return the entry of a request that a mock answered with `status`."""
    body, shortened = _body(request)
    return OutboxEntry(
        at=request.at,
        method=request.method,
        url=request.url[:MOST_SHOWN],
        kind=mock.outbox if isinstance(mock.outbox, str) else kind_of(request.url),
        mock=mock.match,
        status=status,
        content_type=request.content_type[:200],
        size=request.size,
        body=body,
        shortened=shortened,
    )


def kind_of(url: str) -> str:
    """Return what a request to this URL would have done: mail, text, payment, or "request" where it does not show."""
    words = _WORD.findall(url.partition("?")[0].lower())
    for kind, pattern in _KINDS:
        if any(pattern.fullmatch(word) for word in words):
            return kind
    return "request"


def _body(request: MockRequest) -> tuple[Any, bool]:
    read = request.body
    if not read.readable:
        return f"({request.size} bytes that cannot be shown)", True
    if len(read.text) > MOST_SHOWN:
        return read.text[:MOST_SHOWN], True
    if read.json is not None:
        return read.json, False
    return dict(read.form) or read.text, False
