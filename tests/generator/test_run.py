from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from generator.player import Limits
from generator.run import as_drilled
from switchboard.errors import BadInput
from tests.generator.stage import Sandbox, a_drill, a_line, a_scenario, an_estate, played


def write(folder: Path, text: str, name: str = "a.log") -> None:
    (folder / name).write_text(text)


async def test_a_log_is_replayed_and_every_line_accounted_for(sandbox: Sandbox, tmp_path: Path) -> None:
    requests = ["GET /1", "-", "POST /2", r"\x16\x03", "GET http://old.cms.example/ HTTP/1.1", "POST /pay", "BREW /"]
    write(tmp_path, "".join(a_line(n, request) for n, request in enumerate(requests)) + "\nnoise\n")
    score = await played(sandbox, a_scenario(), tmp_path)
    assert [(request.method, request.raw_path) for request in sandbox.seen] == [("GET", "/1"), ("POST", "/2")]
    assert score.skipped == {
        "no_request": 1,
        "not_a_request": 1,
        "blocked": 2,
        "mocked": 1,
        "blank": 1,
        "unknown_format": 1,
    }
    assert (score["read"], score["sent"], score["requests"], score["errors"]) == (9, 2, 2, 0)
    assert (score["blocked"], score["blocked:unknown method"]) == (2, 1)
    assert score["blocked:production host without a route"] == 1
    assert score["production_dials"] == 0
    assert score[f"dial:{sandbox.url.removeprefix('http://')}"] >= 1


async def test_spacing_is_kept_divided_by_speed(sandbox: Sandbox, tmp_path: Path) -> None:
    write(
        tmp_path,
        "".join(json.dumps({"url": f"/{n}", "ts": 100 + stamp}) + "\n" for n, stamp in enumerate([0.1, 2.1, 3.1])),
    )
    began = time.monotonic()
    score = await played(sandbox, a_scenario(speed="20x"), tmp_path)
    assert 0.15 <= time.monotonic() - began < 0.6
    assert (sandbox.paths, score["late"]) == (["/0", "/1", "/2"], 0)


async def test_lines_out_of_order_are_sent_in_order(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path, "".join(a_line(n, f"GET /{n}") for n in (3, 1, 2, 9, 4)))
    await played(sandbox, a_scenario(speed="100x"), tmp_path)
    assert sandbox.paths == ["/1", "/2", "/3", "/4", "/9"]


async def test_a_line_later_than_the_window_is_sent_and_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path, "".join(a_line(n, f"GET /{n}") for n in (0, 1000, 1)))
    score = await played(sandbox, a_scenario(speed="100000x"), tmp_path, limits=Limits(span_s=10))
    assert sorted(sandbox.paths) == ["/0", "/1", "/1000"]
    assert score["late_stamp"] == 0  # second 1 has not left yet
    write(tmp_path, "".join(a_line(n, f"GET /{n}") for n in (0, 5, 1000, 1)))
    assert (await played(sandbox, a_scenario(speed="100000x"), tmp_path, limits=Limits(span_s=10)))["late_stamp"] == 1


async def test_gaps_are_capped_and_reported(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path, "".join(json.dumps({"url": "/", "ts": stamp}) + "\n" for stamp in (0.5, 7200.5, 7201.5)))
    began = time.monotonic()
    score = await played(sandbox, a_scenario(speed="100x", gap_cap="50ms"), tmp_path)
    assert time.monotonic() - began < 1
    assert (score["gaps_capped"], score["gaps_capped_ms"], score["sent"]) == (1, 71_950, 3)


