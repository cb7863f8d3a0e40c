"""Reads a scenario file: every problem of it at once, with line, key, value and what was expected."""

from __future__ import annotations

from switchboard.errors import InvalidFile
from switchboard.expectations import read_model
from switchboard.scenario import Scenario
from switchboard.yaml_lines import parse_yaml

# DESIGN 4.2 names these; a scenario that relies on them must not run without them.
LATER_KEYS = frozenset({"arrivals", "storms", "faults", "tasks", "requests"})


def parse_scenario(text: str, file: str) -> Scenario:
    """Return the scenario of a file's text; `file` names it in problems. `log_path` is kept as written.

    Raises InvalidFile with every problem.
    """
    document = parse_yaml(text, file)
    scenario, findings = read_model(Scenario, document, later=LATER_KEYS)
    if scenario is None or document.findings:
        raise InvalidFile(document.problems(document.findings + findings))
    return scenario
