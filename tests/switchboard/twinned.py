"""Targets with credentials for tests, and their rules compiled with twins that are easy to find."""

from __future__ import annotations

from typing import Any

from switchboard.credentials import Rules, compile_rules
from switchboard.estate import Target

LEARNED = "learned"

Credential = dict[str, Any]


def a_target(*credentials: Credential, cookies: str = "isolate") -> Target:
    """Return a target whose credentials have `twin` as a plain text, or `learned`."""
    written = [
        {**one, "twin": one["twin"] if one["twin"] == LEARNED else {"value": one["twin"]}} for one in credentials
    ]
    return Target.model_validate({"credentials": written, "cookies": cookies})


def rules_of(*credentials: Credential, cookies: str = "isolate", names: tuple[str, ...] = ()) -> Rules:
    secrets = {at: one["twin"] for at, one in enumerate(credentials) if one["twin"] != LEARNED}
    return compile_rules(a_target(*credentials, cookies=cookies), names=names, secrets=secrets)


NOTHING = rules_of()

BEARER = {"in": "header", "name": "Authorization", "scheme": "Bearer", "twin": "sandbox-token"}
BASIC = {"in": "basic", "twin": "drill:pass:word"}
KEY = {"in": "header", "name": "X-Partner-Key", "twin": "sandbox-key"}
SESSION = {"in": "cookie", "name": "session", "twin": LEARNED}
API_KEY = {"in": "query", "name": "api_key", "twin": "sandbox key&more"}
TOKEN = {"in": "json", "pointer": "/auth/token", "twin": 'sandbox "json"'}
FIELD = {"in": "form", "name": "token", "twin": "sandbox form&more"}
MESSAGE = {"in": "websocket", "pointer": "/token", "twin": "sandbox-message"}
METADATA = {"in": "metadata", "name": "x-ticket-bin", "twin": "c2FuZGJveA"}
