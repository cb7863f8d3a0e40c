"""The HTTP rows of LEAKS 4.5 that are one request each: what is sent, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.e2e.asking import UPGRADE, Fields, head

WWW, API = "www.cms.example", "api.cms.example"


@dataclass(frozen=True, slots=True)
class Row:
    """One request and what must come of it.

    `door`: "regular", "steered", or the SNI of a tunnel ("h2:SNI" for HTTP/2). `status` 0: the connection ends
    without an answer. `path`: what the sandbox got, None where it must get nothing.
    """

    id: str
    send: str | bytes | Fields
    status: int
    reason: str = ""
    path: str | None = None
    door: str = "regular"
    body: bytes | None = None


def get(host: str, *, path: str = "/echo", target: str | None = None, more: str = "", version: str = "1.1") -> str:
    """Return a GET in absolute-form with a Host of the same text."""
    return f"GET {target or f'http://{host}{path}'} HTTP/{version}\r\nHost: {host}\r\n{more}\r\n"


def within(host: str, path: str, *, method: str = "GET", more: str = "") -> str:
    """Return a request in origin-form."""
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"


def post(more: str, body: str = "") -> str:
    return f"POST http://{WWW}/upload HTTP/1.1\r\nHost: {WWW}\r\n{more}\r\n{body}"


LITERAL, MALFORMED = "address literal", "not a host name"
HT_01 = [
    Row("plain name", get(WWW), 200, path="/echo"),
    Row("upper case", get("WWW.CMS.EXAMPLE"), 200, path="/echo"),
    Row("trailing dot", get("www.cms.example."), 200, path="/echo"),
    Row("default port", get("www.cms.example:80"), 200, path="/echo"),
    Row("leading zeros in port", get("www.cms.example:00080"), 200, path="/echo"),
    Row("empty port", get("www.cms.example:"), 400),
    Row("empty port in Host", get("www.cms.example:", target=f"http://{WWW}/echo"), 200, path="/echo"),
    Row("another port", get("www.cms.example:8081"), 403, "production host without a route"),
    Row("port too large", get("www.cms.example:65616"), 400),
    Row("userinfo", get("user:production-pass@www.cms.example"), 400),
    Row("userinfo that looks like a host", get("www.cms.example:80@evil.example"), 400),
    Row("address", get("127.0.1.1"), 400, LITERAL),
    Row("decimal address", get("2130706689"), 400, LITERAL),
    Row("hexadecimal address", get("0x7f000101"), 400, LITERAL),
    Row("octal address", get("0177.0.01.01"), 400, LITERAL),
    Row("short address", get("127.0.257"), 400, LITERAL),
    Row("IPv6 address", get("[::ffff:127.0.1.1]"), 400),
    Row("no Host", f"GET http://{WWW}/echo HTTP/1.1\r\n\r\n", 400, "no host"),
    Row("no Host in HTTP/1.0", f"GET http://{WWW}/echo HTTP/1.0\r\n\r\n", 200, path="/echo"),
    Row("empty Host", f"GET http://{WWW}/echo HTTP/1.1\r\nHost:\r\n\r\n", 400, "empty host"),
    Row("two equal Hosts", get(WWW, more=f"Host: {WWW}\r\n"), 400, "more than one host"),
    Row("two Hosts", get(WWW, more="Host: benign.example\r\n"), 421, "disagree"),
    Row("full-width letters", get("\uff57\uff57\uff57.cms.example"), 400),
    Row(
        "full-width letters in Host",
        get("\uff57\uff57\uff57.cms.example", target=f"http://{WWW}/echo"),
        400,
        "non-ASCII",
    ),
    Row("ideographic full stop", get("www\u3002cms.example", target=f"http://{WWW}/echo"), 400, "non-ASCII"),
    Row("percent-encoded dot", get("www%2ecms.example"), 400),
    Row("percent-encoded dot in Host", get("www%2ecms.example", target=f"http://{WWW}/echo"), 400, MALFORMED),
    Row("raw Latin-1", get("x").replace("x/", "www.cms.example/").encode().replace(b"Host: x", b"Host: \xe9"), 400),
    Row("folded Host", f"GET http://{WWW}/echo HTTP/1.1\r\nHost:\r\n {WWW}\r\n\r\n", 400),
    Row("space before the colon", f"GET http://{WWW}/echo HTTP/1.1\r\nHost : {WWW}\r\n\r\n", 400),
    Row("NUL in Host", get("www.cms.example\0", target=f"http://{WWW}/echo"), 400),
    Row("two dots", get("www..cms.example"), 400),
    Row("spaces around Host", get(f"  {WWW} \t", target=f"http://{WWW}/echo"), 200, path="/echo"),
    Row("list in Host", get(f"{WWW}, {WWW}", target=f"http://{WWW}/echo"), 400),
    Row("path in Host", get(f"{WWW}/x", target=f"http://{WWW}/echo"), 400),
    Row("steered without Host", "GET /echo HTTP/1.0\r\n\r\n", 400, "no host", door="steered"),
    Row("steered trailing dot", within(f"{WWW}.", "/echo"), 200, path="/echo", door="steered"),
    Row("SNI and Host", within(API, "/echo"), 421, "disagree", door=WWW),
    Row("SNI and Host in HTTP/2", head("GET", API, "/echo"), 421, "disagree", door=f"h2:{WWW}"),
    Row(":authority and Host", head("GET", WWW, "/echo", ("host", API)), 0, door=f"h2:{WWW}"),
    Row("no :authority", [f for f in head("GET", "", "/echo") if f[0] != ":authority"], 0, door=f"h2:{WWW}"),
    Row("upper case in HTTP/2", head("GET", "WWW.cms.example.", "/echo"), 200, path="/echo", door=f"h2:{WWW}"),
]

SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: www.cms.example\r\nAuthorization: production-secret\r\n\r\n"
OPENED = SMUGGLED.replace("\r\n\r\n", "\r\nX: y")
H2 = f"h2:{WWW}"
HT_02 = [
    Row("CRLF in a value", head("GET", WWW, "/echo", ("x", f"a\r\n\r\n{OPENED}")), 400, "control", door=H2),
    Row("LF in a value", head("GET", WWW, "/echo", ("x", "a\nb: c")), 400, "control", door=H2),
    Row("NUL in a value", head("GET", WWW, "/echo", ("x", "a\0b")), 400, "control", door=H2),
    Row("CRLF in a name", head("GET", WWW, "/echo", ("x\r\ny", "a")), 400, door=H2),
    Row("colon in a name", head("GET", WWW, "/echo", ("x: y", "a")), 400, door=H2),
    Row("CRLF in :path", head("GET", WWW, f"/echo HTTP/1.1\r\n\r\n{OPENED}"), 400, "control", door=H2),
    Row("space in :path", head("GET", WWW, "/echo HTTP/1.1"), 400, "control", door=H2),
    Row("no slash in :path", head("GET", WWW, "echo"), 400, "origin-form", door=H2),
    Row("absolute :path", head("GET", WWW, "https://api.cms.example/"), 400, "origin-form", door=H2),
    Row("CRLF in :authority", head("GET", f"{WWW}\r\nx: y", "/echo"), 0, door=H2),
    Row("CRLF in :method", head("GET /smuggled HTTP/1.1\r\nx: y\r\n\r\nGET", WWW, "/echo"), 400, door=H2),
]
HT_03 = [
    Row("body without length", head("POST", WWW, "/upload"), 201, path="/upload", door=H2, body=SMUGGLED.encode()),
    Row("GET with a body", head("GET", WWW, "/echo"), 200, path="/echo", door=H2, body=SMUGGLED.encode()),
    Row("DELETE with a body", head("DELETE", WWW, "/echo"), 200, path="/echo", door=H2, body=SMUGGLED.encode()),
    Row("no body", head("POST", WWW, "/upload"), 201, path="/upload", door=H2, body=b""),
    Row(
        "length that lies",
        head("POST", WWW, "/upload", ("content-length", "0")),
        0,
        door=H2,
        body=SMUGGLED.encode(),
    ),
    Row(
        "transfer-encoding",
        head("POST", WWW, "/upload", ("transfer-encoding", "chunked")),
        0,
        door=H2,
        body=f"0\r\n\r\n{SMUGGLED}".encode(),
    ),
    Row("length with a sign", head("POST", WWW, "/upload", ("content-length", "+3")), 400, door=H2, body=b"abc"),
]
CHUNKED = "Transfer-Encoding: chunked\r\n"
HT_04 = [
    Row("CL.TE", post(f"Content-Length: 6\r\n{CHUNKED}", "0\r\n\r\nG"), 400),
    Row("TE.CL", post(f"{CHUNKED}Content-Length: 4\r\n", f"5c\r\n{SMUGGLED}"), 400),
    Row("two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400),
    Row("two equal lengths", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400),
    Row("list of lengths", post("Content-Length: 3, 3\r\n", "abc"), 400),
    Row("signed length", post("Content-Length: +3\r\n", "abc"), 400),
    Row("hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), 400),
    Row("two codings", post(f"{CHUNKED}{CHUNKED}", "0\r\n\r\n"), 400),
    Row("unknown coding", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400),
    Row("coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 400),
    Row("folded coding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), 400),
    Row("space before the colon of the coding", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400),
    # mitmproxy takes it off, and what is sent on is clean.
    Row("vertical tab in the coding", post("Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"), 201, path="/upload"),
    Row("chunked in HTTP/1.0", post(CHUNKED, "0\r\n\r\n").replace("1.1", "1.0"), 400),
    Row("chunk extension", post(CHUNKED, "3;x=y\r\nabc\r\n0\r\n\r\n"), 201, path="/upload"),
    Row("chunk size that overflows", post(CHUNKED, "fffffffffffffffffffff\r\nabc\r\n0\r\n\r\n"), 0),
    Row(
        "length named by Connection",
        post("Connection: Content-Length\r\nContent-Length: 3\r\n", "abc"),
        201,
        path="/upload",
    ),
    Row(
        "coding named by Connection",
        post(f"Connection: Transfer-Encoding\r\n{CHUNKED}", "0\r\n\r\n"),
        201,
        path="/upload",
    ),
    Row("underscore for a hyphen", post("Content_Length: 3\r\nContent-Length: 3\r\n", "abc"), 400),
    Row("bare CR in a value", get(WWW, more="X: a\rb\r\n"), 400),
    Row("obs-fold", get(WWW, more="X: a\r\n b\r\n"), 400),
    Row("line without colon", get(WWW, more="nonsense\r\n"), 400),
    Row("HTTP/0.9", f"GET http://{WWW}/echo\r\n\r\n", 400),
]
HT_05 = [
    Row("target production, Host benign", get("benign.example", target=f"http://{WWW}/echo"), 421, "disagree"),
    Row("target benign, Host production", get(WWW, target="http://benign.example/echo"), 421, "disagree"),
    Row("target another production host", get(API, target=f"http://{WWW}/echo"), 421, "disagree"),
    Row("absolute-form at the steered door", get("benign.example", target=f"http://{WWW}/echo"), 421, door="steered"),
    Row("absolute-form in a tunnel", get(WWW, target=f"https://{API}/echo"), 421, door=WWW),
    Row("https without TLS", get(WWW, target=f"https://{WWW}/echo"), 200, path="/echo"),
    Row("ftp", get(WWW, target=f"ftp://{WWW}/echo"), 400),
]
NOT_LISTED = "host is not listed"
NO_ROUTE = "production host without a route"
HT_06 = [
    Row("third party", get("fonts.example.net"), 403, NOT_LISTED),
    Row("identity provider", get("login.idp.example"), 403, NOT_LISTED),
    Row("localhost", get("localhost"), 403, NOT_LISTED),
    Row("single label", get("www"), 403, NOT_LISTED),
    Row("tunnel to a third party", "CONNECT fonts.example.net:443 HTTP/1.1\r\nHost: x\r\n\r\n", 403, NOT_LISTED),
    Row("tunnel to an address", "CONNECT 127.0.1.1:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, LITERAL),
    Row("tunnel to another port", f"CONNECT {WWW}:22 HTTP/1.1\r\nHost: x\r\n\r\n", 403, NO_ROUTE),
]
HT_07 = [
    Row("dot is any letter", get("wwwxcms.example"), 403, NOT_LISTED),
    Row("suffix", get("www.cms.example.evil.example"), 403, NOT_LISTED),
    Row("prefix", get("evilcms.example"), 403, NOT_LISTED),
    Row("below a host", get("x.www.cms.example"), 403, NO_ROUTE),
    Row("the bare domain", get("cms.example"), 403, NOT_LISTED),
    Row("blocked on purpose", get("other.cms.example"), 403, NO_ROUTE),
]
PROFILE = "/sandbox/profile"
HT_08 = [
    Row("prefix", within(API, "/profile/a%20b?x=%2e%2e/"), 200, path=f"{PROFILE}/a%20b", door=API),
    Row("prefix itself", within(API, "/profile"), 200, path=PROFILE, door=API),
    Row("beyond the border", within(API, "/profiles"), 200, path="/sandbox/profiles", door=API),
    Row("case", within(API, "/PROFILE/x"), 200, path="/sandbox/PROFILE/x", door=API),
    Row("encoded prefix", within(API, "/%70rofile/x"), 200, path=f"{PROFILE}/x", door=API),
    Row("parameter", within(API, "/profile/a;x=1"), 200, path=f"{PROFILE}/a;x=1", door=API),
    *(
        Row(name, within(API, path), 400, reason, door=API)
        for name, path, reason in [
            ("dots", "/profile/../../admin", "dot segment"),
            ("dots at the end", "/profile/..", "dot segment"),
            ("one dot", "/profile/./x", "dot segment"),
            ("encoded dots", "/profile/%2e%2e/%2E%2e/admin", "dot segment"),
            ("half encoded dots", "/profile/.%2e/admin", "dot segment"),
            ("twice encoded dots", "/profile/%252e%252e/admin", "dot segment"),
            ("dots with a parameter", "/profile/..;/admin", "dot segment"),
            ("dots with a long parameter", "/profile/..;a=b/admin", "dot segment"),
            ("dots with an encoded parameter", "/profile/..%3bx/admin", "dot segment"),
            ("encoded slash", "/profile%2f..%2fadmin", "encoded delimiter"),
            ("twice encoded slash", "/profile%252fadmin", "encoded delimiter"),
            ("backslash", "/profile\\..\\admin", "backslash"),
            ("encoded backslash", "/profile%5c..%5cadmin", "encoded delimiter"),
            ("empty segment", "//profile/x", "empty path segment"),
            ("empty segment inside", "/profile//admin", "empty path segment"),
            ("encoded NUL", "/profile/x%00/admin", "encoded delimiter"),
            ("bad escape", "/profile/%zz", "bad percent-encoding"),
            ("cut escape", "/profile/%2", "bad percent-encoding"),
            ("overlong slash", "/profile/%c0%af..%c0%afadmin", "overlong"),
            ("overlong dots", "/profile/%c0%ae%c0%ae/admin", "overlong"),
            ("fragment", "/profile/x#/../../admin", "fragment"),
        ]
    ),
]
HT_09 = [
    Row(
        f"Upgrade: {token}",
        get(WWW, more=f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {token}\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"),
        400,
        "upgrade other than WebSocket 13",
    )
    for token in ("h2c", "H2C", "h2c, websocket", "TLS/1.0", "websocket/13", "connect-udp")
] + [
    Row("WebSocket 8", get(WWW, more=UPGRADE.decode().replace("13", "8")), 400, "upgrade other than WebSocket 13"),
    Row("WebSocket without version", get(WWW, more="Connection: Upgrade\r\nUpgrade: websocket\r\n"), 400, "upgrade"),
    Row("two Upgrades", get(WWW, more=f"{UPGRADE.decode()}Upgrade: h2c\r\n"), 400, "more than one upgrade"),
    Row("HTTP2-Settings alone", get(WWW, more="HTTP2-Settings: production-secret\r\n"), 200, path="/echo"),
    Row("prior knowledge of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    Row("not HTTP", b"SSH-2.0-OpenSSH_9.2\r\n", 0, door="steered"),
    Row("binary", b"\x00\x01\x02\x03 \r\n\r\n", 0, door="steered"),
    Row("not HTTP in a tunnel", b"SSH-2.0-OpenSSH_9.2\r\n", 0, door=f"bare:{WWW}"),
]
HT_10 = [
    Row("streamed and refused", f"POST http://x.example/ HTTP/1.1\r\nHost: x.example\r\n{CHUNKED}\r\n0\r\n\r\n", 403),
    Row("streamed", post(CHUNKED, "3\r\nabc\r\n0\r\n\r\n"), 201, path="/upload"),
    Row("with expectation", post("Content-Length: 3\r\nExpect: 100-continue\r\n", "abc"), 201, path="/upload"),
    Row("other expectation", post("Content-Length: 3\r\nExpect: 200-ok\r\n", "abc"), 400, "expectation"),
]
HT_18 = [
    Row("TRACE", within(WWW, "/echo", method="TRACE"), 400, "unknown method", door=WWW),
    Row("TRACK", within(WWW, "/echo", method="TRACK"), 400, "unknown method", door=WWW),
    Row("lower case", within(WWW, "/echo", method="get"), 400, "", door=WWW),
    Row("PROPFIND", within(WWW, "/echo", method="PROPFIND"), 400, "unknown method", door=WWW),
    Row("OPTIONS *", within(WWW, "*", method="OPTIONS"), 400, "origin-form", door=WWW),
    Row("CONNECT in a tunnel", within(WWW, f"{WWW}:443", method="CONNECT"), 400, door=WWW),
    Row("CONNECT at the steered door", f"CONNECT {WWW}:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, door="steered"),
    Row("CONNECT in HTTP/2", [(":method", "CONNECT"), (":authority", f"{WWW}:443")], 0, door=H2),
    Row(
        "extended CONNECT (RFC 8441)",
        [*head("CONNECT", WWW, "/ws"), (":protocol", "websocket"), ("sec-websocket-version", "13")],
        0,
        door=H2,
    ),
    Row("method not of the route", within(API, "/profile/x", method="POST"), 403, "does not accept POST", door=API),
]
HT_20 = [
    Row("announced trailers", post(f"{CHUNKED}Trailer: X\r\n", "0\r\nX: production-secret\r\n\r\n"), 0),
    Row("trailers", post(CHUNKED, "3\r\nabc\r\n0\r\nX: production-secret\r\n\r\n"), 0),
]
TOO_LONG = "request head is too long"
HT_25 = [
    Row("70 KiB of fields", get(WWW, more=f"X: {'a' * 70_000}\r\n"), 431, TOO_LONG),
    Row(
        "2,000 fields",
        get(WWW, more="".join(f"X-{i}: {'a' * 30}\r\n" for i in range(2000))),
        431,
        "request head is too long",
    ),
]
HT_26 = [Row("mitm.it", get("mitm.it"), 403, NOT_LISTED)]
HT_27 = [
    Row("loopback", get("127.0.0.1:{admin}"), 400, LITERAL),
    Row("localhost", get("localhost:{admin}"), 403, NOT_LISTED),
    Row("tunnel to the switchboard", "CONNECT 127.0.0.1:{admin} HTTP/1.1\r\nHost: x\r\n\r\n", 400, LITERAL),
    Row("link-local", get("169.254.169.254"), 400, LITERAL),
    Row("the worker itself", get("127.0.0.1:{proxy}"), 400, LITERAL),
]
HT_28 = [
    Row("http in TLS", head("GET", WWW, "/echo", scheme="http"), 200, path="/echo", door=H2),
    Row("unknown scheme", head("GET", WWW, "/echo", scheme="ftp"), 400, door=H2),
    Row("http port in TLS", head("GET", f"{WWW}:80", "/echo"), 421, "disagree", door=H2),
    Row("TLS port without TLS", get(f"{WWW}:443"), 403, NO_ROUTE),
]
TABLE: Mapping[str, list[Row]] = {
    "HT-01": HT_01,
    "HT-02": HT_02,
    "HT-03": HT_03,
    "HT-04": HT_04,
    "HT-05": HT_05,
    "HT-06": HT_06,
    "HT-07": HT_07,
    "HT-08": HT_08,
    "HT-09": HT_09,
    "HT-10": HT_10,
    "HT-18": HT_18,
    "HT-20": HT_20,
    "HT-25": HT_25,
    "HT-26": HT_26,
    "HT-27": HT_27,
    "HT-28": HT_28,
}
