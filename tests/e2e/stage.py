"""A whole scene on loopback for tests: stand-in production, stand-in sandbox, one real proxy worker."""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from addons.dial import Resolver
from addons.lookup import Lookup
from sandbox.agency import Agency, agency
from sandbox.books import Books
from sandbox.certificates import Authority
from sandbox.side import Side
from switchboard.drill import Drill, Phase, SwitchDocument
from switchboard.estate import Estate, Secret
from switchboard.estate_file import parse_estate
from switchboard.pockets import PocketStore
from switchboard.policy import compile_switch
from switchboard.proxy import Worker, worker
from switchboard.settings import read_mock_files
from switchboard.switch import compile_worlds
from switchboard.world import World

MEMBER, OUTSIDER, STRANGER = "127.0.0.1", "127.0.0.9", "127.0.3.3"
SANDBOX_NAMES = {"sandbox-mfe.test": "127.0.2.1", "sandbox-svc.test": "127.0.2.1", "sandbox-raw.test": "127.0.2.1"}

ESTATE = """
version: 1
clients: [127.0.0.0/24, 127.0.2.0/24]
production:
  hosts: [www.cms.example, api.cms.example, "*.cms.example"]
  networks: [127.0.1.0/24]
  connect:
    "www.cms.example:80": "127.0.1.1:{prod_http}"
    "www.cms.example:443": "127.0.1.1:{prod_tls}"
    "api.cms.example:80": "127.0.1.1:{prod_http}"
    "api.cms.example:443": "127.0.1.1:{prod_tls}"
    "old.cms.example:80": "127.0.1.1:{prod_http}"
    "old.cms.example:443": "127.0.1.1:{prod_tls}"
    "raw.cms.example:80": "127.0.1.1:{prod_http}"
    "dead.cms.example:80": "127.0.1.1:{prod_http}"
    "forged.cms.example:443": "127.0.1.1:{prod_tls}"
  ca: {folder}/prod-ca.pem
cohorts:
  rookies: {{clients: [127.0.0.1], users: {{agent-1: {{value: open-sesame}}}}, gate: connection}}
targets:
  staging:
    routes:
      - {{from: "http://www.cms.example", to: "http://sandbox-mfe.test:{sandbox_http}"}}
      - {{from: "https://www.cms.example", to: "https://sandbox-mfe.test:{sandbox_tls}"}}
      - {{from: "https://api.cms.example/profile", to: "https://sandbox-svc.test:{sandbox_tls}/sandbox/profile",
         name: svc-profile, methods: [GET, PUT]}}
      - {{from: "https://api.cms.example", to: "https://sandbox-svc.test:{sandbox_tls}/sandbox"}}
      - {{from: "http://raw.cms.example", to: "http://sandbox-raw.test:{raw}"}}
      - {{from: "http://dead.cms.example", to: "http://sandbox-raw.test:{dead}"}}
      - {{from: "https://forged.cms.example", to: "https://sandbox-raw.test:{forged}"}}
    block: ["*.cms.example"]
    networks: [127.0.2.0/24]
    ca: {folder}/sandbox-ca.pem
    mocks:
      - {{match: "POST https://payments.example/*", status: 202, json: {{accepted: true}}}}
      - {{match: "POST http://payments.example/slow", status: 202, json: {{accepted: true}}, delay: 30s}}
listeners: {{proxy: ["regular@127.0.0.1:0", "steered@127.0.0.1:0"], admin: "127.0.0.1:{admin}", dns: "127.0.0.1:0"}}
drain: {drain}
"""


@dataclass(slots=True)
class Stage:
    """Everything a test reaches. `proxy` and `steered` are ports on 127.0.0.1.

    `raw` is a port on 127.0.2.1 that `http://raw.cms.example` leads to and where a test may listen, `tls_raw` another
    one that only estates of a test's own lead to; `admin` is the same on 127.0.0.1 for the switchboard's own listener.
    `http://dead.cms.example` leads to a closed port, `https://forged.cms.example` to a server in the sandbox with a
    certificate of production's authority.
    """

    prod: Agency
    sandbox: Agency
    forged: Agency
    worker: Worker
    estate: Estate
    folder: Path
    ca: Path
    raw: int
    admin: int
    worlds: dict[str, World]
    tls_raw: int

    @property
    def proxy(self) -> int:
        return self.worker.addresses[0][1]

    @property
    def steered(self) -> int:
        return self.worker.addresses[1][1]

    async def move(self, *phases: Phase) -> None:
        """Apply one epoch for each phase, as a node does when it hears of them."""
        for phase in phases:
            document = drilled(phase, epoch=self.worker.current.switch.epoch + 1)
            await self.worker.apply(compile_switch(self.estate, document, worlds=self.worlds))

    async def start(self) -> None:
        await self.move(Phase.ARMING, Phase.RUNNING)

    async def end(self) -> None:
        await self.move(Phase.DRAINING, Phase.ENDED)

    def silence(self) -> None:
        """Forget what production received so far; from here on it must stay silent."""
        books = self.prod.books
        books.connections = books.bytes = books.requests = 0


