"""The estates of the proxy rows, and the production credentials that must not get past them."""

from __future__ import annotations

from pathlib import Path

# What the measured requests carry of production, and what stands for it where the estate has rules.
BEARER, SESSION, KEY = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl", "cHJvZC1zZXNzaW9u", "cHJvZC1rZXk"
TWIN_BEARER, TWIN_KEY = "sandbox-bearer", "sandbox-key"

# An estate as an agency would write it: many hosts, prefixes on one of them, mocks, blocks and a deny list.
COMMON = """
version: 1
clients: [127.0.0.0/24]
production:
  hosts: [www.cms.example, api.cms.example, forms.cms.example, static.cms.example, id.cms.example, "*.cms.example"]
  networks: [127.0.1.0/24, 203.0.113.0/24, "2001:db8:10::/48"]
cohorts:
  rookies: {{clients: [127.0.0.0/24], gate: connection}}
  agents: {{clients: [10.77.2.0/24], gate: connection}}
targets:
  staging:
    routes:
      - {{from: "www.cms.example", to: "http://sandbox-mfe.test:{http}"}}
      - {{from: "forms.cms.example", to: "http://sandbox-mfe.test:{http}/forms"}}
      - {{from: "static.cms.example", to: "http://sandbox-mfe.test:{http}/static"}}
      - from: "http://api.cms.example/profile"
        to: "http://sandbox-svc.test:{http}/sandbox/profile"
        name: svc-profile
        methods: [GET, PUT]
      - from: "https://api.cms.example/profile"
        to: "https://sandbox-svc.test:{tls}/sandbox/profile"
        name: svc-profile-tls
        methods: [GET, PUT]
      - {{from: "http://api.cms.example/plans/2020", to: "http://sandbox-svc.test:{http}/sandbox/plans"}}
      - {{from: "http://api.cms.example/plans", to: "http://sandbox-svc.test:{http}/sandbox/all-plans"}}
      - {{from: "http://api.cms.example", to: "http://sandbox-svc.test:{http}/sandbox"}}
      - {{from: "https://api.cms.example", to: "https://sandbox-svc.test:{tls}/sandbox"}}
      - {{from: "id.cms.example", to: "http://sandbox-svc.test:{http}/sandbox/id"}}
    block: ["*.cms.example"]
    networks: [127.0.2.0/24]
    ca: {folder}/sandbox-ca.pem
    allow: [fonts.example.net]
    mocks:
      - {{match: "POST https://payments.example/*", status: 202, json: {{accepted: true}}}}
deny: [files.example.org, 198.51.100.0/24]
listeners: {{proxy: ["regular@127.0.0.1:{port}"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}}
"""

# One route, no rule.
BARE = """
version: 1
clients: [127.0.0.0/24]
production: {{hosts: [api.cms.example], networks: [127.0.1.0/24]}}
cohorts: {{rookies: {{clients: [127.0.0.0/24], gate: connection}}}}
targets:
  staging:
    routes: [{{from: "http://api.cms.example", to: "http://sandbox-svc.test:{http}/sandbox"}}]
    networks: [127.0.2.0/24]
    ca: {folder}/sandbox-ca.pem
listeners: {{proxy: ["regular@127.0.0.1:{port}"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}}
"""

_SERVICES = 46
_RULES = """
    credentials:
      - {{in: header, name: Authorization, scheme: Bearer, twin: {{value: sandbox-bearer}}}}
      - {{in: basic, twin: {{value: "sandbox:password"}}}}
      - {{in: header, name: X-Api-Key, twin: {{value: sandbox-key}}}}
      - {{in: header, name: X-CSRF-Token, twin: learned}}
      - {{in: header, name: X-Tenant-Token, twin: {{value: sandbox-tenant}}}}
      - {{in: cookie, name: session, twin: learned}}
      - {{in: cookie, name: XSRF-TOKEN, twin: learned}}
      - {{in: cookie, name: remember_me, twin: {{value: sandbox-remember}}}}
      - {{in: query, name: api_key, twin: {{value: sandbox-key}}}}
      - {{in: query, name: access_token, twin: {{value: sandbox-access}}}}
      - {{in: query, name: ticket, twin: learned, learn: {{header: X-Ticket}}}}
      - {{in: json, pointer: /auth/token, twin: {{value: sandbox-token}}}}
      - {{in: json, pointer: /client/secret, twin: {{value: sandbox-secret}}}}
      - {{in: json, pointer: /session/id, twin: learned}}
      - {{in: form, name: password, twin: {{value: sandbox-password}}}}
      - {{in: form, name: client_secret, twin: {{value: sandbox-secret}}}}
      - {{in: form, name: csrf, twin: learned, learn: {{header: X-CSRF-Token}}}}
      - {{in: websocket, name: bearer., twin: {{value: sandbox-socket}}}}
      - {{in: websocket, pointer: /auth, twin: {{value: sandbox-socket}}}}
      - {{in: metadata, name: x-grpc-token, twin: {{value: sandbox-grpc}}}}
"""
_RICH = """
version: 1
clients: [127.0.0.0/24]
production:
  hosts: [www.cms.example, api.cms.example, "*.cms.example"]
  networks: [127.0.1.0/24, 203.0.113.0/24, "2001:db8:10::/48"]
cohorts: {{rookies: {{clients: [127.0.0.0/24], gate: connection}}}}
targets:
  staging:
    routes:
      - {{from: "www.cms.example", to: "http://sandbox-mfe.test:{http}"}}
      - {{from: "http://api.cms.example/plans/2020", to: "http://sandbox-svc.test:{http}/sandbox/plans"}}
      - {{from: "http://api.cms.example/profile", to: "http://sandbox-svc.test:{http}/sandbox/profile"}}
      - {{from: "http://api.cms.example", to: "http://sandbox-svc.test:{http}/sandbox"}}
ROUTES
    block: ["*.cms.example"]
    networks: [127.0.2.0/24]
    ca: {folder}/sandbox-ca.pem
    mocks:
      - {{match: "POST https://payments.example/*", status: 202, json: {{accepted: true}}}}
RULES
deny: [files.example.org, 198.51.100.0/24]
listeners: {{proxy: ["regular@127.0.0.1:{port}"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}}
"""


def _service(number: int) -> str:
    host, prefix = f"svc-{number:02}.cms.example", f"/v{number % 3 + 1}" if number % 2 else ""
    return f'      - {{{{from: "https://{host}{prefix}", to: "http://sandbox-{number:02}.test:{{http}}/svc{prefix}"}}}}'


# 50 routes and 20 credential rules, one of each kind among them.
RICH = _RICH.replace("ROUTES", "\n".join(map(_service, range(_SERVICES)))).replace("RULES", _RULES.strip("\n"))


def write_out(estate: str, *, folder: Path, port: int, ports: tuple[int, int]) -> str:
    """Return one of these estates as a file; `ports` are the origin's for http and https."""
    return estate.format(folder=folder, port=port, http=ports[0], tls=ports[1])
