"""Health, readiness and metrics: what supervisors and Prometheus ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from switchboard.admin_score import Board
from switchboard.admin_state import SILENT_S, Desk
from switchboard.node import NodeState, astray, why_astray

_COUNTERS = {
    "requests": "Requests of the drill that were answered or failed.",
    "errors": "Requests of the drill that failed.",
    "blocked": "Attempts of drill clients that were blocked.",
    "production_dials": "Dials to production on behalf of drill clients; must stay zero.",
}


class HealthCalls:
    """`/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, desk: Desk, board: Board) -> None:
        self._desk = desk
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(desk, board))

    def routes(self) -> Iterable[web.RouteDef]:
        return (
            web.get("/healthz", self.health),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.metrics),
        )

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """Answer 200 once every registered node has applied the current epoch, else 503 and which have not."""
        report = self._report()
        return web.json_response(report, status=200 if report["ready"] else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _report(self) -> dict[str, Any]:
        desk = self._desk
        waiting = {node.id: why for node in desk.nodes if (why := self._why_not(node)) is not None}
        if (lacking := desk.lacks()) is not None:
            waiting["admin"] = lacking
        return {
            "ready": not waiting,
            "epoch": desk.document.epoch,
            "degraded": not desk.redis_up,
            "waiting": waiting,
        }

    def _why_not(self, node: NodeState) -> str | None:
        """Return why a node is not ready, None for one that is."""
        desk = self._desk
        epoch, lineage = desk.document.epoch, desk.document.lineage
        silent_s = desk.clock().timestamp() - node.seen
        if astray([node], epoch, lineage=lineage):
            return why_astray(node)
        if node.epoch < epoch:
            return f"applies epoch {node.epoch}, not {epoch} yet"
        if not node.ready:
            return node.note or "is not ready"
        if node.lineage != lineage:
            return f"has not applied epoch {epoch} of this switch yet"
        if desk.redis_up and silent_s > SILENT_S:
            return f"was not heard of for {silent_s:.0f} s"
        return None


class _Figures(Collector):
    """Prometheus families of what is known at the time of the scrape."""

    def __init__(self, desk: Desk, board: Board) -> None:
        self._desk = desk
        self._board = board

    def collect(self) -> Iterator[Metric]:
        desk = self._desk
        yield GaugeMetricFamily("esr_epoch", "Epoch of the switch.", value=desk.document.epoch)
        yield GaugeMetricFamily("esr_sandbox", "1 while a drill is not ended.", value=desk.document.mode == "sandbox")
        yield GaugeMetricFamily("esr_redis_up", "1 while Redis answers.", value=desk.redis_up)
        yield from self._nodes()
        yield from self._drills()

    def _nodes(self) -> Iterator[Metric]:
        epoch = GaugeMetricFamily("esr_node_epoch", "Epoch that a node applies.", labels=["node", "role"])
        ready = GaugeMetricFamily("esr_node_ready", "1 for a node that is ready.", labels=["node", "role"])
        for node in self._desk.nodes:
            epoch.add_metric([node.id, node.role], node.epoch)
            ready.add_metric([node.id, node.role], node.ready)
        yield from (epoch, ready)

    def _drills(self) -> Iterator[Metric]:
        totals = self._board.last_totals()
        for name, text in _COUNTERS.items():
            family = CounterMetricFamily(f"esr_drill_{name}", text, labels=["drill"])
            for drill, figures in totals.items():
                family.add_metric([drill], figures.counters.get(name, 0))
            yield family
        wait = CounterMetricFamily("esr_drill_wait_seconds", "Sum of the waits of all requests.", labels=["drill"])
        users = GaugeMetricFamily("esr_drill_users", "Distinct users so far.", labels=["drill"])
        for drill, figures in totals.items():
            wait.add_metric([drill], figures.counters.get("wait_us", 0) / 1e6)
            users.add_metric([drill], figures.users)
        yield from (wait, users)
