"""A stand-in agency on loopback in two sides, with the estate and scenario files that lead from one to the other."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox.agency import Agency, agency
from sandbox.certificates import Authority
from sandbox.side import Side
from switchboard.roles import PACKAGED_SCENARIOS

PROD, SANDBOX = "127.0.1.1", "127.0.2.1"
_LOG_SPEED = 10.0


@dataclass(frozen=True, slots=True)
class Scene:
    """The two sides as they run, and the folder with the estate and its certificates."""

    folder: Path
    production: Agency
    sandbox: Agency


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    """Run both sides, each with a certificate authority of its own whose certificate lies in `folder`."""
    now = datetime.datetime.now(datetime.UTC)
    prod_ca, sandbox_ca = (
        Authority.create("Stand-in production", now=now),
        Authority.create("Stand-in sandbox", now=now),
    )
    prod_ca.write(folder / "prod-ca.pem")
    sandbox_ca.write(folder / "sandbox-ca.pem")
    prod_tls = prod_ca.issue(["*.cms.example"], now=now).write(folder, "prod")
    sandbox_tls = sandbox_ca.issue(["localhost"], now=now).write(folder, "sandbox")
    async with (
        agency(Side.PROD, PROD, tls=prod_tls) as production,
        agency(Side.SANDBOX, SANDBOX, tls=sandbox_tls) as sandbox,
    ):
        yield Scene(folder, production, sandbox)


def write_estate(scene: Scene) -> Path:
    """Write the demo's estate: every www and api request goes to the sandbox."""
    prod, sandbox = scene.production, scene.sandbox
    names = ("www.cms.example", "api.cms.example")
    connect = {f"{name}:80": f"{PROD}:{prod.http_port}" for name in names}
    connect |= {f"{name}:443": f"{PROD}:{prod.tls_port}" for name in names}
    to = f"http://{SANDBOX}:{sandbox.http_port}"
    estate = {
        "version": 1,
        "production": {
            "hosts": [*names, "*.cms.example"],
            "networks": ["127.0.1.0/24"],
            "connect": connect,
            "ca": "prod-ca.pem",
        },
        "cohorts": {"rookies": {"clients": ["127.0.0.1"], "gate": "connection"}},
        "targets": {
            "staging": {
                "routes": [
                    {"from": "www.cms.example", "to": to},
                    {"from": "api.cms.example/profile", "to": f"{to}/sandbox/profile", "name": "svc-profile"},
                    {"from": "api.cms.example", "to": f"{to}/sandbox"},
                ],
                "block": ["*.cms.example"],
                "networks": ["127.0.2.0/24"],
            }
        },
        "listeners": {"proxy": ["regular@127.0.0.1:0"], "admin": "127.0.0.1:0", "dns": "127.0.0.1:0"},
    }
    path = scene.folder / "switchboard.yml"
    path.write_text(yaml.safe_dump(estate, sort_keys=False), encoding="utf-8")
    return path


def write_scenario(folder: Path, log: Path | None) -> str:
    """Put the scenario to play into its own folder and return its id."""
    folder.mkdir()
    if log is None:
        path = PACKAGED_SCENARIOS / "enrollment_day.yml"
        scenario = yaml.safe_load(path.read_text(encoding="utf-8"))
        scenario["log_path"] = str(path.parent / scenario["log_path"])
    else:
        scenario = {"id": "demo_log", "source": "replay_logs", "log_path": str(log.absolute()), "speed": _LOG_SPEED}
        scenario["origin"] = "https://www.cms.example"
    (folder / "demo.yml").write_text(yaml.safe_dump(scenario), encoding="utf-8")
    return str(scenario["id"])
