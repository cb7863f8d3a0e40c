"""The answer of a mock: body from JSON, text, file or template, what its drill remembers, what the outbox keeps.

Pure: the caller gives the request, the drill's state and the contents of files, and stores what comes back. The state
is read and replaced as one value; whoever stores it makes sure that nobody came in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import orjson

from switchboard.estate import Mock, TemplateFile
from switchboard.headers import Field
from switchboard.mock_request import MockRequest
from switchboard.mock_template import Unrenderable, evaluate, render_template
from switchboard.outbox import OutboxEntry, is_kept, swallow

MOST_STATE = 64 * 1024
_PLAIN = "text/plain; charset=utf-8"
_JSON = "application/json"
# RFC 9110 6.4.1: answers that have no content.
_BODILESS = frozenset({204, 205, 304})
_TEMPLATE_SUFFIXES = frozenset({".j2", ".jinja", ".jinja2"})
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".htm": "text/html; charset=utf-8",
    ".txt": _PLAIN,
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": _JSON,
    ".xml": "application/xml",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".pdf": "application/pdf",
}


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer. `state_after` is None where it stays as it was, `outbox_entry` where nothing is kept.

    `failure` says why a 500 stands here instead of the mock's own answer; it holds no values of the request.
    """

    status: int
    fields: tuple[Field, ...]
    body: bytes
    state_after: Mapping[str, Any] | None = None
    outbox_entry: OutboxEntry | None = None
    failure: str | None = None


def needs_body(mock: Mock, method: str) -> bool:
    """Return whether a request has to be read whole before its mock can answer."""
    return mock.template is not None or bool(mock.set_values) or is_kept(mock, method)


def render(mock: Mock, request: MockRequest, state: Mapping[str, Any], *, files: Mapping[Path, bytes]) -> Rendered:
    """Return the answer of a mock; `files` are the contents of the files it names, `state` its drill's mapping."""
    after: Mapping[str, Any] | None = None
    try:
        if mock.set_values:
            after = _changed(mock, request, state)
        body, content_type = _content(mock, request, state if after is None else after, files=files)
        status, failure = mock.status, None
    except Unrenderable as error:
        after, status, failure = None, 500, f"mock {mock.match} gives no answer: {error}"
        body, content_type = f"HMS-ESR: {failure}\n".encode(), _PLAIN
    return Rendered(
        status=status,
        fields=_fields(mock, content_type, failed=failure is not None),
        body=b"" if request.method == "HEAD" or status in _BODILESS else body,
        state_after=after if mock.state else None,
        outbox_entry=swallow(mock, request, status=status) if is_kept(mock, request.method) else None,
        failure=failure,
    )


def _changed(mock: Mock, request: MockRequest, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state with every `set` done; all of them read the state as it was before."""
    values = request.values(state)
    after = {**state, **{name: evaluate(text, values) for name, text in mock.set_values.items()}}
    try:
        kept = orjson.dumps(after)
    except TypeError:  # orjson's JSONEncodeError
        raise Unrenderable("'set' gives a value that JSON cannot hold") from None
    if len(kept) > MOST_STATE:
        raise Unrenderable(f"the drill's state grew beyond {MOST_STATE} bytes")
    return dict(orjson.loads(kept))  # as the next request will find it


def _content(
    mock: Mock, request: MockRequest, state: Mapping[str, Any], *, files: Mapping[Path, bytes]
) -> tuple[bytes, str | None]:
    if mock.json_body is not None:
        return orjson.dumps(mock.json_body), _JSON
    if mock.text is not None:
        return mock.text.encode(), _PLAIN
    if mock.file is not None:
        return _read(mock.file, files), type_of(mock.file)
    if mock.template is None:
        return b"", None
    text, content_type = _source(mock.template, files)
    content_type = _own_type(mock) or content_type
    values = request.values(state if mock.state else {})
    return render_template(text, values, content_type=content_type).encode("utf-8", "replace"), content_type


def _source(template: str | TemplateFile, files: Mapping[Path, bytes]) -> tuple[str, str]:
    if isinstance(template, str):
        return template, _PLAIN
    try:
        return _read(template.file, files).decode("utf-8-sig"), type_of(template.file)
    except UnicodeDecodeError:
        raise Unrenderable(f"file {template.file.name!r} is not UTF-8 text") from None


def _read(path: Path, files: Mapping[Path, bytes]) -> bytes:
    try:
        return files[path]
    except KeyError:
        raise Unrenderable(f"file {path.name!r} was not read") from None


def type_of(path: PurePath) -> str:
    """Return the media type of a file by its name; `.j2` at its end is looked through."""
    if path.suffix.lower() in _TEMPLATE_SUFFIXES:
        path = path.with_suffix("")
    return _TYPES.get(path.suffix.lower(), "application/octet-stream")


def _own_type(mock: Mock) -> str | None:
    return next((value for name, value in mock.headers.items() if name.lower() == "content-type"), None)


def _fields(mock: Mock, content_type: str | None, *, failed: bool) -> tuple[Field, ...]:
    own = () if failed else tuple((name.encode(), value.encode()) for name, value in mock.headers.items())
    if content_type is None or (_own_type(mock) is not None and not failed):
        return own
    return ((b"Content-Type", content_type.encode()), *own)
