"""The project's files, read once; and a list of what is over the budget but under the limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conventions.source import PACKAGES, Source, project_files

OVER_BUDGET = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def files() -> list[Path]:
    return project_files()


@pytest.fixture(scope="session")
def sources(files: list[Path]) -> list[Source]:
    """All Python files of the project, tests included."""
    return [Source.read(path) for path in files if path.suffix == ".py"]


@pytest.fixture(scope="session")
def product(sources: list[Source]) -> list[Source]:
    """The Python files of the packages, without tests."""
    return [source for source in sources if source.package in PACKAGES]


@pytest.fixture(scope="session")
def over_budget(pytestconfig: pytest.Config) -> list[str]:
    """Append what deserves a look; it is listed at the end of the run and fails nothing."""
    return pytestconfig.stash.setdefault(OVER_BUDGET, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in terminalreporter.config.stash.get(OVER_BUDGET, []):
        terminalreporter.write_line(f"over the budget: {line}")
