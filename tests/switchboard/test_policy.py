from __future__ import annotations

from dataclasses import replace

import pytest

from switchboard.drill import Phase
from switchboard.policy import decide, decide_tunnel
from switchboard.verdict import Ask, Kind
from tests.switchboard.estates import MEMBER, OUTSIDER, SANDBOX, a_drill, a_switch, ask

RUNNING = a_switch(a_drill())

FORWARDED = [
    ("whole host", "https://www.cms.example/a?b", "http://sandbox-mfe.test:8080", "/a?b", "https://www.cms.example"),
    ("no path", "https://www.cms.example", "http://sandbox-mfe.test:8080", "/", "https://www.cms.example"),
    ("upper case", "https://WWW.CMS.EXAMPLE/", "http://sandbox-mfe.test:8080", "/", "https://www.cms.example"),
    ("trailing dot", "https://www.cms.example./", "http://sandbox-mfe.test:8080", "/", "https://www.cms.example"),
    ("default port", "https://www.cms.example:443/", "http://sandbox-mfe.test:8080", "/", "https://www.cms.example"),
    ("longest prefix", "https://api.cms.example/profile/1", "http://sandbox-profile.test:8082", "/sandbox/profile/1",
     "svc-profile"),
    ("prefix itself", "https://api.cms.example/profile", "http://sandbox-profile.test:8082", "/sandbox/profile",
     "svc-profile"),
    ("encoded prefix", "https://api.cms.example/%70rofile/%41", "http://sandbox-profile.test:8082",
     "/sandbox/profile/%41", "svc-profile"),
    ("segment border", "https://api.cms.example/profiles", "https://sandbox-svc.test:8443", "/sandbox/profiles",
     "api.cms.example"),
    ("either scheme", "http://api.cms.example/x", "https://sandbox-svc.test:8443", "/sandbox/x", "api.cms.example"),
    ("prefix taken off", "https://pay.cms.example/v1/charge", "http://sandbox-pay.test:8083", "/charge",
     "https://pay.cms.example/v1"),
    ("prefix and nothing", "https://pay.cms.example/v1", "http://sandbox-pay.test:8083", "/",
     "https://pay.cms.example/v1"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "to", "target", "route"), [c[1:] for c in FORWARDED], ids=[c[0] for c in FORWARDED])
def test_a_routed_url_is_forwarded(url: str, to: str, target: str, route: str) -> None:
    verdict = decide(ask(url), RUNNING)
    assert verdict.upstream is not None
    assert (verdict.kind, verdict.rung) == (Kind.FORWARD, 5)
    assert f"{verdict.upstream.scheme}://{verdict.upstream.authority}" == to
    assert (verdict.target, verdict.route, verdict.drill, verdict.sandbox) == (
        target,
        route,
        "drill-staging",
        "staging",
    )


BLOCKED = [
    ("method of the route", "https://api.cms.example/profile", "DELETE", 403, 5, "svc-profile does not accept DELETE"),
    ("no lane for the path", "https://pay.cms.example/v2", "GET", 403, 6, "no route for this path"),
    ("blocked on purpose", "https://old.cms.example/", "GET", 403, 6, "production host without a route"),
    ("other port", "https://www.cms.example:8443/", "GET", 403, 6, "production host without a route"),
    ("not listed", "https://elsewhere.example/", "GET", 403, 8, "host is not listed"),
    ("denied", "https://evil.example.net/", "GET", 403, 2, "denied by security"),
    ("denied below", "https://a.denied.example/", "GET", 403, 2, "denied by security"),
    ("address", "https://203.0.113.5/", "GET", 400, 3, "address literal"),
    ("unknown method", "https://www.cms.example/", "BREW", 400, 3, "unknown method"),
    ("space in the target", "https://www.cms.example/a b", "GET", 400, 3, "control character in request target"),
    ("dot segments", "https://api.cms.example/profile/../x", "GET", 400, 3, "dot segment in path"),
]


