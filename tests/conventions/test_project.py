"""What the repository holds beside code: texts without traces of a machine, one version, documents that are true."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.conventions.source import ROOT, Source, report

# Written in pieces, so that this file does not break its own rule. One letter (`~u`) is nobody's name.
FOLDERS = [*(f"/{name}/" for name in ("work", "root", "home", "Users")), "C:" + r"\\Users"]
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("registry-1", "docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("deb", "debian", "org"),
        ("archive", "ubuntu", "com"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
    )
]
TRACES = {
    "the path of one machine": re.compile(r"(?<![\w.}])(?:" + "|".join(FOLDERS) + r")\w\w"),
    "the host of a package registry": re.compile(r"(?<![\w-])" + "|".join(map(re.escape, REGISTRIES))),
}
# As a command: at the start of a line, in backticks, or after a path, a prompt or an assignment.
VERB = re.compile(r"(?:^|[`/$]|=\S+) *hms-esr +(?:-{1,2}\S+ +)*([a-z][a-z-]*)(?=[\s`|]|$)")


def texts(files: list[Path]) -> dict[Path, str]:
    found = {}
    for path in files:
        data = path.read_bytes()
        if b"\0" not in data[:8192]:
            found[path] = data.decode("utf-8", "replace")
    return found


def test_no_text_names_a_machine_or_a_registry(files: list[Path]) -> None:
    broken = [
        f"{path.relative_to(ROOT)}:{number}: {what}: {line.strip()[:80]}"
        for path, text in texts(files).items()
        for number, line in enumerate(text.splitlines(), 1)
        for what, pattern in TRACES.items()
        if pattern.search(line)
    ]
    assert not broken, report(broken)


def test_the_changelog_has_an_unreleased_section() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## \[Unreleased\]$", text, re.MULTILINE), "CHANGELOG.md:1: no section '## [Unreleased]'"


def test_the_version_lives_in_one_place(files: list[Path]) -> None:
    assigned = re.compile(r"""^\s*(?:__version__|version)\s*=\s*["']\d+\.\d+""", re.MULTILINE)
    suffixes = (".py", ".toml", ".cfg")
    holders = [
        str(path.relative_to(ROOT))
        for path, text in texts(files).items()
        if path.suffix in suffixes and assigned.search(text)
    ]
    assert holders == ["switchboard/__init__.py"], f"the version is assigned in {holders}"


def test_the_version_of_the_changelog_is_not_behind() -> None:
    from switchboard import __version__

    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert not released or released[0] == __version__, f"CHANGELOG.md: {released[0]} was released, not {__version__}"


def test_every_bundled_scenario_parses(files: list[Path]) -> None:
    from switchboard.scenario_file import parse_scenario

    scenarios = [path for path in files if path.parent == ROOT / "scenarios" and path.suffix in (".yml", ".yaml")]
    assert scenarios
    for path in scenarios:
        assert parse_scenario(path.read_text(), path.name).id


def test_every_verb_in_the_documents_exists(files: list[Path]) -> None:
    if importlib.util.find_spec("switchboard.cli") is None:
        pytest.skip("switchboard/cli.py does not exist yet")
    known = cli_verbs()
    documents = [path for path in files if path.suffix == ".md" and path.name != "CHANGELOG.md"]
    broken = [
        f"{path.relative_to(ROOT)}:{number}: hms-esr {found[1]}: there is no such verb, only {', '.join(sorted(known))}"
        for path in documents
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for found in VERB.finditer(line)
        if found[1] not in known
    ]
    assert not broken, report(broken)


def test_every_module_has_its_place_on_the_map(product: list[Source]) -> None:
    named = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "architecture.md").read_text()))
    broken = [
        f"{source.file}:1: is not named in the file map of docs/architecture.md"
        for source in product
        if source.name and source.name not in named
    ]
    assert not broken, report(broken)


def cli_verbs() -> set[str]:
    from switchboard import cli

    return set(cli.cli.commands)
