from __future__ import annotations

import pytest

from generator.entry import Entry
from generator.request import Aim, Sanitiser, ask_for, refusal, take_aim
from switchboard.errors import BadInput
from switchboard.policy import decide
from switchboard.verdict import Upstream
from tests.generator.stage import a_drill, a_scenario, a_switch, an_estate

ESTATE = an_estate("http://sandbox.test:8080")
TARGET = ESTATE.targets["staging"]
SWITCH = a_switch(ESTATE, a_drill())
AIM = Aim("d1", "https", "www.cms.example")


def an_entry(target: str, method: str = "GET", fields: tuple[tuple[bytes, bytes], ...] = ()) -> Entry:
    return Entry(0.0, True, "10.0.0.1", "Mozilla", method, target, fields)


@pytest.mark.parametrize(
    ("target", "method", "reason"),
    [
        pytest.param("/a", "GET", None, id="routed"),
        pytest.param("https://api.cms.example/v1", "GET", None, id="absolute URL of another routed host"),
        pytest.param("http://old.cms.example/", "GET", "blocked", id="production without a route"),
        pytest.param("https://www.cms.example:8443/", "GET", "blocked", id="production on another port"),
        pytest.param("http://evil.example/", "GET", "blocked", id="a stranger"),
        pytest.param("http://user:pw@www.cms.example/", "GET", "blocked", id="userinfo"),
        pytest.param("http://203.0.113.9/", "GET", "blocked", id="an address"),
        pytest.param("https://fonts.example.net/a.woff", "GET", "not_sandbox", id="allowed for people, not for load"),
        pytest.param("/pay", "POST", "mocked", id="mock"),
        pytest.param("/a", "PROPFIND", "blocked", id="unknown method"),
        pytest.param("https://api.cms.example/profile/../x", "GET", "blocked", id="dot segments where prefixes matter"),
        pytest.param("https://api.cms.example?a=b", "GET", None, id="absolute URL without a path"),
    ],
)
def test_only_what_leads_to_the_sandbox_is_sent(target: str, method: str, reason: str | None) -> None:
    assert refusal(decide(ask_for(an_entry(target, method), AIM), SWITCH), AIM) == reason


def test_a_scenario_for_one_route_sends_to_that_route_only() -> None:
    aim = take_aim(a_scenario(target="svc-profile", origin="https://api.cms.example"), "d1", TARGET)
    assert refusal(decide(ask_for(an_entry("/profile/7"), aim), SWITCH), aim) is None
    assert refusal(decide(ask_for(an_entry("/other"), aim), SWITCH), aim) == "other_route"


def test_lines_belong_to_the_first_route_unless_the_scenario_says_otherwise() -> None:
    assert take_aim(a_scenario(), "d1", TARGET) == AIM
    other = take_aim(a_scenario(origin="http://api.cms.example:8080"), "d1", TARGET)
    assert (other.scheme, other.authority) == ("http", "api.cms.example:8080")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"origin": "https://"}, "scenario 'surge': origin: 'https://' is not an origin"),
        ({"origin": "https://www.cms.example/a"}, "is not an origin without a path like 'https://www.cms.example'"),
        ({"target": "svc-x"}, r"target: 'svc-x' is not a route name of the target \(svc-profile\)"),
    ],
    ids=["no host", "a path", "unknown route"],
)
def test_an_aim_that_cannot_be_is_a_clear_error(wish: dict[str, str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        take_aim(a_scenario(**wish), "d1", TARGET)


def test_recorded_credentials_and_routing_headers_do_not_cross() -> None:
    recorded = {
        "Host": "www.cms.example",
        "Authorization": "Bearer production",
        "Proxy-Authorization": "Basic x",
        "Cookie": "session=production",
        "X-Api-Key": "production",
        "X-Agency-Pass": "production",
        "X-Forwarded-Host": "www.cms.example",
        "Forwarded": "host=www.cms.example",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Transfer-Encoding": "chunked",
        "baggage": "env=production",
        "Accept": "text/html",
        "User-Agent": "Mozilla",
    }
    fields = tuple((name.encode(), value.encode()) for name, value in recorded.items())
    request, removed = Sanitiser("d1", TARGET.credentials).request(
        an_entry("/a", fields=fields), Upstream("http", "sandbox.test", 8080), "/a?ticket=production&api_key=x&b=c"
    )
    assert set(request.fields) - {(b"Transfer-Encoding", b"chunked")} == {
        (b"Host", b"sandbox.test:8080"),
        (b"Accept", b"text/html"),
        (b"User-Agent", b"Mozilla"),
        (b"X-HMS-Env", b"sandbox"),
        (b"baggage", b"env=sandbox,drill=d1"),
    }
    assert request.target == "/a?b=c"
    assert removed == 7


def test_a_log_line_is_sent_with_its_user_agent_and_the_marks() -> None:
    request, removed = Sanitiser("d1", ()).request(an_entry("/a"), Upstream("https", "sandbox.test", 443), "/a")
    assert request.fields == (
        (b"Host", b"sandbox.test"),
        (b"User-Agent", b"Mozilla"),
        (b"X-HMS-Env", b"sandbox"),
        (b"baggage", b"env=sandbox,drill=d1"),
    )
    assert removed == 0
