"""A request as a mock sees it: what templates may read and the outbox may keep, with every credential taken out.

Bodies are read by their kind: JSON, form (urlencoded or multipart), text. What cannot be read for certain is not
shown at all, because a password in it could not be found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

from switchboard.estate import Target
from switchboard.headers import Field, clean_query, looks_like_credential
from switchboard.redaction import clean_json, clean_pairs, clean_text, clean_value, is_secret_name

MOST_BODY = 256 * 1024
_MOST_FIELDS = 1000
_FORM, _MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Body:
    """What could be read of a body. `text` is all of it as text, cleaned; "" where it is not `readable`."""

    json: Any = None
    form: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    readable: bool = True


@dataclass(frozen=True, slots=True)
class MockRequest:
    """Make one with `of`: it holds no credentials. `size` is the body's in bytes, `at` unix seconds."""

    method: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Body
    content_type: str
    size: int
    drill: str
    at: float

    @classmethod
    def of(
        cls,
        method: str,
        url: str,
        *,
        fields: Iterable[Field] = (),
        body: bytes = b"",
        drill: str = "",
        at: float = 0.0,
        secrets: frozenset[str] = frozenset(),
    ) -> MockRequest:
        """Read a request with an absolute `url`; `secrets` are further names of credentials (`secret_names`).

        Of a body larger than 256 KiB, or one in a content coding, nothing is read but its size.
        """
        # Raw bytes of a request target come as lone surrogates, which JSON cannot hold.
        origin, target = _split(url.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        path, _, query_text = clean_query(target)[0].partition("?")
        pairs = clean_pairs(_pairs(query_text), secrets)
        sent = [(name.decode("latin-1").lower(), value.decode("utf-8", "replace")) for name, value in fields]
        types = dict(sent)
        content_type = types.get("content-type", "")
        coded = types.get("content-encoding", "identity").strip().lower() != "identity"
        return cls(
            method=method,
            url=origin + path + (f"?{urlencode(pairs, safe='/:,()')}" if pairs else ""),
            query=_first(pairs),
            headers=_shown(sent, secrets),
            body=Body(readable=False) if coded or len(body) > MOST_BODY else read_body(body, content_type, secrets),
            content_type=content_type.partition(";")[0].strip().lower(),
            size=len(body),
            drill=drill,
            at=at,
        )

    @property
    def host(self) -> str:
        return _split(self.url)[0].partition("://")[2]

    @property
    def path(self) -> str:
        return _split(self.url)[1].partition("?")[0]

    def values(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names that templates know, with what they stand for."""
        return {
            "method": self.method,
            "url": self.url,
            "host": self.host,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "json": self.body.json,
            "form": self.body.form,
            "text": self.body.text,
            "state": dict(state),
            "drill": self.drill,
        }


def secret_names(target: Target) -> frozenset[str]:
    """Return the names (lower case) that a target's credential rules know, wherever in a request they stand."""
    named = {rule.name.lower() for rule in target.credentials if rule.name}
    pointed = {rule.pointer.rpartition("/")[2].lower() for rule in target.credentials if rule.pointer}
    return frozenset((named | pointed) - {""})


def read_body(body: bytes, content_type: str, secrets: frozenset[str] = frozenset()) -> Body:
    """Return what a body of a content type says, cleaned; unreadable where it is not what it says it is."""
    media = content_type.partition(";")[0].strip().lower()
    if not body:
        return Body()
    try:
        if media == _MULTIPART:
            return _form(_parts(body, content_type), secrets)
        text = body.decode("utf-8-sig")
        if media == _FORM:
            return _form(_pairs(text), secrets)
        if media.endswith(("/json", "+json")):
            found = clean_json(orjson.loads(text), secrets)
            return Body(json=found, text=orjson.dumps(found).decode())
    except ValueError:  # also of UTF-8 and JSON
        return Body(readable=False)
    return Body(text=clean_text(text)) if text.replace("\n", "").isprintable() or _is_text(media) else _UNREAD


_UNREAD = Body(readable=False)


def _is_text(media: str) -> bool:
    return media.startswith("text/") or media.endswith(("/xml", "+xml"))


def _form(pairs: Iterable[tuple[str, str]], secrets: frozenset[str]) -> Body:
    cleaned = clean_pairs(pairs, secrets)
    return Body(form=_first(cleaned), text=urlencode(cleaned, safe="/:,()@"))


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace")


def _parts(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Return the fields of a multipart form; of a file its name and size (RFC 7578)."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(_class=EmailMessage, policy=HTTP).parsebytes(head + body)
    if not message.is_multipart() or message.defects:
        raise ValueError("not a multipart form")
    found = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(content, bytes):
            raise ValueError("a part without name")
        file = part.get_filename()
        found.append((name, content.decode() if file is None else f"{file} ({len(content)} bytes)"))
        if len(found) > _MOST_FIELDS:
            raise ValueError("too many parts")
    return found


def _split(url: str) -> tuple[str, str]:
    """Return origin and request target of an absolute URL."""
    scheme, separator, rest = url.partition("://")
    host, _, target = rest.partition("/")
    return scheme + separator + host, "/" + target


def _first(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _shown(sent: Iterable[tuple[str, str]], secrets: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in sent:
        if looks_like_credential(name.encode("latin-1")) or is_secret_name(name, secrets) or name == "referer":
            continue
        found[name] = f"{found[name]}, {clean_value(value)}" if name in found else clean_value(value)
    return found
