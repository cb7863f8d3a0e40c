"""Every URL of the Web Platform Tests, asked by a member inside a drill: never Pass, never another host's route."""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchboard.authority import Unclear, parse_host
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.estate_file import parse_estate
from switchboard.policy import compile_switch, decide
from switchboard.switch import Switch, parse_address
from switchboard.verdict import Ask, Kind, Verdict

MEMBER = "10.77.1.5"
SPECIAL = re.compile(r"\s*(https?):[/\\]*([^/\\?#]*)(.*)", re.IGNORECASE | re.DOTALL)


def drilled(hosts: list[str], networks: list[str], *, more: str = "") -> Switch:
    """Return the switch of a running drill with every host routed to a sandbox host of its own."""
    routes = "".join(
        f'      - {{from: "{host}", to: "http://sandbox-{i}.test:8080"}}\n' for i, host in enumerate(hosts)
    )
    text = (
        "version: 1\n"
        f"production: {{hosts: {json.dumps(hosts)}, networks: {json.dumps(networks)}}}\n"
        "cohorts: {rookies: {clients: [10.77.1.0/24], gate: connection}}\n"
        f"targets:\n  staging:\n    routes:\n{routes}{more}"
        'listeners: {proxy: ["regular@10.88.0.1:8080"], dns: "10.88.0.1:53", admin: "10.88.0.1:8700"}\n'
    )
    drill = Drill(
        id="drill-1",
        target="staging",
        cohort="rookies",
        phase=Phase.RUNNING,
        started="2026-01-01T00:00:00Z",
        deadline="2026-01-01T08:00:00Z",
        edge=1,
    )
    return compile_switch(parse_estate(text, "switchboard.yml"), SwitchDocument(epoch=2, drills=(drill,)))


def cases(data: Path) -> list[dict[str, Any]]:
    text = (data / "corpora" / "wpt_urltestdata.json").read_text()
    return [case for case in json.loads(text) if isinstance(case, dict)]


def a_name(text: str) -> str | None:
    """Return a hostname of the file in its one form, None where it is no DNS name."""
    try:
        return parse_host(text)
    except Unclear:
        return None


@pytest.fixture(scope="module")
def hosts(data: Path) -> dict[str, int]:
    names = {a_name(case["hostname"]) for case in cases(data) if case.get("hostname")}
    return {name: i for i, name in enumerate(sorted(filter(None, names)))}


@pytest.fixture(scope="module")
def switch(data: Path, hosts: dict[str, int]) -> Switch:
    literals = {parse_address(case["hostname"].strip("[]")) for case in cases(data) if case.get("hostname")}
    return drilled(list(hosts), sorted(str(address) for address in literals if address is not None))