@pytest.mark.parametrize(
    ("url", "method", "status", "rung", "reason"), [c[1:] for c in BLOCKED], ids=[c[0] for c in BLOCKED]
)
def test_what_leads_nowhere_is_blocked_with_its_reason(
    url: str, method: str, status: int, rung: int, reason: str
) -> None:
    verdict = decide(ask(url, method=method), RUNNING)
    assert (verdict.kind, verdict.status, verdict.rung, verdict.reason) == (Kind.BLOCK, status, rung, reason)
    assert verdict.upstream is None


WWW, API = "www.cms.example", "api.cms.example"
DISAGREE = [
    ("SNI", (WWW,), API, 421, "SNI and Host disagree"),
    ("no SNI", (WWW,), "", 421, "TLS without SNI"),
    ("target", (WWW, API), WWW, 421, "Host and request target disagree"),
    ("port of the target", (WWW, f"{WWW}:8443"), WWW, 421, "Host and request target disagree"),
    ("no Host", (), WWW, 400, "no host"),
    ("SNI that is an address", (WWW,), "203.0.113.5", 400, "address literal"),
    ("second one unreadable", (WWW, "a@b"), WWW, 400, "userinfo in authority"),
]


@pytest.mark.parametrize(
    ("authorities", "sni", "status", "reason"), [c[1:] for c in DISAGREE], ids=[c[0] for c in DISAGREE]
)
def test_identities_that_disagree_are_blocked(authorities: tuple[str, ...], sni: str, status: int, reason: str) -> None:
    verdict = decide(replace(ask(f"https://{WWW}/"), authorities=authorities, sni=sni), RUNNING)
    assert (verdict.kind, verdict.status, verdict.rung, verdict.reason) == (Kind.BLOCK, status, 3, reason)


@pytest.mark.parametrize("authority", [f"{WWW}:443", f"{WWW.upper()}.", WWW])
def test_identities_agree_after_normalisation(authority: str) -> None:
    verdict = decide(replace(ask(f"https://{WWW}/"), authorities=(WWW, authority), sni=f"{WWW.title()}."), RUNNING)
    assert verdict.kind is Kind.FORWARD


MOCKED = [
    ("match", "https://payments.example/v1/charge", "POST", Kind.MOCK),
    ("encoded path", "https://payments.example/%761/charge", "POST", Kind.MOCK),
    ("query does not matter", "https://payments.example/v1/charge?x", "POST", Kind.MOCK),
    ("other method", "https://payments.example/v1/charge", "GET", Kind.BLOCK),
    ("other path", "https://payments.example/v2", "POST", Kind.BLOCK),
    ("other scheme", "http://payments.example/v1/charge", "POST", Kind.BLOCK),
    ("before its route", "https://www.cms.example/beta?on=1", "PUT", Kind.MOCK),
    ("with its query only", "https://www.cms.example/beta?on=2", "PUT", Kind.FORWARD),
]


@pytest.mark.parametrize(("url", "method", "kind"), [c[1:] for c in MOCKED], ids=[c[0] for c in MOCKED])
def test_a_mock_answers_before_any_route(url: str, method: str, kind: Kind) -> None:
    verdict = decide(ask(url, method=method), RUNNING)
    assert verdict.kind is kind
    assert (verdict.rung == 4) == (verdict.mock is not None) == (kind is Kind.MOCK)


def test_plain_http_of_an_https_route_is_sent_there_with_308() -> None:
    verdict = decide(ask("http://www.cms.example/a%20b?c=\u00e9"), RUNNING)
    assert verdict.mock is not None
    assert (verdict.kind, verdict.rung, verdict.mock.status) == (Kind.MOCK, 5, 308)
    assert verdict.mock.headers == {"Location": "https://www.cms.example/a%20b?c=%C3%A9"}


