"""What browsers fetch: the console and its login, the CA certificate, the proxy configuration."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import orjson
from aiohttp import web

from switchboard.admin_auth import COOKIE, Gatekeeper
from switchboard.errors import EsrError, NotFound
from switchboard.estate import Estate, HostPattern, Listener
from switchboard.openapi import describe_api

CA_FILE = Path("ca", "hms-esr-ca-cert.pem")
CONSOLE = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_MOCK_HOST = re.compile(r"\S+ https?://([^/:]+)")


class PageCalls:
    """`/`, `/logout`, `/console/…`, `/ca.pem`, `/proxy.pac`, `/api/esr/openapi.json`."""

    def __init__(self, estate: Estate, gatekeeper: Gatekeeper, *, state: Path) -> None:
        self._estate = estate
        self._gatekeeper = gatekeeper
        self._state = state
        folder = resources.files("switchboard") / "console"
        self._files = {name: (folder / name).read_bytes() for name in ("index.html", "login.html", *CONSOLE)}

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/", self.console),
            web.post("/logout", self.logout),
            web.get("/console/{name}", self.console_file),
            web.get("/ca.pem", self.ca),
            web.get("/proxy.pac", self.pac),
            web.get("/api/esr/openapi.json", self.openapi),
        )

    async def console(self, request: web.Request) -> web.Response:
        """Open a session for a right `?token=`, show the console to a session, else say how to get one."""
        token = request.query.get("token")
        if token is not None:
            try:
                session = await self._gatekeeper.login(request, token)
            except EsrError as error:
                return self._login_page(error.status, str(error))
            answer = web.Response(status=303, headers={"Location": "/"})
            answer.set_cookie(COOKIE, session, path="/", httponly=True, samesite="Strict", secure=request.secure)
            return answer
        if self._gatekeeper.knows_session(request.cookies.get(COOKIE, "")):
            return web.Response(body=self._files["index.html"], content_type="text/html", charset="utf-8")
        return self._login_page(200, "")

    async def logout(self, request: web.Request) -> web.Response:
        """End the session of the cookie, and delete the cookie; a call that carries a token has none to end."""
        session = request.cookies.get(COOKIE)
        if session is not None:
            await asyncio.to_thread(self._gatekeeper.logout, session)
        answer = web.Response(status=204)
        answer.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict", secure=request.secure)
        return answer

    def _login_page(self, status: int, message: str) -> web.Response:
        shown = message.replace("&", "&amp;").replace("<", "&lt;")
        body = self._files["login.html"].replace(b"<!-- message -->", shown.encode())
        return web.Response(body=body, status=status, content_type="text/html", charset="utf-8")

    async def console_file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in CONSOLE:
            raise NotFound(f"the console has no file '{name[:80]}'")
        return web.Response(body=self._files[name], content_type=CONSOLE[name], charset="utf-8")

    async def ca(self, _request: web.Request) -> web.Response:
        """Send the certificate that clients of a drill have to trust."""
        path = self._state / CA_FILE
        try:
            text = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            raise NotFound(
                "there is no CA certificate yet: the first proxy worker makes it when it starts",
                code="no_ca_yet",
            ) from error
        return web.Response(body=text, content_type="application/x-x509-ca-cert")

    async def pac(self, request: web.Request) -> web.Response:
        """Send a proxy configuration that leads what concerns the estate to the first `regular` listener."""
        door = next((one for one in self._estate.listeners.proxy if one.mode == "regular"), None)
        if door is None:
            raise NotFound(
                "the estate has no 'regular@' proxy listener that a browser could be told of",
                code="no_regular_listener",
            )
        seen_as = self._estate.listeners.address or request.url.host or door.host
        return web.Response(
            text=proxy_pac(self._estate, _reachable(door, seen_as)),
            content_type="application/x-ns-proxy-autoconfig",
        )

    async def openapi(self, _request: web.Request) -> web.Response:
        return web.json_response(describe_api())


def _reachable(door: Listener, seen_as: str) -> str:
    host = seen_as if door.host in ("0.0.0.0", "::") else door.host
    return f"[{host}]:{door.port}" if ":" in host else f"{host}:{door.port}"


def proxy_pac(estate: Estate, door: str) -> str:
    """Return a PAC script: hosts of the estate by the proxy at `door`, everything else directly.

    Hosts of the estate have no way around the proxy: when it is away they cannot be reached.
    """
    exact: set[str] = set()
    below: set[str] = set()
    globs: set[str] = set()
    for host in _hosts(estate):
        if isinstance(host, HostPattern):
            (below if host.wildcard else exact).add(f".{host.name}" if host.wildcard else host.name)
        elif "*" in host:
            globs.add(host.lower())
        else:
            exact.add(host.lower())
    networks = estate.production.networks
    names = {
        "exact": dict.fromkeys(sorted(exact), 1),
        "below": sorted(below),
        "globs": sorted(globs),
        "networks": [[str(net.network_address), str(net.netmask)] for net in networks if net.version == 4],
        "ipv6": any(net.version == 6 for net in networks),
    }
    return _PAC.replace("@DOOR@", door).replace("@ESTATE@", orjson.dumps(names).decode())


def _hosts(estate: Estate) -> Iterable[HostPattern | str]:
    yield from estate.production.hosts
    for target in estate.targets.values():
        yield from (route.origin.host for route in target.routes)
        yield from target.allow
        yield from (found[1] for mock in target.mocks if (found := _MOCK_HOST.match(mock.match)))


_PAC = """\
var ESTATE = @ESTATE@;

function FindProxyForURL(url, host) {
  var name = host.toLowerCase().replace(/\\.$/, "");
  return concerns(name) ? "PROXY @DOOR@" : "DIRECT";
}

function concerns(name) {
  var i;
  if (ESTATE.exact.hasOwnProperty(name)) return true;
  for (i = 0; i < ESTATE.below.length; i++) {
    var suffix = ESTATE.below[i];
    if (name.length > suffix.length && name.slice(-suffix.length) === suffix) return true;
  }
  for (i = 0; i < ESTATE.globs.length; i++) {
    if (shExpMatch(name, ESTATE.globs[i])) return true;
  }
  if (/^[0-9.]+$/.test(name)) {
    for (i = 0; i < ESTATE.networks.length; i++) {
      if (isInNet(name, ESTATE.networks[i][0], ESTATE.networks[i][1])) return true;
    }
  }
  return ESTATE.ipv6 && name.indexOf(":") >= 0;
}
"""
