"""What the command line shows of the API's answers to a person: plain lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]


def one_line(card: Json) -> str:
    """Return the scorecard (DESIGN 5.3) as one line of fixed columns."""
    leaks = card["leaks"]
    return (
        f"{card['phase'] or 'live':>8} {card['elapsed_s']:>6.0f} s  users {card['users']:>6}  "
        f"requests {card['requests']:>7}  {card['rps']:>7.1f}/s  wait avg {card['avg_wait'] * 1000:>6.1f} ms "
        f"p95 {card['wait_p95'] * 1000:>6.1f} ms  errors {card['error_pct']:>5.2f} %  "
        f"leaks {leaks['production_dials']}  blocked {leaks['blocked']}"
    )


def lines_of_state(state: Json) -> list[str]:
    """Return lines for `GET /api/esr/state`."""
    lines = [f"epoch {state['epoch']}  mode {state['mode']}  kernel guard: {state['guard']}"]
    for drill in state["drills"]:
        lines.append(
            f"drill {drill['id']}  {drill['phase']}  scenario {drill['scenario'] or '-'}  target {drill['target']}  "
            f"cohort {drill['cohort'] or 'none'}  owner {drill['owner'] or '-'}  deadline {drill['deadline']}"
        )
    for node in state["nodes"]:
        ready = "ready" if node["ready"] else "NOT READY"
        lines.append(f"node {node['id']}  epoch {node['epoch']}  {ready}  seen {node['last_seen_s']:.0f} s ago")
    return lines


def lines_of_leaks(leaks: Json) -> list[str]:
    """Return lines for `GET /api/esr/leaks`."""
    dials, blocked = leaks["production_dials"], leaks["blocked"]
    lines = [f"production dials {dials}" + ("" if dials == 0 else "  LEAK") + f"  blocked {blocked['total']}"]
    lines += [f"  blocked {count:>6}  {reason}" for reason, count in blocked["reasons"].items()]
    lines += [f"  dialled {count:>6}  {address}" for address, count in leaks["dials"].items()]
    return lines


def lines_of_scenarios(found: Sequence[Json]) -> list[str]:
    """Return lines for `GET /api/esr/scenarios`."""
    return [f"{one['id']:<24} {one.get('error') or one.get('title') or one.get('source', '')}" for one in found]
