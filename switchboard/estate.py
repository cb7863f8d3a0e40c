"""`switchboard.yml` as frozen values: what production is, who can be drilled, where a drill leads.

These models are also the source of the JSON Schema (`hms-esr schema estate`). They hold what one key means;
what keys mean together (every production host routed, no target that is production) is in `estate_file`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    model_validator,
)

from switchboard.authority import DEFAULT_PORTS, Authority, Network, Unclear, parse_authority, to_ascii
from switchboard.durations import parse_duration
from switchboard.limits import Limits

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Value(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, arbitrary_types_allowed=True)


class Gate(StrEnum):
    BROWSER = "browser"
    CONNECTION = "connection"


class HostPattern(Value):
    """An exact name, or with `wildcard` every name below it (any depth, not the name itself)."""

    name: str
    wildcard: bool = False

    def matches(self, host: str) -> bool:
        return host.endswith("." + self.name) if self.wildcard else host == self.name

    def __str__(self) -> str:
        return f"*.{self.name}" if self.wildcard else self.name


class Origin(Value):
    """Scheme (None: both), host, port (None: the scheme's default), path prefix without trailing slash."""

    scheme: Literal["http", "https"] | None
    host: str
    port: int | None
    prefix: str

    @property
    def ports(self) -> tuple[tuple[str, int], ...]:
        """The (scheme, port) pairs that this origin covers."""
        schemes = (self.scheme,) if self.scheme else ("http", "https")
        return tuple((scheme, self.port or DEFAULT_PORTS[scheme]) for scheme in schemes)

    def __str__(self) -> str:
        scheme = f"{self.scheme}://" if self.scheme else ""
        port = f":{self.port}" if self.port else ""
        return f"{scheme}{self.host}{port}{self.prefix}"


class Listener(Value):
    """A place to listen: for proxy doors with a mode in front (`regular@127.0.0.1:8080`)."""

    mode: str = ""
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.mode}@{host}:{self.port}" if self.mode else f"{host}:{self.port}"


def _text(value: Any, expected: str) -> str:
    if not isinstance(value, str):
        raise ValueError(expected)
    return value


def _host_pattern(value: Any) -> Any:
    if isinstance(value, HostPattern):
        return value
    expected = "a host name, or one with a single leading wildcard like '*.cms.example'"
    text = _text(value, expected)
    wildcard = text.startswith("*.")
    try:
        return HostPattern(name=to_ascii(text[2:] if wildcard else text), wildcard=wildcard)
    except Unclear as error:
        raise ValueError(f"{expected} ({error})") from error


def _network(value: Any) -> Any:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    expected = "an address or a network in CIDR form like '10.77.0.0/16' with no host bits set"
    try:
        network = ipaddress.ip_network(_text(value, expected))
    except ValueError as error:
        raise ValueError(f"{expected} ({error})") from error
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped  # clients and servers are looked up by their IPv4 address
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


