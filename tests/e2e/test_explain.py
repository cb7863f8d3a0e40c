"""`hms-esr explain` through the real command line, and what it says held against what a real worker sends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from switchboard.curl_command import parse_curl
from switchboard.drill import Drill, Phase
from switchboard.explain import Basis, explain
from switchboard.policy import decide
from switchboard.sending import send
from switchboard.specimen import Specimen
from switchboard.verdict import Ask, Kind
from tests.e2e import asking
from tests.e2e.asking import Answer
from tests.e2e.border import Border, border
from tests.e2e.stage import MEMBER

ESTATE = """
version: 1
clients: [10.77.0.0/16]
production: {hosts: [www.cms.example, "*.cms.example"]}
cohorts: {rookies: {clients: [10.77.1.0/24], gate: connection}}
targets:
  staging:
    routes: [{from: "https://www.cms.example", to: "http://sandbox-mfe.test:8080", name: portal}]
    block: ["*.cms.example"]
    networks: [10.90.0.0/24]
    credentials:
      - {in: header, name: Authorization, scheme: Bearer, twin: {env: ESR_TEST_TWIN}}
      - {in: cookie, name: session, twin: learned}
"""
CURL = "curl https://www.cms.example/a -H 'Authorization: Bearer production-token' -b session=production-cookie"
LOG = '10.77.1.5 - - [22/Jan/2019:03:56:14 +0330] "GET /filter?token=abcdefgh HTTP/1.1" 200 30577 "-" "Mozilla/5.0"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "switchboard.yml").write_text(ESTATE)
    return tmp_path


def run(folder: Path, *words: str, stdin: str = "", twin: str = "") -> tuple[int, str, str]:
    environment = {**os.environ, "HMS_ESR_STATE": str(folder / "state"), "ESR_TEST_TWIN": twin}
    command = [sys.executable, "-m", "switchboard", "explain", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=folder, env=environment, input=stdin, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr.strip()


def test_the_command_line_explains_offline_and_leaves_nothing_behind(folder: Path) -> None:
    code, said, _ = run(folder, "--curl", CURL, "--client", "10.77.1.5")
    assert code == 0
    lines = said.splitlines()
    assert lines[0] == "client 10.77.1.5: member of cohort rookies"
    assert "FORWARD  rung 5  route: portal: https://www.cms.example -> http://sandbox-mfe.test:8080" in lines
    assert "  Authorization: Bearer <twin of header Authorization>" in lines
    assert "  Cookie: session=<learned twin, known once the trainee has logged in>" in lines
    assert "swapped: authorization, cookie session" in lines
    assert "the twin of header Authorization is not known here: environment variable ESR_TEST_TWIN" in said
    assert "production-" not in said
    assert [path.name for path in folder.iterdir()] == ["switchboard.yml"]


def test_json_is_one_object_and_a_twin_that_can_be_read_is_a_fingerprint(folder: Path) -> None:
    code, said, _ = run(folder, "--curl", "-", "--json", stdin=CURL, twin="sandbox-token")
    assert code == 0
    found: dict[str, Any] = json.loads(said)
    sent = {field["name"].lower(): field["value"] for field in found["after"]["fields"]}
    assert sent["authorization"].startswith("Bearer <credential ")
    assert found["verdict"] == "forward"
    assert found["dial"] == {"scheme": "http", "host": "sandbox-mfe.test", "port": 8080, "h2": False}
    assert "sandbox-token" not in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--log", LOG), "GET /filter?token=<credential "),
        (("--log", LOG, "--origin", "https://old.cms.example"), "BLOCK  rung 6  block: *.cms.example"),
        (("https://www.cms.example/a", "--method", "post", "--header", "X-One: 1"), "  POST /a HTTP/1.1\n"),
        (("https://www.cms.exmaple/",), "host www.cms.example: differs by one character"),
        (("https://www.cms.example/", "--client", "10.77.9.9"), "served, in no cohort"),
        (("https://www.cms.example/", "--client", "192.0.2.1"), "outside, not among the estate's clients"),
    ],
    ids=["log line", "log line of another host", "method and field", "near miss", "no member", "outsider"],
)
def test_whatever_the_verdict_the_exit_code_is_0(folder: Path, words: tuple[str, ...], expected: str) -> None:
    code, said, _ = run(folder, *words)
    assert code == 0
    assert expected in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "give exactly one of URL, --curl COMMAND and --log LINE"),
        (("https://a.example/", "--log", LOG), "give exactly one of"),
        (("www.cms.example",), "does not start with http:// or https://"),
        (("https://a.example/", "--client", "someone"), "--client: 'someone' is not an address"),
        (("https://a.example/", "--target", "prod"), "--target: 'prod' is not in the estate; it has: staging"),
        (("https://a.example/", "--cohort", "x"), "--cohort: 'x' is not in the estate; it has: rookies"),
        (("https://a.example/", "--header", "X"), "a name, a colon and a value"),
        (("--curl", "wget https://a.example/"), "does not begin with the word curl"),
        (("--curl", CURL, "--method", "PUT"), "--method: goes with URL"),
        (("--curl", CURL, "--header", "A: b"), "--header: goes with URL or --log"),
        (("--curl", CURL, "--origin", "a.example"), "--origin: goes with --log"),
        (("--log", "what is this"), "no request in common or combined format (unknown_format)"),
        (("--log", LOG, "--origin", "https://a.example/path"), "is not an origin without a path"),
        (("-f", "missing.yml", "https://a.example/"), "estate file missing.yml does not exist"),
    ],
)
def test_bad_input_is_one_sentence_and_2(folder: Path, words: tuple[str, ...], expected: str) -> None:
    code, said, complaint = run(folder, *words)
    assert (code, said) == (2, "")
    assert expected in complaint
    assert len(complaint.splitlines()) == 1


COMMANDS = {
    "plain": "curl http://www.cms.example/page?a=1",
    "prefix": "curl http://api.cms.example/profile/7",
    "method": "curl -X DELETE http://api.cms.example/profile/7",
    "login": "curl -u joe:prod-pass -H 'X-Api-Key: prod-key' http://www.cms.example/a",
    "unknown bearer": "curl -H 'Authorization: Bearer prod-token' -H 'Authorization: other' http://www.cms.example/a",
    "cookies": "curl -b 'session=prod-session; theme=dark' http://www.cms.example/a",
    "query": "curl 'http://www.cms.example/a?api_key=prod&b=1&access_token=x'",
    "json": """curl --json '{"auth": {"token": "prod"}, "password": "prod", "n": 1.50}' http://www.cms.example/a""",
    "broken json": "curl --json '{broken' http://www.cms.example/a",
    "form": "curl -d 'password=prod&a=1' http://www.cms.example/a",
    "multipart": "curl -F password=prod -F a=1 http://www.cms.example/a",
    "other body": "curl -H 'Content-Type: application/xml' -d '<a/>' http://www.cms.example/a",
    "empty body": "curl -d '' http://www.cms.example/a",
    "referer and more": "curl -e http://www.cms.example/b -r 0-9 -H 'X-Forwarded-For: 1.2.3.4' http://www.cms.example/a",
    "origin": "curl -H 'Origin: http://www.cms.example' -H 'Connection: X-A' -H 'X-A: 1' http://www.cms.example/a",
    "codings": "curl --compressed -H 'Accept-Encoding: gzip, sdch, br;q=0.5' http://www.cms.example/a",
    "upgrade": "curl -H 'Connection: Upgrade' -H 'Upgrade: h2c' http://www.cms.example/a",
    "trailer": "curl -H 'Trailer: X-A' http://www.cms.example/a",
    "two hosts": "curl -H 'Host: api.cms.example' http://www.cms.example/a",
    "ambiguous path": "curl http://api.cms.example/profile/%2e%2e/a",
    "no route": "curl http://old.cms.example/",
    "unlisted": "curl http://elsewhere.example/",
    "mock": "curl -X POST http://payments.example/pay",
}
module_loop = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Border]:
    async with border(tmp_path_factory.mktemp("scene")) as found:
        await found.stage.start()
        yield found


