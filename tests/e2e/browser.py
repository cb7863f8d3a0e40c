"""A real Chromium at the regular door, and a town whose portal has a desk for it to work at.

The sandbox lives at two origins of its own, one with TLS, and names itself by them wherever it can: in pages, in JSON,
in policies. A browser in a drill must only ever meet production's names.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

from sandbox.agency import agency
from sandbox.certificates import Authority
from sandbox.side import Side
from switchboard.client import ApiClient
from switchboard.roles import Place
from switchboard.scene import PROD, SANDBOX, Scene
from switchboard.settings import Settings
from switchboard.up import up
from tests.e2e.town import Town

WWW, API = "https://www.cms.example", "https://api.cms.example"
# What a fresh Chromium would ask its makers for; QUIC would go around an HTTP proxy.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
)

ESTATE = """
version: 1
production:
  hosts: [www.cms.example, api.cms.example, "*.cms.example"]
  networks: [127.0.1.0/24]
  connect:
    "www.cms.example:443": "127.0.1.1:{prod_tls}"
    "api.cms.example:443": "127.0.1.1:{prod_tls}"
  ca: prod-ca.pem
cohorts:
  rookies: {{clients: [127.0.0.1], gate: connection}}
targets:
  staging:
    routes:
      - {{from: "https://www.cms.example", to: "http://127.0.2.1:{http}"}}
      - {{from: "https://api.cms.example", to: "https://127.0.2.1:{tls}/svc"}}
    block: ["*.cms.example"]
    networks: [127.0.2.0/24]
    ca: sandbox-ca.pem
    credentials:
      - {{in: header, name: Authorization, scheme: Bearer, twin: learned, learn: {{pointer: /token}}}}
      - {{in: websocket, pointer: /token, twin: learned, learn: {{pointer: /token}}}}
    cookies: isolate
listeners: {{proxy: ["regular@127.0.0.1:0"], admin: "127.0.0.1:0", dns: "127.0.0.1:0"}}
workers: 2
"""


@asynccontextmanager
async def town_with_a_desk(folder: Path) -> AsyncIterator[Town]:
    """Run it as `hms-esr up` does, with two workers; `folder` needs a short path (Redis listens below it)."""
    now = datetime.datetime.now(datetime.UTC)
    prod_ca, sandbox_ca = Authority.create("Production CA", now=now), Authority.create("Sandbox CA", now=now)
    prod_ca.write(folder / "prod-ca.pem")
    sandbox_ca.write(folder / "sandbox-ca.pem")
    prod_tls = prod_ca.issue(["*.cms.example"], now=now).write(folder, "prod")
    sandbox_tls = sandbox_ca.issue([SANDBOX], now=now).write(folder, "sandbox")
    port = free_port(SANDBOX)
    async with (
        agency(Side.PROD, PROD, tls=prod_tls) as production,
        agency(
            Side.SANDBOX, SANDBOX, tls=sandbox_tls, tls_port=port, services_url=f"https://{SANDBOX}:{port}/svc"
        ) as sandbox,
    ):
        # Every token starts with the name of its side.
        production.books.watch(b"sandbox-")
        sandbox.books.watch(b"prod-")
        text = ESTATE.format(prod_tls=production.tls_port, http=sandbox.http_port, tls=sandbox.tls_port)
        path = folder / "switchboard.yml"
        path.write_text(text, encoding="utf-8")
        assert yaml.safe_load(text)["version"] == 1
        settings = Settings(estate=path, state=folder / "state")
        async with (
            up(Place(settings, node="up"), say=print) as running,
            ApiClient(running.admin, token=running.token) as api,
        ):
            yield Town(Scene(folder, production, sandbox), running, settings, api)


def free_port(host: str) -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def key_pin(ca: Path) -> str:
    """Return what Chromium knows a CA's key by: the base64 of the SHA-256 of its public key (RFC 7469 2.4)."""
    key = x509.load_pem_x509_certificate(ca.read_bytes()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()


@dataclass(frozen=True, slots=True)
class Trainee:
    """A person at a browser. `said` collects what the browser itself found wrong: errors of scripts and policies."""

    browser: Browser
    context: BrowserContext
    page: Page
    said: list[str]

    async def log_in(self, name: str) -> None:
        await self.page.goto(f"{WWW}/login")
        await self.page.fill("input[name=username]", name)
        await self.page.fill("input[name=password]", "correct horse")
        await self.page.click("main button")
        await expect(self.page.locator("main")).to_contain_text(f"Signed in as {name}")

    async def open_desk(self) -> None:
        await self.page.goto(f"{WWW}/desk")

    async def upload(self, document: Path) -> None:
        await self.page.set_input_files("input[name=document]", document)
        await self.page.click("form button")

    async def log_out(self) -> None:
        await self.page.click("a[href='/logout']")
        await expect(self.page.locator("main")).to_contain_text("Find health coverage")

    def output(self, name: str) -> Locator:
        return self.page.locator(f"#{name}")

    async def side(self) -> str:
        """Return which side made the page that is shown."""
        return await self.page.locator("html").get_attribute("data-side") or ""

    async def cookies(self) -> dict[str, str]:
        """Return every cookie that the browser holds."""
        return {found.get("name", ""): found.get("value", "") for found in await self.context.cookies()}


@asynccontextmanager
async def trainee(program: str, town: Town) -> AsyncIterator[Trainee]:
    """Start a browser whose every request goes through the town's proxy, and which trusts the switchboard's CA."""
    trust = f"--ignore-certificate-errors-spki-list={key_pin(town.ca)}"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=[*QUIET, trust], proxy={"server": town.proxy}
        )
        try:
            context = await browser.new_context()
            page = await context.new_page()
            said: list[str] = []
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
            yield Trainee(browser, context, page, said)
        finally:
            await browser.close()
