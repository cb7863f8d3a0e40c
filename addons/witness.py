"""Count what happened, by drill: outcomes of trainees, what was blocked and why, every address dialled.

Memory only; the worker's node loop takes the deltas to the store. Nothing here can refuse or let through.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from mitmproxy import http

from addons import passage
from switchboard.scorecard import Recorder, ScoreDelta
from switchboard.verdict import Kind

_MOST_REASONS = 200


class Witness:
    """`clock` gives monotonic seconds. `writer` names this process's life in the store."""

    def __init__(self, writer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._clock = clock
        self._recorders: dict[str, Recorder] = {}
        self.totals: Counter[str] = Counter()

    def recorder(self, drill: str) -> Recorder:
        """Return the recorder of a drill; each drill has its own sequence of deltas."""
        found = self._recorders.get(drill)
        if found is None:  # no setdefault: a recorder's empty histograms cost more than a whole request
            found = self._recorders[drill] = Recorder(self._writer)
        return found

    def deltas(self) -> list[tuple[str, ScoreDelta]]:
        """Return what has not been confirmed by the store, by drill."""
        taken = ((drill, recorder.take()) for drill, recorder in list(self._recorders.items()))
        return [(drill, delta) for drill, delta in taken if delta is not None]

    def confirm(self, drill: str, sequence: int) -> None:
        self._recorders[drill].confirm(sequence)

    def refused(self, reason: str) -> None:
        """Count a connection refused before anything was read."""
        self.totals[f"refused:{reason}"] += 1

    def fault(self, hook: str) -> None:
        """Count a hook that failed closed."""
        self.totals[f"fault:{hook}"] += 1

    def blocked(self, drill: str | None, reason: str) -> None:
        self.totals["blocked"] += 1
        if drill is None:
            return
        recorder = self.recorder(drill)
        recorder.count("blocked")
        # Reasons come from a closed set but for route names; a bound keeps a mistake from filling the store.
        name = f"blocked:{reason}"
        if name in self.totals or len(self.totals) < _MOST_REASONS:
            self.totals[name] += 1
            recorder.count(name)

    def count(self, drill: str | None, name: str) -> None:
        """Count something of a drill by its name, which comes from a closed set."""
        if drill is not None:
            self.recorder(drill).count(name[:100])

    def swapped(self, drill: str | None, labels: tuple[str, ...]) -> None:
        """Count credentials that got their twin, by the label of their place."""
        for label in labels:
            self.count(drill, f"swapped:{label}")

    def removed(self, drill: str | None, names: tuple[str, ...]) -> None:
        """Count credentials taken out of a request, by the name of their place."""
        if drill is not None:
            for name in names:
                self.recorder(drill).count(f"removed:{name[:40]}")

    def dialled(self, drill: str | None, address: tuple[str, int], *, production: bool) -> None:
        """Count a connection opened on behalf of a client in a drill."""
        if drill is None:
            return
        recorder = self.recorder(drill)
        recorder.count(f"dial:{address[0]}:{address[1]}")
        if production:
            recorder.count("production_dials")

    def response(self, flow: http.HTTPFlow) -> None:
        self._outcome(flow, error=flow.response is None or flow.response.status_code >= 500)

    def error(self, flow: http.HTTPFlow) -> None:
        self._outcome(flow, error=True)

    def _outcome(self, flow: http.HTTPFlow, *, error: bool) -> None:
        found = passage.of(flow)
        if found is None or found.counted or found.verdict.drill is None:
            return
        if found.verdict.kind not in (Kind.FORWARD, Kind.MOCK):
            return
        found.counted = True
        self.recorder(found.verdict.drill).outcome(
            found.ask.user or found.ask.client,
            wait_s=self._clock() - found.started_at,
            error=error,
            status=flow.response.status_code if flow.response is not None else 0,
        )