async def asked(scene: Border, specimen: Specimen) -> Answer:
    """Send a request as it stands through the explicit proxy."""
    lines = [f"{specimen.method} http://{specimen.authority}{specimen.target} HTTP/1.1".encode()]
    lines += [name + b": " + value for name, value in specimen.sent]
    async with asyncio.timeout(5), asking.line(scene.stage.proxy) as line:
        return await line.ask(b"\r\n".join([*lines, b"", specimen.body]))


@module_loop
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
async def test_an_explanation_says_what_a_worker_does(scene: Border, command: str) -> None:
    specimen, switch = parse_curl(command), scene.stage.worker.current.switch
    scene.sandbox.clear()
    answer = await asked(scene, specimen)
    drill: Drill = switch.drills["drill-1"]
    assert drill.phase is Phase.RUNNING
    found = explain(specimen, basis=Basis(switch, drill, key=bytes(32), now=0.0), client=MEMBER)
    if found.verdict.kind is not Kind.FORWARD:
        assert (answer.status, scene.sandbox.requests) == (found.status, [])
        if found.verdict.kind is Kind.BLOCK:
            assert answer.reason == found.verdict.reason
        return
    ask = Ask(MEMBER, specimen.method, "http", (specimen.authority,), specimen.target)
    world, verdict = switch.worlds["staging"], decide(ask, switch)
    sent = send(specimen.sent, specimen.body, ask, verdict=verdict, world=world, learned={}, now=0.0)
    (received,) = scene.sandbox.requests
    assert answer.status == 200
    assert (received.method, received.target, received.body) == (specimen.method, sent.target, sent.body)
    expected = [(name.decode().lower(), value.decode("latin-1")) for name, value in sent.fields]
    assert [(name.lower(), value) for name, value in received.fields] == expected
    assert found.after is not None
    assert [name.lower() for name, _ in found.after.fields if name.lower() not in LEARNED] == [
        name for name, _ in expected if name not in LEARNED
    ]


# Their twins are learned: an explanation shows where they will be, and this worker's client has not logged in.
LEARNED = frozenset({"authorization", "cookie"})
