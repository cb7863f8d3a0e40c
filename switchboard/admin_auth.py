"""Who may call the admin: one token, sessions opened with it, and the checks that browsers make necessary.

A right token always passes: whoever fails, however often, cannot lock out the one who has it.

A browser on the trainer's machine also runs other people's pages. Against them: the session cookie is
SameSite=Strict, a call that changes something needs a header that no foreign page may send plus its own origin,
a Host that is neither an address nor known is refused, so that a name rebound to this address gets
nothing, and what a page fetches with a made-up token is not counted as a failure of the person.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import os
import re
import secrets
from collections import OrderedDict, deque
from pathlib import Path

from aiohttp import web

from switchboard.admin_sessions import Sessions
from switchboard.errors import EsrError, Unauthorised, Unavailable
from switchboard.store import Store

COOKIE = "hms_esr_session"
CONSOLE_HEADER = "X-HMS-ESR"
TOKEN_FILE = "admin.token"
SESSION_KEY_FILE = "admin.key"
TOKEN_TTL_S = 60
FAILURES = 10
WINDOW_S = 60.0
_MOST_ADDRESSES = 1_000
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# RFC 9110 7.2: uri-host [":" port], and nothing else; an IPv6 address in brackets.
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9a-z._-]+))(?::[0-9]{0,5})?", re.ASCII | re.IGNORECASE)


class TooManyAttempts(Unauthorised):
    status, code = 429, "too_many_attempts"


class ForeignPage(EsrError):
    """A browser call that did not come from the console."""

    status, exit_code, code = 403, 2, "foreign_page"


class WrongHost(EsrError):
    status, exit_code, code = 421, 2, "wrong_host"


def ensure_token(state: Path, given: str | None = None) -> tuple[str, bool]:
    """Return the admin token and whether it was created just now (then show `login_url` once).

    Without a given one it lives in STATE/admin.token (mode 0600). Raises Unavailable where that cannot
    be written.
    """
    if given is not None:
        return given, False
    return _kept_secret(state / TOKEN_FILE)


def login_url(base: str, token: str) -> str:
    """Return the address that opens the console logged in; it holds the token, so show it once."""
    return f"{base}/?token={token}"


def _kept_secret(path: Path) -> tuple[str, bool]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        if not path.exists():
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(32) + "\n")
            try:
                os.link(fresh, path)  # whole or not at all, and never over one that another process made
                return path.read_text("ascii").strip(), True
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return path.read_text("ascii").strip(), False
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"state folder: '{path}' cannot be used ({error}); give another one with --state",
            code="state_unusable",
        ) from error


def digest(token: str) -> str:
    """Return the SHA-256 of a token in hex, the only form in which it is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def host_is_ours(host: str | None, names: frozenset[str]) -> bool:
    """Tell whether a Host field is an address literal, localhost, or one of our names."""
    found = _HOST.fullmatch(host or "")
    if found is None:
        return False
    bracketed, plain = found.groups()
    name = (plain or "").lower().removesuffix(".")
    if name == "localhost" or name in names:
        return True
    try:
        return ipaddress.ip_address(bracketed or name).version == (6 if bracketed else 4)
    except ValueError:
        return False


class Attempts:
    """Failed attempts by address within the last minute; bounded in addresses."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()

    def is_locked(self, address: str, now_s: float) -> bool:
        times = self._failures.get(address)
        while times and times[0] <= now_s - WINDOW_S:
            times.popleft()
        return times is not None and len(times) >= FAILURES

    def failed(self, address: str, now_s: float) -> None:
        self._failures.setdefault(address, deque(maxlen=FAILURES)).append(now_s)
        self._failures.move_to_end(address)
        while len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)


class Gatekeeper:
    """Check the credentials of requests."""

    def __init__(self, *, token: str, sessions: Sessions, store: Store) -> None:
        self._digest = digest(token)
        self._sessions = sessions
        self._sessions.accept(self._digest)
        self._store = store
        self._attempts = Attempts()

    async def vouch(self) -> None:
        """Make the token known to other admins on the same Redis, for a minute."""
        await self._store.put_token(self._digest, ttl_s=TOKEN_TTL_S)

    async def login(self, request: web.Request, token: str) -> str:
        """Return a new session for a right token; raises Unauthorised or TooManyAttempts."""
        await self._check_token(request, token, counted=_is_navigation(request))
        return self._sessions.open(digest(token))

    def logout(self, session: str) -> None:
        """End a session for good; raises Unavailable where that cannot be written down."""
        self._sessions.forget(session)

    async def check(self, request: web.Request) -> None:
        """Return when the request may go on; raises Unauthorised, TooManyAttempts or ForeignPage."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if bearer and scheme.lower() == "bearer":
            await self._check_token(request, bearer.strip(), counted=True)
            return
        cookie = request.cookies.get(COOKIE)
        if cookie is None:
            raise Unauthorised(
                "no token: send 'Authorization: Bearer TOKEN' (STATE/admin.token, --token or HMS_ESR_TOKEN)"
            )
        if not self.knows_session(cookie):
            raise Unauthorised("the session is not known here; open the login URL again")
        _check_origin(request)

    def knows_session(self, session: str) -> bool:
        """Tell whether a cookie's value is a session that a right token opened."""
        return self._sessions.knows(session)

    async def _check_token(self, request: web.Request, token: str, *, counted: bool) -> None:
        if await self._is_right(digest(token)):
            return
        address, now_s = request.remote or "", asyncio.get_running_loop().time()
        if self._attempts.is_locked(address, now_s):
            raise TooManyAttempts(
                f"{FAILURES} wrong tokens came from {address} within a minute; wait a minute, or give the right one"
            )
        if counted:
            self._attempts.failed(address, now_s)
        raise Unauthorised("the token is wrong; the right one is in STATE/admin.token or was given with --token")

    async def _is_right(self, given: str) -> bool:
        if hmac.compare_digest(given, self._digest):
            return True
        try:
            return await self._store.has_token(given)
        except Unavailable:
            return False


def session_key(state: Path) -> str:
    """Return the key that sessions are derived with; it stays in the state folder, so sessions outlive us."""
    return _kept_secret(state / SESSION_KEY_FILE)[0]


def _is_navigation(request: web.Request) -> bool:
    """Tell whether a person opened this, as far as the browser says: no foreign page and no part of a page."""
    expected = {"Site": ("none", "same-origin"), "Mode": ("navigate",), "Dest": ("document",)}
    said = {name: request.headers.get(f"Sec-Fetch-{name}") for name in expected}
    return all(said[name] is None or said[name] in values for name, values in expected.items())


def _check_origin(request: web.Request) -> None:
    """Refuse a cookie that another page made the browser send."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    foreign = site not in (None, "same-origin", "none") or (
        origin is not None and origin != f"{request.scheme}://{request.host}"
    )
    changes = request.method not in _SAFE
    proven = request.headers.get(CONSOLE_HEADER) == "console" and (site == "same-origin" or origin is not None)
    if foreign or (changes and not proven):
        raise ForeignPage(
            "a browser session may change something only from the console itself; "
            "elsewhere send 'Authorization: Bearer TOKEN'"
        )
