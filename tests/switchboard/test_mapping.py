from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchboard.estate import Target
from switchboard.mapping import UrlMap
from tests.switchboard.sandbox_urls import a_map

MAP = a_map()

BACK = {
    "a page": (b"http://sandbox-mfe:8080/a?b=c#d", b"https://www.cms.example/a?b=c#d"),
    "an origin": (b"http://sandbox-mfe:8080", b"https://www.cms.example"),
    "upper case": (b"HTTP://Sandbox-MFE:8080/A", b"https://www.cms.example/A"),
    "a trailing dot": (b"http://sandbox-mfe.:8080/", b"https://www.cms.example/"),
    "another scheme on the same port": (b"https://sandbox-mfe:8080/", b"https://www.cms.example/"),
    "a query behind the origin": (b"http://sandbox-mfe:8080?x", b"https://www.cms.example?x"),
    "a socket": (b"ws://sandbox-mfe:8080/live", b"wss://www.cms.example/live"),
    "a socket of a plain origin": (b"ws://127.0.2.1:9080/live", b"ws://old.cms.example/live"),
    "relative to the scheme": (b"//sandbox-mfe:8080/a", b"//www.cms.example/a"),
    "relative, default port left out": (b"//pay.sandbox.test/a", b"//pay.cms.example/v1/a"),
    "relative, another default port": (b"//docs.sandbox.test/a", b"//docs.cms.example:9443/a"),
    "default port left out": (b"http://pay.sandbox.test/a", b"https://pay.cms.example/v1/a"),
    "default port written": (b"http://pay.sandbox.test:80/a", b"https://pay.cms.example/v1/a"),
    "a production port": (b"https://docs.sandbox.test/", b"https://docs.cms.example:9443/"),
    "an address": (b"http://127.0.2.1:9080/a", b"http://old.cms.example/a"),
    "the longest prefix": (b"http://sandbox-svc:8443/sandbox/profile/7", b"https://api.cms.example/profile/7"),
    "exactly the longest prefix": (b"http://sandbox-svc:8443/sandbox/profile", b"https://api.cms.example/profile"),
    "beside the longest prefix": (b"http://sandbox-svc:8443/sandbox/profiles", b"https://api.cms.example/profiles"),
    "a prefix with a query": (b"http://sandbox-svc:8443/sandbox?a", b"https://api.cms.example?a"),
    "percent-encoded": (b"http%3A%2F%2Fsandbox-mfe%3A8080%2Fa", b"https%3A%2F%2Fwww.cms.example%2Fa"),
    "percent-encoded, lower case": (b"http%3a%2f%2fsandbox-mfe%3a8080%2fa", b"https%3a%2f%2fwww.cms.example%2fa"),
    "percent-encoded twice": (b"http%253A%252F%252Fsandbox-mfe%253A8080", b"https%253A%252F%252Fwww.cms.example"),
    "percent-encoded with prefix": (
        b"http%3A%2F%2Fsandbox-svc%3A8443%2Fsandbox%2Fprofile%2F7",
        b"https%3A%2F%2Fapi.cms.example%2Fprofile%2F7",
    ),
    "percent-encoded with a port": (b"https%3A%2F%2Fdocs.sandbox.test", b"https%3A%2F%2Fdocs.cms.example%3A9443"),
    "JSON": (rb"http:\/\/sandbox-mfe:8080\/a", rb"https:\/\/www.cms.example\/a"),
    "JSON in JSON": (rb"http:\\/\\/sandbox-mfe:8080\\/a", rb"https:\\/\\/www.cms.example\\/a"),
    "JSON with prefix": (rb"http:\/\/sandbox-svc:8443\/sandbox\/profile\/7", rb"https:\/\/api.cms.example\/profile\/7"),
    "JSON, code points": (rb"http:\u002f\u002Fsandbox-mfe:8080\u002fa", rb"https:\u002f\u002fwww.cms.example\u002fa"),
    "a script's escapes": (
        rb"http\u003A\u002F\u002Fsandbox\u002Dmfe\u003A8080\u002Fa",
        rb"https\u003A\u002F\u002Fwww.cms.example\u002Fa",
    ),
    "a script's short escapes": (rb"http:\x2f\x2fsandbox-mfe:8080\x2fa", rb"https:\x2f\x2fwww.cms.example\x2fa"),
    "HTML, hexadecimal": (
        b"http:&#x2F;&#x2F;sandbox-mfe:8080&#x2F;a",
        b"https:&#x2F;&#x2F;www.cms.example&#x2F;a",
    ),
    "HTML, decimal": (b"http&#58;&#47;&#47;sandbox-mfe&#58;8080", b"https&#58;&#47;&#47;www.cms.example"),
    "HTML, by name": (b"http&colon;&sol;&sol;sandbox-mfe&colon;8080", b"https&colon;&sol;&sol;www.cms.example"),
}  # fmt: skip


@pytest.mark.parametrize(("url", "production"), BACK.values(), ids=BACK)
def test_a_sandbox_url_leads_back_to_production(url: bytes, production: bytes) -> None:
    assert MAP.back(url) == production


