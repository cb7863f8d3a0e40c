"""The rows about proxy workers (DESIGN section 8).

All sides run at once and idle until it is their turn; each round measures every side once, in a fixed order, so
that sides which are compared are neighbours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.child import Child, Line, child, module
from bench.estates import BARE, RICH
from bench.machine import cores
from bench.peers import WITH_KEY, WITH_TWINS, Side, mitmdump, over_tls, without_policy, workers
from bench.scene import Scene, scene
from bench.table import Round, Row
from switchboard.errors import Unavailable

PACKAGES = ("mitmproxy", "uvloop", "h11", "pyOpenSSL", "cryptography")

_CONNECTIONS = 32
_OURS = "state/ca/hms-esr-ca-cert.pem"
_THEIRS = "mitmdump/mitmproxy-ca-cert.pem"


@dataclass(frozen=True, slots=True)
class Pace:
    """How long it all takes: `rounds` of every side, each `seconds` after `warm_s` of the same load."""

    rounds: int = 9
    seconds: float = 1.1
    warm_s: float = 0.2


QUICK = Pace(rounds=3, seconds=0.5, warm_s=0.1)


def least_against_mitmdump(of: str) -> float:
    """Return the budget of one worker against mitmdump of a version."""
    return 2.0 if int(of.partition(".")[0]) < 12 else 1.4


def measure(pace: Pace, *, tell: Callable[[str], None]) -> list[Row]:
    """Run all sides in turns and return the rows; raises Unavailable where a side answers wrongly."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stage = stack.enter_context(scene(Path(folder)))
        field = Field(stage.origin, stack.enter_context(child(module("load"))), pace)
        sides = _sides(stage, stack)
        taken: dict[str, list[Round]] = {side.name: [] for side in sides}
        for number in range(pace.rounds):
            tell(f"round {number + 1} of {pace.rounds}")
            for side in sides:
                taken[side.name].append(field.round(side))
    return _rows({name: tuple(rounds) for name, rounds in taken.items()})


@dataclass(frozen=True, slots=True)
class Field:
    """Where rounds take place: the origin and the load generator, the same for every side."""

    origin: Child
    load: Child
    pace: Pace

    def round(self, side: Side) -> Round:
        """Measure one side once; raises Unavailable where it answers wrongly or not at all."""
        side_s, around_s = side.cpu_s(), self._around_s()
        count = self.load.ask(self._plan(side))
        side_s, around_s = side.cpu_s() - side_s, self._around_s() - around_s
        if count["wrong"] or count["lost"] or not count["right"]:
            raise Unavailable(
                f"{side.name}: {count['right']} right answers, {count['wrong']} wrong, {count['lost']} connections"
                " lost; figures of a proxy that leads astray mean nothing",
                code="bench_wrong_answers",
            )
        # Processor time covers the warm-up too, requests only the measured part.
        per_request = 1e6 * self.pace.seconds / (self.pace.seconds + self.pace.warm_s) / count["right"]
        return Round(count["right"] / count["seconds"], side_s * per_request, around_s * per_request)

    def _around_s(self) -> float:
        return self.origin.cpu_s() + self.load.cpu_s()

    def _plan(self, side: Side) -> Line:
        return {
            "port": side.port,
            "head": side.head,
            "marker": side.marker,
            "tunnel": side.tunnel,
            "ca": side.ca,
            "seconds": self.pace.seconds,
            "warm_s": self.pace.warm_s,
            "connections": _CONNECTIONS,
        }


def _sides(stage: Scene, stack: ExitStack) -> tuple[Side, ...]:
    stock = stack.enter_context(mitmdump(stage, "stock"))
    one = stack.enter_context(workers(stage, "one"))
    return (
        stock,
        one,
        stack.enter_context(without_policy(stage, "no policy")),
        stack.enter_context(workers(stage, "two", count=2)),
        over_tls(stock, "stock, TLS", ca=stage.folder / _THEIRS),
        over_tls(one, "one, TLS", ca=stage.folder / _OURS),
        stack.enter_context(workers(stage, "rich", estate=RICH, asked=WITH_TWINS)),
        stack.enter_context(workers(stage, "bare", estate=BARE, asked=WITH_KEY)),
    )


def _rows(taken: dict[str, tuple[Round, ...]]) -> list[Row]:
    stock = f"mitmdump {version('mitmproxy')} with a script"
    least = least_against_mitmdump(version("mitmproxy"))
    note = room_note(taken["two"], taken["one"], on_cores=cores())
    return [
        Row("one worker, full policy, plain HTTP", stock, least, taken["one"], taken["stock"]),
        Row("one worker, full policy, TLS on both sides", stock, least, taken["one, TLS"], taken["stock, TLS"]),
        Row("two workers on one port, plain HTTP", "one worker", 1.8, taken["two"], taken["one"], note=note),
        Row("full policy, plain HTTP", "the same proxy, no policy", 0.85, taken["one"], taken["no policy"]),
        Row("50 routes, 20 credential rules", "one route, no rule", 0.85, taken["rich"], taken["bare"]),
    ]


def room_note(two: tuple[Round, ...], one: tuple[Round, ...], *, on_cores: int) -> str:
    """Return what a machine with few cores leaves to be seen of a second worker; "" where it is enough."""
    if on_cores >= 4:
        return ""
    whole_us = median(taken.cpu_us + taken.around_us for taken in two)
    most = on_cores * 1e6 / whole_us / median(taken.rate for taken in one)
    return (
        f"load generator and origin share the {on_cores} cores with the workers, so that at most {most:.2f}x can be"
        " seen here, less what else the machine does; the CPU time per request shows whether workers hinder each other."
    )
