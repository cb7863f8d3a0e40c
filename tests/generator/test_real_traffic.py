"""Real logs, whole. Figures are printed with `pytest -rP`."""

from __future__ import annotations

import os
import random
import resource
import time
from collections import Counter
from pathlib import Path

import pytest

from generator.entry import Entry, Reason
from generator.readers import AccessLog
from generator.replay import Replay
from generator.run import play
from generator.sessions import Cast
from generator.source import open_source
from switchboard.errors import BadInput
from switchboard.scorecard import Recorder, merge
from tests.generator.stage import Sandbox, Score, a_drill, a_scenario, a_switch, an_estate

pytestmark = pytest.mark.data

BIG = "logs/airisdata_combined_2016.log.gz"
MIB = 1024 * 1024


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tally(path: Path) -> Counter[str]:
    items = open_source(str(path), Path()).items()
    return Counter("read" if isinstance(item, Entry) else str(item) for item in items)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (BIG, {"read": 206_860}),
        ("logs/zanbil_1000_nginx_combined.log.gz", {"read": 1_000}),
        ("logs/seart_ghs_nginx_2023.log.gz", {"read": 1_492}),
        ("formats/alp/combined_access.log", {"read": 14}),
        ("formats/crowdsec_hub/apache2-logs__apache2-logs.log", {"read": 7, "unknown_format": 2}),
        ("formats/crowdsec_hub/litespeed-logs__litespeed-logs.log", {"read": 1, "unknown_format": 2}),
        (
            "formats/crowdsec_hub/nginx-proxy-manager-logs__nginx-proxy-manager-logs.log",
            {"read": 1, "unknown_format": 13},
        ),
        ("formats/crowdsec_hub/nginx-http-sqli-probing__nginx-http-sqli-probing.log", {"read": 16}),
        ("formats/crowdsec_hub/nginx-http-xss-probing__nginx-http-xss-probing.log", {"read": 26}),
        ("formats/crowdsec_hub/traefik_clf__traefik_clf.log", {"read": 7, "blank": 2}),
        ("formats/lnav/logfile_access_log.0", {"read": 3}),
        ("formats/lnav/logfile_bad_access_log.0", {"read": 3}),
    ],
    ids=lambda value: value.rpartition("/")[2] if isinstance(value, str) else "",
)
def test_every_line_of_real_logs_is_read_or_has_a_reason(data: Path, name: str, found: dict[str, int]) -> None:
    assert tally(data / name) == found


def test_no_real_file_upsets_the_reader(data: Path) -> None:
    folders = ("formats", "demo", "captures")
    files = [path for folder in folders for path in (data / folder).rglob("*") if path.is_file()]
    said: set[str] = set()
    for path in files:
        try:
            said.add("read" if tally(path) else "nothing")
        except BadInput as error:
            said.add("no request" if "no request can be read from 1 file(s)" in str(error) else str(error))
    assert said == {"read", "no request"}


def test_malformed_requests_are_told_apart(data: Path) -> None:
    lines = (data / "formats/crowdsec_hub/nginx-http-malformed__nginx_http-logs.log").read_bytes().splitlines()
    assert {AccessLog().read(line) for line in lines} == {Reason.NOT_A_REQUEST}


def test_the_big_log_is_put_in_order_completely_in_flat_memory(data: Path) -> None:
    counts: Counter[str] = Counter()

    def count(name: str, by: int) -> None:
        counts[name] += by

    items = open_source(str(data / BIG), Path()).items()
    replay = Replay(items, cast=Cast(seed=0), draw=random.Random(0).random, count=count)
    visits, last, rss = 0, 0.0, []
    began = time.perf_counter()
    for visit in replay.visits():
        if visit is not None:
            assert visit.stamp >= last
            last = visit.stamp
            visits += 1
            if visits % 10_000 == 0:
                rss.append(resident())
    took = time.perf_counter() - began
    grown = (max(rss) - rss[1]) / MIB
    print(f"{visits} visits in order in {took:.1f} s, {grown:.1f} MiB more at the end than after 20,000 lines")
    assert (visits, counts["read"], replay.unsent) == (206_860, 206_860, 0)
    assert counts["late_stamp"] == 0  # steps back of up to 149 s lie within the window of 300 s
    assert grown < 8


def test_the_reader_is_fast(data: Path) -> None:
    began = time.perf_counter()
    lines = sum(tally(data / BIG).values())
    rate = lines / (time.perf_counter() - began)
    print(f"{rate:,.0f} lines/s")
    assert rate > 50_000


@pytest.mark.parametrize(("speed", "seconds"), [("2000x", 4.0), ("200000x", 3.0)])
async def test_the_big_log_is_replayed_with_every_line_accounted_for(
    data: Path, sandbox: Sandbox, speed: str, seconds: float
) -> None:
    sandbox.keep = False
    drill = a_drill()
    switch = a_switch(an_estate(sandbox.url), drill)
    recorder = Recorder("test")
    scenario = a_scenario(log_path=str(data / BIG), speed=speed, duration=seconds)
    await play(drill, scenario, switch=lambda: switch, recorder=recorder, base=Path())
    score = Score(recorder)
    score.check()
    assert score.delta is not None
    pacing = merge([score.delta.pacing])
    print(
        f"{speed}: {score['sent']} sent in {seconds} s, skipped {score.skipped}, pacing p50"
        f" {pacing.get_value_at_percentile(50) / 1e3:.2f} ms, p99 {pacing.get_value_at_percentile(99) / 1e3:.2f} ms,"
        f" rss {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    assert score["sent"] == score["requests"] == sandbox.count > 20
    assert score["errors"] == 0
    assert score["production_dials"] == 0


async def test_a_foreign_shop_is_replayed_whole(data: Path, sandbox: Sandbox) -> None:
    drill = a_drill()
    switch = a_switch(an_estate(sandbox.url), drill)
    recorder = Recorder("test")
    scenario = a_scenario(log_path=str(data / "logs/zanbil_1000_nginx_combined.log.gz"), speed="200x")
    await play(drill, scenario, switch=lambda: switch, recorder=recorder, base=Path())
    score = Score(recorder)
    score.check()
    assert (score["read"], score["sent"], score["errors"], score.skipped) == (1000, 1000, 0, {})
    assert any("%D9%85%DA%AF" in path for path in sandbox.paths)
