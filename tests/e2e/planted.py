"""Requests with a production secret planted in places that have a rule, spelled in all the ways that servers read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from hypothesis import strategies as st

from tests.e2e.border import WWW

_VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
secrets = st.text(_VISIBLE | st.sampled_from("é€ß"), min_size=6, max_size=20).map(lambda text: f"zQ9{text}9Qz")
header_secrets = st.text(_VISIBLE, min_size=6, max_size=20).map(lambda text: f"zQ9{text}9Qz")


def _each(text: str, form: str) -> str:
    return "".join(form.format(byte) for byte in text.encode())


def _escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def needles(secret: str) -> set[bytes]:
    """Return what the secret looks like on the wire, in every spelling that a request may carry."""
    raw = secret.encode()
    spelled = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        _each(secret, "%{:02X}"),
        _each(secret, "%{:02x}"),
        quote(quote(secret, safe=""), safe=""),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        _escaped(secret),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        base64.b64encode(b"prod:" + raw).decode().rstrip("="),
    }
    return {text.encode() for text in spelled}


@dataclass(frozen=True, slots=True)
class Planted:
    """A request without framing, and all that must not arrive."""

    method: str
    path: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    needles: frozenset[bytes] = field(repr=False)

    def wire(self, *, host: str = WWW, origin: str = f"http://{WWW}") -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        length = f"Content-Length: {len(self.body)}\r\n" if self.body or self.method != "GET" else ""
        head = f"{self.method} {origin}{self.path} HTTP/1.1\r\nHost: {host}\r\n{lines}{length}\r\n"
        return head.encode("latin-1") + self.body


def cased(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from([name, name.lower(), name.upper(), name.replace("-", "_")])


def _basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"prod:{secret}".encode()).decode()


@st.composite
def _field(draw: st.DrawFn, *, isolates: bool) -> tuple[str, str, str]:
    """Return a secret, and the field that carries it."""
    secret = draw(header_secrets)
    schemes: list[Callable[[str], str]] = ["Bearer {}".format, "bearer  {}".format, _basic, "Digest x={}".format, str]
    names = ["X-Api-Key", "X-Partner-Token", "X-Auth-Token", "Cookie2", "DPoP", "X-CSRF-Token", "My-Session-Id"]
    cookie = secret.replace(";", "x").replace(",", "x")
    crumbs = ["session={}", "a=b; session={}", "SESSION={}; a=b", "session={}; session=x", 'session="{}"']
    more = ["{}", "other={}", "theme=dark; csrf={}", "esr-XSRF-TOKEN={}", "XSRF-TOKEN={}"] if isolates else []
    kind = draw(st.sampled_from(["scheme", "name", "cookie"]))
    if kind == "scheme":
        return secret, draw(cased("Authorization")), draw(st.sampled_from(schemes))(secret)
    if kind == "name":
        return secret, draw(st.sampled_from(names).flatmap(cased)), secret
    return (
        cookie,
        draw(cased("Cookie") if isolates else st.just("Cookie")),
        draw(st.sampled_from(crumbs + more)).format(cookie),
    )


@st.composite
def _query(draw: st.DrawFn) -> tuple[str, str]:
    secret = draw(secrets)
    written = draw(st.sampled_from([quote(secret, safe=""), _each(secret, "%{:02x}"), quote_plus(secret)]))
    name = draw(
        st.sampled_from(["api_key", "API_KEY", "%61pi_key", "api%5Fkey[]", "token", "access_token", "sig", "pwd"])
    )
    return secret, f"{name}={written}"


@st.composite
def _json(draw: st.DrawFn) -> tuple[str, str, bytes]:
    secret = draw(secrets)
    inner = draw(st.sampled_from([json.dumps(secret), json.dumps(secret, ensure_ascii=False), f'"{_escaped(secret)}"']))
    value = draw(st.sampled_from([inner, f"[{inner}]", f'{{"x": {inner}}}', f'["a", {{"b": {inner}}}]']))
    text = draw(
        st.sampled_from(
            [
                '{"auth": {"token": @}, "n": 1.50}',
                '{"a": [1, {"auth": 2}], "AUTH" : {"Token":@}}',
                '{"auth": {"token": "x", "token": @}}',
                '{"auth": {"token": "x"}, "auth": {"token": @}}',
                '{"\\u0061uth": {"tok\\u0065n": @}}',
                '\n {"password": @, "q": "}\\"{"}',
                '{"password": @, "password": @, "PASSWORD": @}',
            ]
        )
    )
    kinds = ["application/json", "application/vnd.x+json; charset=utf-8", "text/plain", "Text/JSON", ""]
    body = text.replace("@", value).encode()
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return secret, draw(st.sampled_from(kinds)), bom + body


@st.composite
def _form(draw: st.DrawFn) -> tuple[str, str, bytes]:
    secret = draw(secrets)
    written = draw(st.sampled_from([quote(secret, safe=""), quote_plus(secret), _each(secret, "%{:02X}")]))
    name = draw(st.sampled_from(["password", "PassWord", "pass%77ord", "password[]", "+password"]))
    text = draw(st.sampled_from(["{}={}", "user=a&{}={}", "{}={}&x=", "a=b;{}={}", "password=x&{}={}"]))
    return secret, "application/x-www-form-urlencoded", text.format(name, written).encode()


@st.composite
def _multipart(draw: st.DrawFn) -> tuple[str, str, bytes]:
    secret = draw(secrets)
    name = draw(st.sampled_from(['"password"', "password", '"PASSWORD"', '"pass%77ord"', '"pass\\word"']))
    more = draw(st.sampled_from(["", "Content-Type: text/plain\r\n", "Content-Transfer-Encoding: 8bit\r\n"]))
    file = '--b-1\r\nContent-Disposition: form-data; name="f"; filename="p.bin"\r\n\r\n\x00binary\r\n'
    field = f"--b-1\r\ncontent-disposition: form-data; name={name}\r\n{more}\r\n{secret}\r\n"
    order = draw(st.permutations([file, field]))
    return secret, "multipart/form-data; boundary=b-1", ("".join(order) + "--b-1--\r\n").encode()


_NOISE = st.sampled_from(
    [("Accept", "*/*"), ("X-Plain", "a=b"), ("Accept-Language", "en"), ("Origin", f"https://{WWW}")]
)


@st.composite
def planted(draw: st.DrawFn, *, isolates: bool = True) -> Planted:
    found: set[bytes] = set()
    fields = list(draw(st.lists(_NOISE, max_size=2, unique=True)))
    names = set[str]()
    for secret, name, value in draw(st.lists(_field(isolates=isolates), max_size=3)):
        if name.lower() not in names:
            names.add(name.lower())
            found |= needles(secret)
            fields.append((name, value))
    parts = ["page=1"]
    for secret, part in draw(st.lists(_query(), max_size=2)):
        found |= needles(secret)
        parts.append(part)
    path = "/page" + "?" + draw(st.sampled_from("&;")).join(draw(st.permutations(parts)))
    body = b""
    if draw(st.booleans()):
        secret, kind, body = draw(st.one_of(_json(), _form(), _multipart()))
        found |= needles(secret)
        fields += [(draw(cased("Content-Type")), kind)] if kind else []
    return Planted("POST" if body else "GET", path, tuple(fields), body, frozenset(found))


@st.composite
def greetings(draw: st.DrawFn) -> tuple[bytes, frozenset[bytes]]:
    """Return a first message of a WebSocket that holds a secret."""
    secret = draw(secrets)
    inner = draw(st.sampled_from([json.dumps(secret), f'"{_escaped(secret)}"']))
    text = draw(
        st.sampled_from(
            [
                '{"token": @}',
                ' {"x": 1, "TOKEN": @, "token": @}',
                '{"type": "connection_init", "payload": {"Authorization": @}}',
                '{"type": "connection_init", "payload": {"headers": {"X-Api-Key": @, "a": "b"}, "authToken": @}}',
                '42["auth", {"token": "a"}]',
                '40{"token": @}',
                '["{\\"token\\": \\"x\\"}"]',
                '{"token": @',
                "token @",
            ]
        )
    )
    return text.replace("@", inner).encode(), frozenset(needles(secret))
