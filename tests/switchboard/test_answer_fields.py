from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.answer_fields import back_fields
from switchboard.estate import Target
from switchboard.mapping import UrlMap
from tests.switchboard.sandbox_urls import a_map

MAP = a_map()
PORTAL = b"https://www.cms.example"

ROWS = {
    "Location": (b"http://sandbox-mfe:8080/a?b#c", b"https://www.cms.example/a?b#c"),
    "location": (b"//sandbox-svc:8443/sandbox/profile/1", b"//api.cms.example/profile/1"),
    "Location, elsewhere": (b"https://idp.example/?to=http://sandbox-mfe:8080/", None),
    "Location, another host": (b"http://sandbox-mfe:8080.evil.example/", None),
    "Location, a path": (b"/login", None),
    "Content-Location": (b"http://sandbox-mfe:8080/a", b"https://www.cms.example/a"),
    "Link": (
        b'<http://sandbox-mfe:8080/a.css>; rel=preload, <http://sandbox-svc:8443/sandbox/b?page=2>; rel="next"',
        b'<https://www.cms.example/a.css>; rel=preload, <https://api.cms.example/b?page=2>; rel="next"',
    ),
    "Refresh": (b"5; url=http://sandbox-mfe:8080/a", b"5; url=https://www.cms.example/a"),
    "X-Next-Page": (b"http://sandbox-mfe:8080/2", b"https://www.cms.example/2"),
    "SourceMap": (b"http://sandbox-mfe:8080/a.map", b"https://www.cms.example/a.map"),
    "WWW-Authenticate": (
        b'Bearer realm="a", authorization_uri="http://sandbox-svc:8443/sandbox/auth"',
        b'Bearer realm="a", authorization_uri="https://api.cms.example/auth"',
    ),
    "Set-Cookie": (b"s=1; Path=/; Domain=sandbox-mfe; Secure", b"s=1; Path=/; Domain=www.cms.example; Secure"),
    "Set-Cookie, a dot before": (b"s=1; domain=.Docs.Sandbox.test", b"s=1; domain=docs.cms.example"),
    "Set-Cookie, above several hosts": (b"s=1; Domain=sandbox.test; Path=/", b"s=1; Domain=cms.example; Path=/"),
    "Set-Cookie, another domain": (b"s=1; Domain=other.example", None),
    "Set-Cookie, a value like a domain": (b"domain=sandbox-mfe; Path=/a", None),
    "Access-Control-Allow-Origin": (b"http://sandbox-mfe:8080", b"https://www.cms.example"),
    "Access-Control-Allow-Origin, any": (b"*", None),
    "Access-Control-Allow-Origin, none": (b"null", None),
    "Access-Control-Allow-Origin, another": (b"https://other.example", None),
    "Access-Control-Allow-Origin, below a prefix": (b"http://sandbox-svc:8443", b"https://api.cms.example"),
    "Timing-Allow-Origin": (
        b"http://sandbox-mfe:8080, https://other.example",
        b"https://www.cms.example, https://other.example",
    ),
    "Content-Security-Policy": (
        b"default-src 'self'; connect-src http://sandbox-svc:8443 ws://sandbox-mfe:8080 https://other.example",
        b"default-src 'self'; connect-src https://api.cms.example wss://www.cms.example https://other.example",
    ),
    "Content-Security-Policy, without schemes": (
        b"img-src sandbox-mfe:8080 pay.sandbox.test data:",
        b"img-src https://www.cms.example https://pay.cms.example data:",
    ),
    "Content-Security-Policy, wildcards": (
        b"img-src *.sandbox.test; font-src *.other.example; media-src http://*.sandbox.test:*",
        b"img-src https://pay.cms.example https://docs.cms.example:9443; font-src *.other.example;"
        b" media-src https://pay.cms.example https://docs.cms.example:9443",
    ),
    "Content-Security-Policy, paths": (
        b"script-src http://sandbox-svc:8443/sandbox/profile/js/ 'nonce-abc'; report-uri http://sandbox-mfe:8080/csp",
        b"script-src https://api.cms.example/profile/js/ 'nonce-abc'; report-uri https://www.cms.example/csp",
    ),
    "Content-Security-Policy, two policies": (
        b"img-src http://sandbox-mfe:8080, script-src 'self';",
        b"img-src https://www.cms.example, script-src 'self';",
    ),
    "Content-Security-Policy-Report-Only": (b"img-src sandbox-mfe:8080", b"img-src https://www.cms.example"),
    "Alt-Svc": (b'h3=":443"', b""),
    "alt-used": (b"sandbox-mfe", b""),
    "Server": (b"sandbox", None),
}  # fmt: skip