def _host_or_ipv4(text: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return to_ascii(text)


def _origin(value: Any, *, name_of: Callable[[str], str] = to_ascii) -> Any:
    if isinstance(value, Origin):
        return value
    expected = "an origin with an optional path like 'https://www.cms.example/profile'"
    text = _text(value, expected)
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    elif scheme not in DEFAULT_PORTS:
        raise ValueError(f"{expected} (scheme http or https)")
    host_port, slash, path = rest.partition("/")
    if any(character in path for character in "?#*\\% ") or ".." in path.split("/"):
        raise ValueError(f"{expected} (a plain path prefix: no query, escapes or dot segments)")
    try:
        host_text, _, port_text = host_port.partition(":")
        host = name_of(host_text)
        port = parse_authority(f"x:{port_text}", scheme or "http").port if port_text else None
    except Unclear as error:
        raise ValueError(f"{expected} ({error})") from error
    prefix = f"/{path}".rstrip("/") if slash else ""
    if scheme and port == DEFAULT_PORTS[scheme]:
        port = None
    return Origin(scheme=scheme or None, host=host, port=port, prefix=prefix)  # type: ignore[arg-type]


def _upstream(value: Any) -> Any:
    origin = _origin(value, name_of=_host_or_ipv4)  # only where we lead to may be an address
    if origin.scheme is None:
        raise ValueError("a sandbox origin with its scheme like 'http://sandbox-svc:8081/sandbox'")
    return origin


def parse_listener(text: str, *, modes: tuple[str, ...] = ()) -> Listener:
    """Return the listener of `mode@host:port` (or `host:port` where `modes` is empty); raises ValueError."""
    expected = f"{'|'.join(modes)}@address:port" if modes else "an address and a port like '127.0.0.1:8700'"
    mode, at, place = text.rpartition("@")
    if bool(at) != bool(modes) or (modes and mode not in modes):
        raise ValueError(expected)
    host, colon, port = place.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(expected)
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise ValueError(f"{expected} ({error})") from error
    return Listener(mode=mode, host=str(address), port=int(port))


def _door(value: Any) -> Any:
    modes = ("regular", "steered", "transparent")
    return (
        value
        if isinstance(value, Listener)
        else parse_listener(_text(value, "a door like 'regular@127.0.0.1:8080'"), modes=modes)
    )


def _place(value: Any) -> Any:
    expected = "an address and a port like '127.0.0.1:8700'"
    return value if isinstance(value, Listener) else parse_listener(_text(value, expected))


def _seconds(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return parse_duration(_text(value, "a duration like '120ms', '20s', '30m' or '1h30m'"))


def _credential_name(text: str) -> str:
    # RFC 9110 5.6.2: what a header may be called; parameters and keys with other names need a rule.
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", text):
        raise ValueError("the name of a header or parameter like 'X-Partner-Key'")
    return text


_as_text = PlainSerializer(str, return_type=str)
Host = Annotated[HostPattern, BeforeValidator(_host_pattern, json_schema_input_type=str), _as_text]
# Plain: pydantic's own network type would refuse a ready value where a file is read strictly as JSON.
Net = Annotated[Network, PlainValidator(_network, json_schema_input_type=str), _as_text]
From = Annotated[Origin, BeforeValidator(_origin, json_schema_input_type=str), _as_text]
To = Annotated[Origin, BeforeValidator(_upstream, json_schema_input_type=str), _as_text]
Door = Annotated[Listener, BeforeValidator(_door, json_schema_input_type=str), _as_text]
Place = Annotated[Listener, BeforeValidator(_place, json_schema_input_type=str), _as_text]
Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=float | str), Field(ge=0)]
CredentialName = Annotated[str, AfterValidator(_credential_name)]
Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Secret(Value):
    """Where a secret is found: exactly one of an environment variable, a file, or the value itself."""

    env: str | None = None
    file: Path | None = None
    value: str | None = Field(default=None, repr=False)

    @model_validator(mode="after")
    def _one_place(self) -> Secret:
        if sum(place is not None for place in (self.env, self.file, self.value)) != 1:
            raise ValueError("exactly one of 'env', 'file' and 'value'")
        return self


class Production(Value):
    """What is protected. `connect` says where it really listens, for clients outside every drill."""

    hosts: tuple[Host, ...] = Field(min_length=1)
    networks: tuple[Net, ...] = ()
    connect: dict[str, Place] = {}
    ca: Path | None = None


class Cohort(Value):
    """Clients that can be drilled: by address or by proxy login."""

    clients: tuple[Net, ...] = ()
    users: dict[str, Secret] = {}
    gate: Gate = Gate.BROWSER

    @model_validator(mode="after")
    def _someone(self) -> Cohort:
        if not self.clients and not self.users:
            raise ValueError("a cohort with 'clients' or 'users'")
        return self


class Route(Value):
    """A production origin and path prefix -> a sandbox origin and path prefix."""

    origin: From = Field(alias="from")
    to: To
    name: str | None = None
    methods: tuple[Method, ...] | None = None
    h2: bool = False

    @model_validator(mode="after")
    def _h2_over_tls(self) -> Route:
        if self.h2 and self.to.scheme != "https":
            raise ValueError("a route whose 'h2: true' goes with an https 'to' (HTTP/2 is negotiated in TLS)")
        return self


class Learn(Value):
    """Where an answer of the sandbox holds the twin: exactly one of a JSON pointer, a header and a cookie."""

    pointer: str | None = None
    header: str | None = None
    cookie: str | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Learn:
        if sum(place is not None for place in (self.pointer, self.header, self.cookie)) != 1:
            raise ValueError("exactly one of 'pointer', 'header' and 'cookie'")
        return self