def test_an_allowed_host_is_forwarded_unlisted() -> None:
    verdict = decide(ask("https://fonts.example.net/a"), RUNNING)
    assert verdict.upstream is not None
    assert (verdict.kind, verdict.rung, verdict.listed, verdict.target) == (Kind.FORWARD, 7, False, "/a")
    assert (verdict.upstream.host, verdict.upstream.port) == ("fonts.example.net", 443)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://anything.example/", Kind.FORWARD),
        ("https://old.cms.example/", Kind.BLOCK),
        ("https://tracker.example.net/", Kind.BLOCK),
        ("https://evil.example.net/", Kind.BLOCK),
    ],
)
def test_unlisted_allow_lets_all_but_production_blocked_and_denied_hosts(url: str, kind: Kind) -> None:
    assert decide(ask(url), a_switch(a_drill(target="open"))).kind is kind


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        (Phase.ARMING, Kind.HOLD),
        (Phase.RUNNING, Kind.FORWARD),
        (Phase.PAUSED, Kind.FORWARD),
        (Phase.DRAINING, Kind.HOLD),
        (Phase.ENDED, Kind.PASS),
        (Phase.FAILED, Kind.PASS),
    ],
)
def test_the_phase_decides_which_side_a_member_is_on(phase: Phase, kind: Kind) -> None:
    switch = a_switch(a_drill(phase))
    assert decide(ask("https://www.cms.example/"), switch).kind is kind
    assert decide_tunnel(ask("https://www.cms.example/"), switch).kind is kind


def test_the_deny_list_comes_before_holding() -> None:
    assert decide(ask("https://evil.example.net/"), a_switch(a_drill(Phase.ARMING))).kind is Kind.BLOCK


@pytest.mark.parametrize(
    ("client", "user", "kind"),
    [
        (OUTSIDER, None, Kind.PASS),
        (OUTSIDER, "agent-1", Kind.FORWARD),
        (OUTSIDER, "nobody", Kind.PASS),
        (MEMBER, None, Kind.FORWARD),
        (f"::ffff:{MEMBER}", None, Kind.FORWARD),
        ("2001:db8:77::9%eth0", None, Kind.FORWARD),
        ("10.77.2.1", None, Kind.PASS),  # in another cohort, which has no drill
        (SANDBOX, None, Kind.FORWARD),
        ("not an address", None, Kind.PASS),
    ],
)
def test_who_asks_decides_whether_there_is_a_drill(client: str, user: str | None, kind: Kind) -> None:
    assert decide(ask("https://www.cms.example/", client=client, user=user), RUNNING).kind is kind


def test_a_sandbox_is_kept_in_its_own_world_without_any_drill() -> None:
    live = a_switch()
    assert decide(ask("https://www.cms.example/", client=SANDBOX), live).kind is Kind.FORWARD
    assert decide(ask("https://elsewhere.example/", client=SANDBOX), live).kind is Kind.BLOCK


@pytest.mark.parametrize(
    ("drill", "kind"), [("drill-staging", Kind.FORWARD), ("drill-gone", Kind.BLOCK)], ids=["running", "gone"]
)
def test_the_generator_asks_for_its_drill(drill: str, kind: Kind) -> None:
    asked = Ask(client="", drill=drill, method="GET", scheme="https", authorities=(WWW,), target="/")
    assert decide(asked, RUNNING).kind is kind


@pytest.mark.parametrize(
    ("authority", "kind", "status"),
    [
        (f"{WWW}:443", Kind.FORWARD, 0),
        (f"{API}:80", Kind.FORWARD, 0),
        ("payments.example:443", Kind.FORWARD, 0),
        ("fonts.example.net:443", Kind.FORWARD, 0),
        (f"{WWW}:22", Kind.BLOCK, 403),
        ("elsewhere.example:443", Kind.BLOCK, 403),
        ("evil.example.net:443", Kind.BLOCK, 403),
        ("203.0.113.5:443", Kind.BLOCK, 400),
        ("[2001:db8:10::1]:443", Kind.BLOCK, 400),
    ],
)
def test_a_tunnel_is_opened_only_to_where_a_request_may_go(authority: str, kind: Kind, status: int) -> None:
    asked = Ask(client=MEMBER, method="CONNECT", scheme="https", authorities=(authority,), target="/")
    verdict = decide_tunnel(asked, RUNNING)
    assert (verdict.kind, verdict.status) == (kind, status)
