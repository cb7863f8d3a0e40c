"""Which service answers a request: decided from host and path, without I/O."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Name(StrEnum):
    PORTAL = "portal"
    SERVICES = "services"
    WORKFLOW = "workflow"
    METRICS = "metrics"


class Place(NamedTuple):
    service: Name
    path: str


Prefixes = Mapping[str, Name | None]

# What routes of an estate may put in front of a path: `to: "http://127.0.2.1:9080/svc"`.
PREFIXES: Prefixes = {
    "/mfe": Name.PORTAL,
    "/svc": Name.SERVICES,
    "/act": Name.WORKFLOW,
    "/ops": Name.METRICS,
    "/sandbox": None,
}

_LABELS = {
    "api": Name.SERVICES,
    "svc": Name.SERVICES,
    "workflow": Name.WORKFLOW,
    "act": Name.WORKFLOW,
    "metrics": Name.METRICS,
    "ops": Name.METRICS,
}

_PATHS = {
    "/api": Name.SERVICES,
    "/plans": Name.SERVICES,
    "/status": Name.SERVICES,
    "/workflow": Name.WORKFLOW,
    "/metrics": Name.METRICS,
}


def place(host: str, path: str, prefixes: Prefixes = PREFIXES) -> Place:
    """Return the service for `host` (as sent, with any port) and `path`, and the path as that one knows it.

    First match wins: a prefix that names a service, a path that belongs to one, the first label of the host,
    else the portal. Prefixes match on segment borders, the longest one first, and are taken off.
    """
    for prefix in sorted(prefixes, key=len, reverse=True):
        if _under(path, prefix):
            named = prefixes[prefix]
            rest = path[len(prefix) :] or "/"
            return Place(named, _within(named, rest)) if named else _by_path(host, rest)
    return _by_path(host, path)


def _by_path(host: str, path: str) -> Place:
    for prefix, name in _PATHS.items():
        if _under(path, prefix):
            return Place(name, _within(name, path))
    label = host.lower().partition(".")[0]
    return Place(_LABELS.get(label, Name.PORTAL), path)


def _within(name: Name, path: str) -> str:
    # The services are asked at `/api/profile` on the portal's origin and at `/profile` on their own.
    if name is Name.SERVICES and _under(path, "/api"):
        return path.removeprefix("/api") or "/"
    return path


def _under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")