class Credential(Value):
    """A place where requests carry a production credential, and its twin for the sandbox.

    `learn`: where the sandbox issues a learned twin (None: in the same place of its answer).
    """

    place: Literal["header", "cookie", "query", "json", "form", "basic", "websocket", "metadata"] = Field(alias="in")
    name: str | None = None
    scheme: str | None = None
    pointer: str | None = None
    twin: Literal["learned"] | Secret
    learn: Learn | None = None


class TemplateFile(Value):
    file: Path


class Mock(Value):
    """An answer made by the switchboard. `match` is a method (or `*`), a space and a URL, `*` as wildcard.

    The body is one of `json`, `text`, `file` and `template` (Jinja2: text, or the file it stands in). With `state` a
    mapping kept per drill can be read, and changed by the expressions in `set`. `outbox` None: kept where the method
    means to change something; a word instead of true names what was swallowed.
    """

    match: str = Field(pattern=r"^(\*|[A-Z]+) https?://[^\s/?#]+/\S*$")
    status: int = Field(default=200, ge=200, le=599)
    headers: dict[str, str] = {}
    json_body: Any = Field(default=None, alias="json")
    text: str | None = None
    file: Path | None = None
    template: str | TemplateFile | None = None
    state: bool = False
    set_values: dict[str, str] = Field(default={}, alias="set")
    outbox: bool | Annotated[str, Field(pattern=r"^[a-z][a-z0-9 _-]{0,31}$")] | None = None
    delay: Seconds = 0.0


class Compose(Value):
    file: Path = Path("docker-compose.yml")
    profiles: tuple[str, ...] = ()
    project: str | None = None
    seed: str | None = None


class Target(Value):
    """A named sandbox."""

    routes: tuple[Route, ...] = ()
    block: tuple[Host, ...] = ()
    networks: tuple[Net, ...] = ()
    ca: Path | None = None
    credentials: tuple[Credential, ...] = ()
    cookies: Literal["isolate", "pass"] = "isolate"
    expose: tuple[str, ...] = ()
    unlisted: Literal["block", "allow"] = "block"
    allow: tuple[Host, ...] = ()
    mocks: tuple[Mock, ...] = ()
    compose: Compose | None = None
    limits: Limits = Limits()
    banner: str | None = Field(default=None, pattern=r"^\S(?:[^\r\n]{0,78}\S)?$")


class Listeners(Value):
    """Where the switchboard listens. `address`: what the DNS shim answers (None: where the query arrived)."""

    proxy: tuple[Door, ...] = (Listener(mode="regular", host="127.0.0.1", port=8080),)
    dns: Place = Listener(host="127.0.0.1", port=5353)
    admin: Place = Listener(host="127.0.0.1", port=8700)
    address: str | None = None


class Estate(Value):
    """The parsed `switchboard.yml`."""

    version: Literal[1]
    clients: tuple[Net, ...] | None = None
    production: Production
    cohorts: dict[str, Cohort] = {}
    targets: dict[str, Target] = Field(min_length=1)
    deny: tuple[str, ...] = ()
    listeners: Listeners = Listeners()
    guard: Literal["off", "on"] = "off"
    require_guard: bool = False
    workers: Annotated[int, Field(ge=1, le=256)] | Literal["auto"] = "auto"
    upstream_dns: tuple[str, ...] = ("system",)
    drain: Seconds = 2.0
    arm_timeout: Seconds = 5.0
    credential_names: tuple[CredentialName, ...] = ()

    @property
    def served_clients(self) -> tuple[Network, ...]:
        """Who may use proxy and shim at all: `clients`, else loopback and every cohort."""
        if self.clients is not None:
            return self.clients
        loopback = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
        return loopback + tuple(net for cohort in self.cohorts.values() for net in cohort.clients)


def connect_key(text: str) -> tuple[str, int | None]:
    """Return host and port (None: any) of a key of `production.connect`; raises Unclear."""
    host, _, port = text.partition(":")
    authority: Authority = parse_authority(f"{to_ascii(host)}:{port}" if port else to_ascii(host), "https")
    return authority.host, authority.port if port else None
