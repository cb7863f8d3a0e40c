"""Proxy logins (RFC 9110 11.7, Basic): another way than an address to be a member of a cohort."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping

from mitmproxy import http


class WrongLogin(Exception):
    """The request carries proxy credentials that are not those of any user of the estate."""


class Logins:
    """Users of all cohorts with their passwords; remembers who logged in on a connection."""

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._passwords = {name: value.encode() for name, value in passwords.items()}
        self._connections: dict[str, str] = {}

    def user_of(self, flow: http.HTTPFlow) -> str | None:
        """Return the user of a request, None without login.

        A connection belongs to whom it began with, nobody included: its upstream connections may be reused, and
        were dialled for that one. Raises WrongLogin also for a login of anyone else on it.
        """
        if not self._passwords:
            return None
        remembered = self._connections.get(flow.client_conn.id)
        field = flow.request.headers.get("proxy-authorization")
        if field is None:
            return remembered or None
        name, password = _basic(field)
        known = self._passwords.get(name, b"")
        if not hmac.compare_digest(known, password) or not known or remembered not in (None, name):
            raise WrongLogin
        return name

    def remember(self, flow: http.HTTPFlow, user: str | None) -> None:
        """Keep the user of a connection: for the requests in its tunnel, its dials and its edges."""
        if self._passwords:
            self._connections.setdefault(flow.client_conn.id, user or "")

    def user_behind(self, client_id: str) -> str | None:
        return self._connections.get(client_id) or None

    def forget(self, client_id: str) -> None:
        self._connections.pop(client_id, None)


def _basic(field: str) -> tuple[str, bytes]:
    scheme, _, value = field.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise WrongLogin
        name, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError) as error:
        raise WrongLogin from error
    if not colon:
        raise WrongLogin
    return name.decode("utf-8", "replace"), password
