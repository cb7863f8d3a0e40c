"""Reads `switchboard.yml`: every problem of it at once, with line, key, value and what was expected.

First what each key holds (the models), then, when all of that is sound, what keys mean together.
"""

from __future__ import annotations

from switchboard.errors import InvalidFile
from switchboard.estate import Estate
from switchboard.estate_checks import estate_findings
from switchboard.expectations import read_model
from switchboard.yaml_lines import parse_yaml


def parse_estate(text: str, file: str) -> Estate:
    """Return the estate of a file's text; `file` names it in problems. Paths are kept as written.

    Raises InvalidFile with every problem.
    """
    document = parse_yaml(text, file)
    estate, findings = read_model(Estate, document)
    findings = document.findings + (findings if estate is None else estate_findings(estate))
    if estate is None or findings:
        raise InvalidFile(document.problems(findings))
    return estate