@pytest.mark.parametrize(("field", "value", "expected"), [(f, *row) for f, row in ROWS.items()], ids=ROWS)
def test_a_field_names_production_instead_of_the_sandbox(field: str, value: bytes, expected: bytes | None) -> None:
    name = field.partition(",")[0].encode()
    wanted = ((name, value if expected is None else expected),) if expected != b"" else ()
    assert back_fields([(name, value), (b"Date", b"now")], MAP) == (*wanted, (b"Date", b"now"))


PATHS = {
    "a redirect": (b"Location", b"/sandbox/profile/1?a", b"https://api.cms.example/profile/1?a"),
    "a redirect below the shorter prefix": (b"Location", b"/sandbox/x", b"https://api.cms.example/x"),
    "a redirect beside it": (b"Location", b"/sandboxes", b"/sandboxes"),
    "a cookie": (b"Set-Cookie", b"s=1; Path=/sandbox/profile; Secure", b"s=1; Path=/profile; Secure"),
    "a cookie of the whole prefix": (b"Set-Cookie", b"s=1; Path=/sandbox", b"s=1; Path=/"),
    "a cookie of the host": (b"Set-Cookie", b"s=1; Path=/", b"s=1; Path=/"),
}


@pytest.mark.parametrize(("name", "value", "expected"), PATHS.values(), ids=PATHS)
def test_a_path_without_host_is_one_of_the_place_that_answered(name: bytes, value: bytes, expected: bytes) -> None:
    assert back_fields([(name, value)], MAP, at=("sandbox-svc", 8443)) == ((name, expected),)
    assert back_fields([(name, value)], MAP) == ((name, value),)


def test_of_several_origins_the_one_that_asked_is_allowed() -> None:
    routes = [{"from": f"https://{name}.cms.example", "to": "http://one:1"} for name in ("a", "b")]
    url_map = UrlMap.of(Target.model_validate({"routes": routes}))
    field = (b"access-control-allow-origin", b"http://one:1")
    assert back_fields([field], url_map, origin=b"https://b.cms.example") == ((field[0], b"https://b.cms.example"),)
    assert back_fields([field], url_map, origin=b"https://evil.example") == ((field[0], b"https://a.cms.example"),)


def test_a_route_without_scheme_takes_that_of_the_clients_request() -> None:
    fields = [
        (b"location", b"http://sandbox-svc:8443/sandbox/"),
        (b"access-control-allow-origin", b"http://sandbox-svc:8443"),
    ]
    assert [value for _, value in back_fields(fields, MAP, scheme="http")] == [
        b"http://api.cms.example/",
        b"http://api.cms.example",
    ]


def test_a_cookie_domain_is_dropped_where_production_has_nothing_in_common() -> None:
    routes = [
        {"from": "https://www.one.example", "to": "http://a.sandbox.test"},
        {"from": "https://www.two.test", "to": "http://b.sandbox.test"},
    ]
    url_map = UrlMap.of(Target.model_validate({"routes": routes}))
    fields = [(b"set-cookie", b"s=1; Domain=sandbox.test; Secure")]
    assert back_fields(fields, url_map) == ((b"set-cookie", b"s=1; Secure"),)


@given(
    st.lists(st.tuples(st.sampled_from(sorted({f.partition(",")[0].encode() for f in ROWS})), st.binary(max_size=60)))
)
def test_any_value_comes_back_and_names_no_sandbox_more_than_before(fields: list[tuple[bytes, bytes]]) -> None:
    back = back_fields(fields, MAP, at=("sandbox-svc", 8443), origin=PORTAL)
    assert len(back) <= len(fields)
    assert all(b"\r" not in value or any(b"\r" in v for _, v in fields) for _, value in back)