def handed_over(case: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return (scheme, authority, target) as a browser hands the URL to a proxy, and as it stands in the file."""
    found = []
    if case.get("protocol") in ("http:", "https:"):
        found.append((case["protocol"][:-1], case["host"], case["pathname"] + case["search"]))
    if split := SPECIAL.match(case["input"]):
        scheme, authority, rest = split.groups()
        found.append((scheme.lower(), authority, rest))
        found.append((scheme.lower(), authority, rest if rest.startswith("/") else f"/{rest}"))
    elif case.get("base") and (split := SPECIAL.match(case["base"])):
        scheme, authority, _ = split.groups()
        found.append((scheme.lower(), authority, case["input"]))
        found.append((scheme.lower(), authority, f"/{case['input']}"))
    return found


def asked(scheme: str, authority: str, target: str, *, sni: str | None, switch: Switch) -> list[Verdict]:
    """Return the verdicts on a URL: with Host alone, with absolute-form, and with SNI where it is https."""
    asks = [(authority,), (authority, authority)]
    return [
        decide(
            Ask(client=MEMBER, method="GET", scheme=scheme, authorities=names, target=target, sni=shown),  # type: ignore[arg-type]
            switch,
        )
        for names in asks
        for shown in ((None, "", sni, authority) if scheme == "https" else (None,))
    ]


@pytest.mark.data
def test_no_url_of_a_browser_leaves_the_drill(data: Path, hosts: dict[str, int], switch: Switch) -> None:
    seen: Counter[Kind] = Counter()
    for case in cases(data):
        for scheme, authority, target in handed_over(case):
            for verdict in asked(scheme, authority, target, sni=case.get("hostname") or "", switch=switch):
                seen[verdict.kind] += 1
                assert verdict.kind in (Kind.FORWARD, Kind.MOCK, Kind.BLOCK), case
                if verdict.kind is Kind.FORWARD:
                    assert verdict.upstream is not None
                    named = a_name(authority.partition(":")[0])
                    assert named is not None
                    assert verdict.upstream.host == f"sandbox-{hosts[named]}.test", case

    assert seen[Kind.FORWARD] > 500
    assert seen[Kind.BLOCK] > 500


@pytest.mark.data
def test_every_url_that_a_browser_makes_of_the_file_reaches_its_own_sandbox(
    data: Path, hosts: dict[str, int], switch: Switch
) -> None:
    """The safe answer alone is not enough: what is routed at its default port is forwarded."""
    missed = []
    for case in cases(data):
        name = a_name(case.get("hostname") or "")
        if case.get("protocol") not in ("http:", "https:") or name is None or case["port"]:
            continue
        scheme, authority, target = handed_over(case)[0]
        ask = Ask(client=MEMBER, method="GET", scheme=scheme, authorities=(authority,), target=target)  # type: ignore[arg-type]
        verdict = decide(ask, switch)
        if verdict.upstream is None or verdict.upstream.host != f"sandbox-{hosts[name]}.test":
            missed.append((case["href"], verdict.reason))
    assert missed == []


@pytest.mark.data
def test_an_address_of_production_is_blocked_in_every_spelling(data: Path, switch: Switch) -> None:
    for case in cases(data):
        if case.get("hostname") and parse_address(case["hostname"].strip("[]")) is not None:
            for scheme, authority, target in handed_over(case):
                for verdict in asked(scheme, authority, target, sni=case["hostname"], switch=switch):
                    assert verdict.kind is Kind.BLOCK


ROUTED = ["www.cms.example", "api.cms.example"]
PREFIXED = drilled(
    ROUTED,
    ["203.0.113.0/24"],
    more='      - {from: "https://docs.cms.example/a/b", to: "https://shared.test/sandbox/docs"}\n    ca: ca.pem\n',
)
PLAIN = drilled(ROUTED, ["203.0.113.0/24"])
_ODD = st.sampled_from([*".-_%@:/\\ ;,\t\r\n\0#?[]*", "%2e", "\u3002", "\uff57", "\u00ad", "xn--", "www", "cms"])


@st.composite
def near_misses(draw: st.DrawFn) -> list[str]:
    """Fifty host names a few edits away from a production host."""
    found = []
    for _ in range(50):
        name = draw(st.sampled_from(ROUTED))
        for _ in range(draw(st.integers(1, 3))):
            at = draw(st.integers(0, len(name)))
            cut = draw(st.integers(0, 2))
            name = name[:at] + draw(_ODD) + name[at + cut :]
        found.append(draw(st.sampled_from([name, name.upper(), name.title()])))
    return found


@settings(max_examples=200, deadline=None)
@given(near_misses(), st.sampled_from(["http", "https"]))
def test_ten_thousand_near_misses_of_a_host_never_pass(names: list[str], scheme: Any) -> None:
    for name in names:
        verdict = decide(Ask(client=MEMBER, method="GET", scheme=scheme, authorities=(name,), target="/"), PLAIN)
        assert verdict.kind in (Kind.FORWARD, Kind.BLOCK)
        if verdict.kind is Kind.FORWARD:
            assert re.sub(r":(80|443|0*)$", "", name.lower()).removesuffix(".") in ROUTED


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["GET", "POST", "TRACE", "\0"]), st.booleans())
def test_no_text_at_all_makes_a_member_pass(authority: str, target: str, method: str, is_tls: bool) -> None:
    ask = Ask(
        client=MEMBER,
        method=method,
        scheme="https" if is_tls else "http",
        authorities=(authority,),
        target=target,
        sni=authority,
    )
    assert decide(ask, PLAIN).kind is not Kind.PASS


def as_lenient_servers_read(path: str) -> str:
    """Return a path decoded twice, with backslashes and parameters read as Tomcat and IIS do, dots resolved."""
    text = unquote(unquote(path)).replace("\\", "/")
    return posixpath.normpath(re.sub(r";[^/]*", "", text))


_PIECE = st.sampled_from(
    [
        "/",
        "//",
        ".",
        "..",
        "..;",
        "%2e",
        "%2E%2e",
        "%252e",
        "%2f",
        "%5c",
        "\\",
        "%00",
        ";x",
        "a",
        "b",
        "%61",
        "%c0%af",
        "?",
    ]
)


@settings(max_examples=1000, deadline=None)
@given(st.lists(_PIECE, max_size=12), st.sampled_from(["/a/b", "/a/b/", "/a", "/%61/b/", "/a/b/../"]))
def test_a_path_under_a_prefix_stays_under_the_sandboxs_prefix(pieces: list[str], start: str) -> None:
    authorities = ("docs.cms.example",)
    ask = Ask(client=MEMBER, method="GET", scheme="https", authorities=authorities, target=start + "".join(pieces))
    verdict = decide(ask, PREFIXED)
    assert verdict.kind in (Kind.FORWARD, Kind.BLOCK)
    if verdict.kind is Kind.FORWARD:
        path = verdict.target.partition("?")[0]
        assert f"{path}/".startswith("/sandbox/docs/")
        assert f"{as_lenient_servers_read(path)}/".startswith("/sandbox/docs/")
