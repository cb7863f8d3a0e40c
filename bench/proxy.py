"""The rows about proxy workers (DESIGN section 8).

All sides run at once and idle until it is their turn; each round measures every side once, in a fixed order.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.child import Child, Line, child, module
from bench.machine import cores
from bench.peers import Side, mitmdump, over_tls, without_policy, workers
from bench.scene import scene
from bench.table import Round, Row
from switchboard.errors import Unavailable

PACKAGES = ("mitmproxy", "uvloop", "h11", "pyOpenSSL", "cryptography")

_CONNECTIONS = 32
_OURS = "state/ca/hms-esr-ca-cert.pem"
_THEIRS = "mitmdump/mitmproxy-ca-cert.pem"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long it all takes: `rounds` of every side, each `seconds` after `warm_s` of the same load."""

    rounds: int = 5
    seconds: float = 2.0
    warm_s: float = 0.4


QUICK = Pace(rounds=2, seconds=0.8, warm_s=0.2)


def least_against_mitmdump(of: str) -> float:
    """Return the budget of one worker against mitmdump of a version."""
    return 2.0 if int(of.partition(".")[0]) < 12 else 1.4


def measure(pace: Pace, *, tell: Callable[[str], None]) -> list[Row]:
    """Run all sides in turns and return the rows; raises Unavailable where a side answers wrongly."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stage = stack.enter_context(scene(Path(folder)))
        load = stack.enter_context(child(module("load")))
        one = stack.enter_context(workers(stage, "one"))
        stock = stack.enter_context(mitmdump(stage, "stock"))
        sides = (
            one,
            stock,
            stack.enter_context(without_policy(stage, "no policy")),
            over_tls(one, "one, TLS", ca=stage.folder / _OURS),
            over_tls(stock, "stock, TLS", ca=stage.folder / _THEIRS),
            stack.enter_context(workers(stage, "two", count=2)),
        )
        taken: dict[str, list[Round]] = {side.name: [] for side in sides}
        for number in range(pace.rounds):
            tell(f"round {number + 1} of {pace.rounds}")
            for side in sides:
                taken[side.name].append(_round(side, load, pace))
    return _rows({name: tuple(rounds) for name, rounds in taken.items()})


def _round(side: Side, load: Child, pace: Pace) -> Round:
    before = side.cpu_s()
    count = load.ask(_plan(side, pace))
    used = side.cpu_s() - before
    if count["wrong"] or count["lost"] or not count["right"]:
        raise Unavailable(
            f"{side.name}: {count['right']} right answers, {count['wrong']} wrong, {count['lost']} connections lost",
            code="bench_wrong_answers",
        )
    # Processor time covers the warm-up too, requests only the measured part.
    share = pace.seconds / (pace.seconds + pace.warm_s)
    return Round(count["right"] / count["seconds"], used * share / count["right"] * 1e6)


def _plan(side: Side, pace: Pace) -> Line:
    return {
        "port": side.port,
        "head": side.head,
        "marker": side.marker,
        "tunnel": side.tunnel,
        "ca": side.ca,
        "seconds": pace.seconds,
        "warm_s": pace.warm_s,
        "connections": _CONNECTIONS,
    }


def _rows(taken: dict[str, tuple[Round, ...]]) -> list[Row]:
    stock = f"mitmdump {version('mitmproxy')} with a script"
    least = least_against_mitmdump(version("mitmproxy"))
    return [
        Row("one worker, full policy, plain HTTP", stock, least, taken["one"], taken["stock"]),
        Row("one worker, full policy, TLS on both sides", stock, least, taken["one, TLS"], taken["stock, TLS"]),
        Row("two workers on one port, plain HTTP", "one worker", 1.8, taken["two"], taken["one"], note=_few_cores()),
        Row("full policy, plain HTTP", "the same proxy, no policy", 0.85, taken["one"], taken["no policy"]),
    ]


def _few_cores() -> str:
    if cores() >= 4:
        return ""
    return (
        f"the load generator and the origin run on the same {cores()} cores as the two workers, so this ratio shows"
        " the machine's limit; compare the CPU time per request"
    )
