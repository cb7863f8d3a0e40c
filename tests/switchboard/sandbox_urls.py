"""A target with every kind of route, for tests of what leads back to production."""

from __future__ import annotations

from switchboard.estate import Target
from switchboard.mapping import UrlMap

ROUTES = [
    {"from": "https://www.cms.example", "to": "http://sandbox-mfe:8080"},
    {"from": "https://api.cms.example/profile", "to": "http://sandbox-svc:8443/sandbox/profile"},
    {"from": "api.cms.example", "to": "http://sandbox-svc:8443/sandbox"},
    {"from": "https://pay.cms.example/v1", "to": "http://pay.sandbox.test"},
    {"from": "https://docs.cms.example:9443", "to": "https://docs.sandbox.test"},
    {"from": "http://old.cms.example", "to": "http://127.0.2.1:9080"},
]


def a_map() -> UrlMap:
    return UrlMap.of(Target.model_validate({"routes": ROUTES}))
