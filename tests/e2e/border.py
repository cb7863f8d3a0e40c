"""A scene whose sandbox keeps every byte it gets, with a rule for every place that a credential can be in."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.certificates import ServerFiles
from switchboard.pockets import PocketStore
from tests.e2e.origin import Origin, origin
from tests.e2e.stage import MEMBER, Stage, stage

WWW, API = "www.cms.example", "api.cms.example"
MEMBERS = (MEMBER, "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")

BORDER = """
version: 1
clients: [127.0.0.0/24, 127.0.2.0/24]
production:
  hosts: [www.cms.example, api.cms.example, "*.cms.example"]
  networks: [127.0.1.0/24]
  connect:
    "www.cms.example:80": "127.0.1.1:{prod_http}"
    "www.cms.example:443": "127.0.1.1:{prod_tls}"
    "api.cms.example:80": "127.0.1.1:{prod_http}"
    "api.cms.example:443": "127.0.1.1:{prod_tls}"
  ca: {folder}/prod-ca.pem
cohorts:
  rookies:
    clients: [127.0.0.1, 127.0.0.2, 127.0.0.3, 127.0.0.4, 127.0.0.5]
    users: {{agent-1: {{value: open-sesame}}}}
    gate: connection
targets:
  staging:
    routes:
      - {{from: "http://www.cms.example", to: "http://sandbox-raw.test:{raw}"}}
      - {{from: "https://www.cms.example", to: "http://sandbox-raw.test:{raw}"}}
      - {{from: "http://api.cms.example/profile", to: "http://sandbox-raw.test:{raw}/sandbox/profile",
         methods: [GET, PUT]}}
      - {{from: "https://api.cms.example/profile", to: "http://sandbox-raw.test:{raw}/sandbox/profile",
         methods: [GET, PUT]}}
      - {{from: "http://api.cms.example", to: "http://sandbox-raw.test:{raw}/api"}}
      - {{from: "https://api.cms.example", to: "https://sandbox-svc.test:{tls_raw}/api"}}
    block: ["*.cms.example"]
    networks: [127.0.2.0/24]
    ca: {folder}/sandbox-ca.pem
    credentials:
      - {{in: header, name: Authorization, scheme: Bearer, twin: learned, learn: {{pointer: /access_token}}}}
      - {{in: basic, twin: {{value: "trainee:twin-basic"}}}}
      - {{in: header, name: X-Api-Key, twin: {{value: twin-api-key}}}}
      - {{in: header, name: X-Partner-Token, twin: learned}}
      - {{in: cookie, name: session, twin: learned}}
      - {{in: query, name: api_key, twin: {{value: "twin&query/key"}}}}
      - {{in: json, pointer: /auth/token, twin: {{value: twin-json}}}}
      - {{in: json, pointer: /password, twin: {{value: "twin-pass\\"word"}}}}
      - {{in: form, name: password, twin: {{value: twin+form&password}}}}
      - {{in: websocket, pointer: /token, twin: {{value: twin-socket}}}}
      - {{in: websocket, name: "bearer.", twin: {{value: twin-subprotocol}}}}
    cookies: {cookies}
    expose: [XSRF-TOKEN]
    banner: {banner}
    limits: {{body: 64KiB}}
    mocks:
      - {{match: "POST https://payments.example/*", status: 202, json: {{accepted: true}}}}
      - {{match: "POST http://payments.example/*", status: 202, json: {{accepted: true}}}}
      - {{match: "GET https://mocks.example/text", text: "a text", headers: {{X-Mock: "1"}}}}
      - {{match: "GET http://mocks.example/text", text: "a text", headers: {{X-Mock: "1"}}}}
      - {{match: "* https://mocks.example/hello*", template: "Hello {{{{ query.name }}}}, {{{{ method }}}}"}}
      - {{match: "* http://mocks.example/hello*", template: "Hello {{{{ query.name }}}}, {{{{ method }}}}"}}
listeners: {{proxy: ["regular@127.0.0.1:0", "steered@127.0.0.1:0"], admin: "127.0.0.1:{admin}", dns: "127.0.0.1:0"}}
drain: {drain}
"""


@dataclass(frozen=True, slots=True)
class Border:
    """`sandbox` gets what is plain, `secure` what `https://api.cms.example` leads to beside its profile."""

    stage: Stage = field(repr=False)
    sandbox: Origin = field(repr=False)
    secure: Origin = field(repr=False)

    def counted(self) -> Counter[str]:
        """Return what the drill has counted since this was asked last."""
        witness, found = self.stage.worker.witness, Counter[str]()
        for drill, delta in witness.deltas():
            found.update(delta.counters)
            witness.confirm(drill, delta.sequence)
        return found


def border_estate(*, cookies: str = "isolate", banner: str = "DRILL") -> str:
    return BORDER.replace("{cookies}", cookies).replace("{banner}", banner)


@asynccontextmanager
async def border(folder: Path, *, text: str | None = None, store: PocketStore | None = None) -> AsyncIterator[Border]:
    """Set the scene, in production still."""
    async with stage(folder, text=text or border_estate(), store=store) as scene:
        context = ServerFiles(folder / "sandbox.pem", folder / "sandbox-key.pem").context()
        async with (
            origin("127.0.2.1", scene.raw) as plain,
            origin("127.0.2.1", scene.tls_raw, context=context) as secure,
        ):
            yield Border(scene, plain, secure)