@pytest.mark.parametrize(("url", "production"), BACK.values(), ids=BACK)
@pytest.mark.parametrize(
    "around", [b'{"u":"%s"}', b"%s", b"see %s.", b"\\n%s\\n", b"url(%s)", b"\xe2\x80\x9c%s\xe2\x80\x9d"]
)
def test_it_leads_back_wherever_it_stands_in_a_text(url: bytes, production: bytes, around: bytes) -> None:
    if around[:1] == b"\xe2" and url.endswith(b".test"):
        around = b"%s"  # what is not ASCII could continue the host
    assert MAP.rewrite(around % url) == around % production


OTHERS = {
    "a longer port": b"http://sandbox-mfe:80801/",
    "another port": b"http://sandbox-mfe:8081/",
    "the default port": b"http://sandbox-mfe/",
    "a host that begins with it": b"http://pay.sandbox.test.evil.example/",
    "a host that goes on with a hyphen": b"http://pay.sandbox.test-evil.example/",
    "a host that goes on with letters": b"http://pay.sandbox.testing/",
    "a host that goes on in escapes": b"http://pay.sandbox.test%2Eevil.example/",
    "a host that goes on in script escapes": rb"http://pay.sandbox.test\u002eevil.example/",
    "a host that goes on in references": b"http://pay.sandbox.test&#46;evil.example/",
    "a host that goes on outside ASCII": "http://pay.sandbox.testé/".encode(),
    "a host that ends with it": b"http://xpay.sandbox.test/",
    "a host below it": b"http://x.pay.sandbox.test/",
    "a user": b"http://pay.sandbox.test@evil.example/",
    "a user with a password": b"http://pay.sandbox.test:secret@evil.example/",
    "a user with a port for password": b"http://sandbox-mfe:8080@evil.example/",
    "an escaped user": b"http://sandbox-mfe:8080%40evil.example/",
    "another scheme": b"ftp://sandbox-mfe:8080/",
    "a scheme that ends with it": b"xhttp://sandbox-mfe:8080/",
    "a compound scheme": b"git+http://sandbox-mfe:8080/",
    "a path": b"http://other.example//sandbox-mfe:8080/",
    "three slashes": b"file:///sandbox-mfe:8080/",
    "outside every prefix": b"http://sandbox-svc:8443/other",
    "beside a prefix": b"http://sandbox-svc:8443/sandboxes",
    "no URL": b"sandbox-mfe:8080",
    "production itself": b"https://www.cms.example/",
    "nothing": b"",
}


@pytest.mark.parametrize("url", OTHERS.values(), ids=OTHERS)
def test_any_other_url_stays(url: bytes) -> None:
    assert MAP.back(url) == url
    assert MAP.rewrite(b'<a href="' + url + b'">') == b'<a href="' + url + b'">'


def test_a_route_without_scheme_takes_that_of_the_clients_request() -> None:
    assert MAP.back(b"http://sandbox-svc:8443/sandbox/x", scheme="http") == b"http://api.cms.example/x"
    assert MAP.back(b"ws://sandbox-svc:8443/sandbox/x", scheme="https") == b"wss://api.cms.example/x"


def test_of_two_routes_to_one_place_the_one_of_the_clients_scheme_is_taken() -> None:
    routes = [{"from": f"{scheme}://{scheme}.cms.example", "to": "http://one:1"} for scheme in ("http", "https")]
    url_map = UrlMap.of(Target.model_validate({"routes": routes}))
    assert url_map.back(b"http://one:1/", scheme="http") == b"http://http.cms.example/"
    assert url_map.back(b"http://one:1/", scheme="https") == b"https://https.cms.example/"


def test_several_urls_of_one_text_are_mapped_and_others_between_them_left() -> None:
    text = b"a http://sandbox-mfe:8080@http://sandbox-mfe:8080/ //sandbox-mfe:8080//sandbox-mfe:8080/ http://sandbox-mfe:9/"
    assert MAP.rewrite(text) == (
        b"a http://sandbox-mfe:8080@https://www.cms.example/ //www.cms.example//sandbox-mfe:8080/ http://sandbox-mfe:9/"
    )


def test_an_origin_of_production_leads_there_by_its_shortest_prefix() -> None:
    assert MAP.there[b"https://api.cms.example"] == b"http://sandbox-svc:8443"
    assert MAP.there[b"https://docs.cms.example:9443"] == b"https://docs.sandbox.test"
    assert b"http://www.cms.example" not in MAP.there


def test_a_target_without_routes_maps_nothing() -> None:
    url_map = UrlMap.of(Target())
    assert url_map.is_empty
    assert url_map.rewrite(b"http://sandbox-mfe:8080/") == b"http://sandbox-mfe:8080/"
    assert not url_map.mentions(b"http://sandbox-mfe:8080/")


@given(st.binary(max_size=300))
def test_bytes_without_a_sandbox_host_are_never_changed(text: bytes) -> None:
    assert MAP.rewrite(text) == text
    assert MAP.back(text) == text
