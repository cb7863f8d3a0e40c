"""What the policy is asked, and what it answers. Plain values that every door shares."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from switchboard.estate import Mock


class Kind(StrEnum):
    PASS = "pass"  # untouched, to production
    HOLD = "hold"  # wait for the next epoch
    BLOCK = "block"
    MOCK = "mock"
    FORWARD = "forward"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request (or name) as it arrived. Texts are raw: nothing is normalised before the policy sees it.

    `client` is an address without port, or "" when `drill` names the drill itself (the generator).
    `authorities` are all host identities that came along: Host or :authority, absolute-form target, CONNECT.
    `sni` is None where there was no TLS, "" where TLS came without SNI.
    `target` is the request target in origin-form: raw path with query.
    """

    client: str
    method: str
    scheme: Literal["http", "https"]
    authorities: tuple[str, ...]
    target: str
    user: str | None = None
    drill: str | None = None
    sni: str | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """A place to dial: `host` is a name to be resolved and checked, never taken from the client in a drill."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    h2: bool = False

    @property
    def authority(self) -> str:
        default = 443 if self.scheme == "https" else 80
        return self.host if self.port == default else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do with one request, and why.

    `rung` is the number in the ladder of `policy.decide` that fired. `drill` is None outside drills.
    For FORWARD: `upstream` to dial, `target` to send (origin-form), `listed` False for hosts let through by `allow`.
    For BLOCK: `status` to answer. For MOCK: `mock`. `host` is the normalised production name, where there is one.
    """

    kind: Kind
    reason: str
    rung: int
    status: int = 0
    drill: str | None = None
    sandbox: str | None = None  # name of the estate's target
    host: str = ""
    upstream: Upstream | None = None
    target: str = ""
    route: str | None = None  # a route's name, else its `from`
    listed: bool = True
    mock: Mock | None = None