async def test_the_duration_ends_the_traffic_and_the_rest_of_what_was_read_is_not_due(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    write(tmp_path, "".join(a_line(n, f"GET /{n}") for n in range(100)))
    score = await played(sandbox, a_scenario(speed="100x", duration="300ms"), tmp_path)
    assert 25 <= score["sent"] <= 35
    assert score.skipped == {"not_due": score["read"] - score["sent"]}


async def test_a_stop_cuts_off_what_is_on_the_way_at_once(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.delay_s = 5.0
    write(tmp_path, "".join(a_line(n) for n in range(1000)))
    began = time.monotonic()
    score = await played(sandbox, a_scenario(speed="100x"), tmp_path, stop_after_s=0.3)
    assert time.monotonic() - began < 0.6
    assert score["cut"] == score["sent"] > 10
    assert score.skipped["stopped"] > 0
    assert score["errors"] == 0


@pytest.mark.parametrize(("users", "clients", "repeated"), [(12, 5, 7), (5, 5, 0), (3, 5, 0), (None, 5, 0)])
async def test_clients_are_repeated_or_sampled_to_reach_the_users(
    sandbox: Sandbox, tmp_path: Path, users: int | None, clients: int, repeated: int
) -> None:
    write(tmp_path, "".join(a_line(n, client=f"10.0.0.{n}") for n in range(clients)))
    score = await played(sandbox, a_scenario(users=users), tmp_path)
    assert len(score.users) == score["sent"] == (users or clients)
    assert score["repeated"] == repeated
    assert score.skipped == ({"not_sampled": 2} if users == 3 else {})


async def test_when_the_bound_is_hit_nothing_is_dropped_and_lateness_shows(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.delay_s = 0.05
    write(tmp_path, a_line(0) * 20)
    score = await played(sandbox, a_scenario(), tmp_path, limits=Limits(in_flight=2))
    assert score["requests"] == 20
    assert score["wait_us"] / 20 > 200_000  # ten rounds of 50 ms: the last waited for 500


async def test_a_sandbox_that_is_down_gives_errors_not_exceptions(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path, a_line(0) * 3)
    score = await played(sandbox, a_scenario(), tmp_path, estate=an_estate("http://127.0.0.1:1"))
    assert (score["sent"], score["requests"], score["errors"], score["error:ClientConnectorError"]) == (3, 3, 3, 3)


async def test_server_errors_count_as_errors_and_client_errors_do_not(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path, a_line(0) * 3)
    sandbox.status = 503
    score = await played(sandbox, a_scenario(), tmp_path)
    assert (score["errors"], score["status:503"]) == (3, 3)
    sandbox.status = 404
    assert (await played(sandbox, a_scenario(), tmp_path))["errors"] == 0


async def test_a_name_that_leads_to_production_blocks_every_line(sandbox: Sandbox, tmp_path: Path) -> None:
    async def treason(host: str, port: int) -> tuple[str, ...]:
        return ("127.0.1.1",)

    write(tmp_path, a_line(0) * 3)
    score = await played(sandbox, a_scenario(), tmp_path, estate=an_estate("http://sandbox.test:80"), resolve=treason)
    assert (score["blocked:production address"], score.skipped) == (3, {"blocked": 3})
    assert not any(name.startswith("dial:") for name in score.counters)


async def test_recorded_credentials_are_removed_and_counted(sandbox: Sandbox, tmp_path: Path) -> None:
    event = {"url": "/a?api_key=x", "headers": {"Cookie": "session=1", "Authorization": "Bearer x", "Accept": "a/b"}}
    write(tmp_path, json.dumps(event))
    score = await played(sandbox, a_scenario(), tmp_path)
    assert sandbox.paths == ["/a"]
    assert set(sandbox.seen[0].headers) == {"Host", "Accept", "X-HMS-Env", "baggage"}
    assert score["credentials_removed"] == 3


async def test_after_a_break_what_was_played_is_passed_over(sandbox: Sandbox, tmp_path: Path) -> None:
    write(tmp_path, "".join(a_line(n, f"GET /{n}") for n in range(100)))
    score = await played(sandbox, a_scenario(speed="100x"), tmp_path, played_s=0.9)
    assert 85 <= score.skipped["already_played"] <= 91
    assert sandbox.paths[-1] == "/99"


async def test_synthetic_users_visit_for_the_duration(sandbox: Sandbox, tmp_path: Path) -> None:
    profile = {
        "pages": [
            {"path": "/"},
            {"path": "/v1", "origin": "https://api.cms.example", "method": "POST", "json": {"n": "{name}"}},
        ],
        "think": "1s",
    }
    scenario = a_scenario(
        source="synthetic", log_path=None, profile=profile, users=20, speed="10x", duration="500ms", seed=3
    )
    score = await played(sandbox, scenario, tmp_path)
    assert 60 <= score["sent"] <= 140
    assert len(score.users) == 20
    assert {request.raw_path for request in sandbox.seen} == {"/", "/v1"}
    assert score.skipped == {"not_due": 1}


async def test_the_same_seed_sends_the_same_requests(sandbox: Sandbox, tmp_path: Path) -> None:
    profile = {"pages": [{"path": "/a"}, {"path": "/b", "weight": 2}], "think": "1s"}
    scenario = a_scenario(source="synthetic", log_path=None, profile=profile, users=1, speed="100x", duration="200ms")
    await played(sandbox, scenario, tmp_path)
    first = list(sandbox.paths)
    sandbox.seen.clear()
    await played(sandbox, scenario, tmp_path)
    assert sandbox.paths == first
    assert len(first) > 5


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"log_path": "none.log"}, "log_path: none.log is not a file"),
        ({"origin": "ftp://x"}, "origin: 'ftp://x' is not an origin"),
        ({"target": "svc-x"}, "target: 'svc-x' is not a route name"),
    ],
    ids=["log", "origin", "route"],
)
async def test_what_cannot_be_played_is_a_clear_error(
    sandbox: Sandbox, tmp_path: Path, wishes: dict[str, str], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        await played(sandbox, a_scenario(**wishes), tmp_path)


def test_a_drill_overrides_what_its_scenario_says() -> None:
    scenario = as_drilled(a_scenario(users=5, seed=1), a_drill(speed=7.0, seed=0, duration=3.0))
    assert (scenario.speed, scenario.users, scenario.duration, scenario.seed) == (7.0, 5, 3.0, 0)
