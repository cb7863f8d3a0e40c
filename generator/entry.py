"""A recorded request, the reasons why a line is none, and a visit."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from switchboard.headers import Field

Draw = Callable[[], float]  # the next number of a seeded sequence, in [0, 1)
Count = Callable[[str, int], None]


class Reason(StrEnum):
    """Why something that was read cannot be sent. Counted as `skipped:REASON`."""

    BLANK = "blank"
    NO_REQUEST = "no_request"  # the server logged `-`: the client sent nothing
    NOT_A_REQUEST = "not_a_request"  # TLS hellos and other bytes that are no HTTP
    NO_PATH = "no_path"  # CONNECT, `OPTIONS *` and the like: nothing to ask a web service for
    BAD_STAMP = "bad_stamp"
    UNKNOWN_FORMAT = "unknown_format"
    TOO_LONG = "too_long"
    DAMAGED_GZIP = "damaged_gzip"  # stands for all that follows in that file
    BAD_EVENT = "bad_event"
    BAD_HEADER = "bad_header"


# A NamedTuple is frozen as a dataclass is, and four times as fast to make: there is one for every line.
class Entry(NamedTuple):
    """One recorded request.

    `stamp` is in Unix seconds; `whole` where it was recorded in whole seconds. `target` is a request target in
    origin-form, or an absolute http URL, with everything percent-encoded that cannot stand in a request line.
    """

    stamp: float
    whole: bool
    client: str
    agent: str
    method: str
    target: str
    fields: tuple[Field, ...] = ()
    body: bytes = b""


class Visit(NamedTuple):
    """One request to send: `stamp` is when, in seconds of the source's own time."""

    stamp: float
    user: str
    entry: Entry


Item = Entry | Reason
