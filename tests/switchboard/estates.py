"""One estate for tests of the policy and of what it is compiled into."""

from __future__ import annotations

from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.estate import Estate
from switchboard.estate_file import parse_estate
from switchboard.switch import Switch, compile_switch
from switchboard.verdict import Ask

ESTATE = """
version: 1
clients: [10.77.0.0/16, "2001:db8:77::/64"]
production:
  hosts: [www.cms.example, api.cms.example, pay.cms.example, "*.cms.example"]
  networks: [203.0.113.0/24, "2001:db8:10::/48"]
  connect: {"www.cms.example:443": "127.0.1.1:9443", www.cms.example: "127.0.1.1:9080"}
cohorts:
  rookies: {clients: [10.77.1.0/24, "2001:db8:77::/64"], users: {agent-1: {value: open-sesame}}, gate: connection}
  seniors: {clients: [10.77.2.0/24], gate: connection}
targets:
  staging:
    routes:
      - {from: "https://www.cms.example", to: "http://sandbox-mfe.test:8080"}
      - {from: "https://api.cms.example/profile", to: "http://sandbox-profile.test:8082/sandbox/profile",
         name: svc-profile, methods: [GET, PUT]}
      - {from: "api.cms.example", to: "https://sandbox-svc.test:8443/sandbox", h2: true}
      - {from: "https://pay.cms.example/v1", to: "http://sandbox-pay.test:8083"}
    block: ["*.cms.example"]
    networks: [10.90.0.0/24]
    ca: sandbox-ca.pem
    allow: [fonts.example.net]
    mocks:
      - {match: "POST https://payments.example/v1/*", status: 202, json: {accepted: true}}
      - {match: "* https://www.cms.example/beta?on=1", status: 204}
  open:
    routes:
      - {from: "www.cms.example", to: "http://other.test:8080"}
    block: ["*.cms.example", tracker.example.net]
    networks: [10.91.0.0/24]
    unlisted: allow
deny: [evil.example.net, "*.denied.example", 198.51.100.0/24]
listeners: {proxy: ["regular@10.78.0.1:8080", "steered@0.0.0.0:8443"], dns: "10.78.0.1:53", admin: "127.0.0.1:8700"}
"""

MEMBER, OUTSIDER, SANDBOX = "10.77.1.5", "10.77.9.9", "10.90.0.7"


def estate() -> Estate:
    return parse_estate(ESTATE, "switchboard.yml")


def a_drill(phase: Phase = Phase.RUNNING, *, target: str = "staging", cohort: str | None = "rookies") -> Drill:
    return Drill(
        id=f"drill-{target}",
        target=target,
        cohort=cohort,
        phase=phase,
        started="2026-01-01T00:00:00Z",
        deadline="2026-01-01T08:00:00Z",
        edge=1,
    )


def a_switch(*drills: Drill) -> Switch:
    return compile_switch(estate(), SwitchDocument(epoch=7, drills=drills))


def ask(url: str, *, client: str = MEMBER, method: str = "GET", sni: str | None = None, user: str | None = None) -> Ask:
    """Return what a request for a URL asks; SNI where it is https defaults to the host."""
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    named = authority.partition(":")[0] if scheme == "https" else None
    return Ask(
        client=client,
        user=user,
        method=method,
        scheme="https" if scheme == "https" else "http",
        authorities=(authority,),
        target=slash + path or "/",
        sni=sni if sni is not None else named,
    )