def drilled(phase: Phase, *, epoch: int) -> SwitchDocument:
    edge = epoch if phase in (Phase.ARMING, Phase.DRAINING) else epoch - 1
    drill = Drill(
        id="drill-1",
        target="staging",
        cohort="rookies",
        phase=phase,
        started="2026-01-01T00:00:00Z",
        deadline="2026-01-01T08:00:00Z",
        edge=edge,
    )
    return SwitchDocument(epoch=epoch, drills=(drill,))


async def lookup(host: str, port: int) -> list[str]:
    """Resolve the sandbox's names as a hosts file would; everything else as the system does."""
    known = SANDBOX_NAMES.get(host)
    return [known] if known is not None else await Lookup()(host, port)


@contextmanager
def held_port(host: str) -> Iterator[int]:
    """Give a port that nobody else gets; it refuses until someone listens with `reuse_port`."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind((host, 0))
        yield int(held.getsockname()[1])


@asynccontextmanager
async def stage(
    folder: Path,
    *,
    resolver: Resolver = lookup,
    hold_s: float = 2.0,
    drain: str = "1s",
    text: str = ESTATE,
    store: PocketStore | None = None,
) -> AsyncIterator[Stage]:
    """Set the scene; each side has a certificate authority of its own. `text` is the estate, with the same places."""
    now = datetime.datetime.now(datetime.UTC)
    prod_ca, sandbox_ca = Authority.create("Production CA", now=now), Authority.create("Sandbox CA", now=now)
    prod_ca.write(folder / "prod-ca.pem")
    sandbox_ca.write(folder / "sandbox-ca.pem")
    prod_tls = prod_ca.issue(["*.cms.example", "127.0.1.1"], now=now).write(folder, "prod")
    forged_tls = prod_ca.issue(list(SANDBOX_NAMES), now=now).write(folder, "forged")
    sandbox_tls = sandbox_ca.issue(list(SANDBOX_NAMES), now=now).write(folder, "sandbox")
    async with (
        agency(Side.PROD, "127.0.1.1", tls=prod_tls, books=Books(Side.PROD, keep_headers=True)) as prod,
        agency(Side.SANDBOX, "127.0.2.1", tls=sandbox_tls, books=Books(Side.SANDBOX, keep_headers=True)) as sandbox,
        agency(Side.SANDBOX, "127.0.2.1", tls=forged_tls) as forged,
        AsyncExitStack() as ports,
    ):
        raw, tls_raw, dead = (ports.enter_context(held_port("127.0.2.1")) for _ in range(3))
        admin = ports.enter_context(held_port("127.0.0.1"))
        filled = text.format(
            folder=folder,
            prod_http=prod.http_port,
            prod_tls=prod.tls_port,
            sandbox_http=sandbox.http_port,
            sandbox_tls=sandbox.tls_port,
            raw=raw,
            tls_raw=tls_raw,
            dead=dead,
            forged=forged.tls_port,
            admin=admin,
            drain=drain,
        )
        estate = parse_estate(filled, "switchboard.yml")
        worlds = compile_worlds(estate, _fixed_twins(estate))
        switch = compile_switch(estate, SwitchDocument(), worlds=worlds)
        files = read_mock_files(estate)
        passwords = {"agent-1": "open-sesame"}
        given = {"passwords": passwords, "resolver": resolver, "hold_s": hold_s, "store": store, "files": files}
        async with worker(switch, state=folder, **given) as running:
            ca = folder / "ca" / "hms-esr-ca-cert.pem"
            yield Stage(prod, sandbox, forged, running, estate, folder, ca, raw, admin, worlds, tls_raw)


def _fixed_twins(estate: Estate) -> dict[str, dict[int, str]]:
    """Return the twins that stand in the estate itself."""
    return {
        name: {
            at: rule.twin.value
            for at, rule in enumerate(target.credentials)
            if isinstance(rule.twin, Secret) and rule.twin.value
        }
        for name, target in estate.targets.items()
    }


async def curl(*arguments: str, client: str = MEMBER) -> tuple[int, str]:
    """Run curl from a client address; return its exit code and its output (body, then status and headers)."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "--max-time", "10", "--interface", client, "-w", "\n%{http_code}", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode("utf-8", "replace")


async def raw(port: int, data: bytes, *, client: str = MEMBER, wait_s: float = 1.0) -> bytes:
    """Send bytes as they are and return what comes back until silence or the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(client, 0))
    received = b""
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(wait_s):
            while chunk := await reader.read(65536):
                received += chunk
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.close()
    return received
