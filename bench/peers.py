"""The sides of the proxy rows as running processes, each with the round of load that fits it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child, child, module
from bench.estates import COMMON, KEY
from bench.origin import marker
from bench.scene import ASKED, ORIGIN, Scene, head, shared_port

_PATH = "/profile/{n}/coverage?year=2020"


@dataclass(frozen=True, slots=True)
class Asked:
    """A path that is asked for, and what the origin says of it where everything is right."""

    path: str
    word: str


PLAIN = Asked(_PATH, "clean")
WITH_KEY = Asked(f"{_PATH}&api_key={KEY}", "clean")
WITH_TWINS = Asked(WITH_KEY.path, "twinned")


@dataclass(frozen=True, slots=True)
class Side:
    """One side: what it is called, its processes, and what is sent to it (the fields of `load.Plan`)."""

    name: str
    children: tuple[Child, ...]
    port: int
    head: str
    marker: str
    tunnel: str | None = None
    ca: str | None = None

    def cpu_s(self) -> float:
        return sum(process.cpu_s() for process in self.children)


@contextmanager
def workers(scene: Scene, name: str, *, count: int = 1, estate: str = COMMON, asked: Asked = PLAIN) -> Iterator[Side]:
    """Run workers under the full policy that share one port."""
    with shared_port() as port, ExitStack() as stack:
        first = {
            "estate": scene.estate(estate, port),
            "policy": True,
            "state": str(scene.folder / "state"),
            "redis": scene.redis,
        }
        running = tuple(stack.enter_context(child(module("lean"), first=first)) for _ in range(count))
        yield Side(name, running, port, _absolute(asked.path), marker(asked.word).decode())


@contextmanager
def without_policy(scene: Scene, name: str) -> Iterator[Side]:
    """Run the same lean proxy with no policy: the same request gets to the same origin, unchanged."""
    first = {"estate": scene.estate(COMMON, 0), "policy": False, "http": scene.http}
    with child(module("lean"), first=first) as running:
        yield Side(name, (running,), running.ready["port"], _absolute(_PATH), marker("astray").decode())


@contextmanager
def mitmdump(scene: Scene, name: str) -> Iterator[Side]:
    """Run stock mitmdump with a script that does the same rewrites.

    Its options are the defaults but for the port, the folder, the sandbox's CA, and `connection_strategy`: the
    default `eager` would dial production's name at CONNECT.
    """
    confdir = scene.folder / "mitmdump"
    confdir.mkdir(exist_ok=True)
    options = {
        "confdir": confdir,
        "ssl_verify_upstream_trusted_ca": scene.sandbox_ca,
        "connection_strategy": "lazy",
    }
    command = [str(Path(sys.executable).parent / "mitmdump"), "-q", "--listen-host", "127.0.0.1", "-p", "0"]
    for key, value in options.items():
        command += ["--set", f"{key}={value}"]
    command += ["-s", str(Path(__file__).parent / "rewrite.py")]
    with child(command, env={"BENCH_ROUTES": json.dumps(_script_routes(scene))}, quiet=True) as running:
        yield Side(name, (running,), running.ready["port"], _absolute(_PATH), marker("clean").decode())


def over_tls(side: Side, name: str, *, ca: Path) -> Side:
    """Return the same processes asked through CONNECT and TLS; `ca` signs what the client sees."""
    return Side(name, side.children, side.port, head(_PATH), side.marker, tunnel=ASKED, ca=str(ca))


def _absolute(path: str) -> str:
    return head(f"http://{ASKED}{path}")


def _script_routes(scene: Scene) -> list[list[list[str]]]:
    """Return the estate's routes of the host that is asked for, as the script takes them.

    The script dials by name and cannot be given a resolver; the origin's certificate holds its address too.
    """
    found = []
    for scheme, port in (("http", scene.http), ("https", scene.tls)):
        for prefix, to in (("/profile", "/sandbox/profile"), ("/plans", "/sandbox/all-plans"), ("", "/sandbox")):
            found.append([[scheme, ASKED, prefix], [scheme, ORIGIN, str(port), to]])
    return found
