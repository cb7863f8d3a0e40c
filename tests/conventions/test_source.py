"""The rules' own eyes: what they must see, and what they must let pass."""

from __future__ import annotations

import ast
from textwrap import dedent

import pytest

from tests.conventions import test_code, test_imports, test_project, test_sizes
from tests.conventions.source import ROOT, Source


def source(text: str, file: str = "switchboard/policy.py") -> Source:
    text = dedent(text)
    return Source(ROOT / file, text, ast.parse(text))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import os.path", ["os.path"]),
        ("from aiohttp import web", ["aiohttp.web"]),
        ("def f():\n    from redis import asyncio, Redis", ["redis.asyncio", "redis.Redis"]),
        ("if TYPE_CHECKING:\n    import random as r", ["random"]),
    ],
    ids=["dotted", "from", "nested", "for types"],
)
def test_imports_are_seen_in_full_wherever_they_stand(text: str, names: list[str]) -> None:
    assert [name for _, name in source(text).imports()] == names


BREAKS = {
    "io of the standard library": (
        test_imports.test_pure_modules_import_nothing_that_does_io_or_reads_clock_or_entropy,
        "import os",
    ),
    "an impure module": (
        test_imports.test_pure_modules_import_nothing_that_does_io_or_reads_clock_or_entropy,
        "from switchboard import store",
    ),
    "the clock": (test_imports.test_pure_modules_call_nothing_that_does_io_or_reads_clock_or_entropy, "datetime.now()"),
    "somebody else's library": (
        test_imports.test_each_library_and_package_is_imported_only_where_it_has_its_place,
        "from redis import asyncio",
    ),
    "the generator": (
        test_imports.test_each_library_and_package_is_imported_only_where_it_has_its_place,
        "import generator.run",
    ),
    "a program": (test_imports.test_only_programs_import_programs, "from switchboard import cli"),
    "a swallowed error": (test_code.test_no_error_is_swallowed_unnamed, "try: f()\nexcept Exception: pass"),
    "a swallowed error among others": (
        test_code.test_no_error_is_swallowed_unnamed,
        "try: f()\nexcept (OSError, BaseException):\n    'why'\n    continue",
    ),
    "a suppressed error": (test_code.test_no_broad_error_is_suppressed, "with contextlib.suppress(Exception): f()"),
    "a long function": (test_sizes.test_no_function_is_longer_than_its_limit, "def f():\n" + "    g()\n" * 60),
    "many parameters": (
        test_sizes.test_no_function_takes_more_positional_parameters_than_its_limit,
        "def f(self, a, b, c, d): ...",
    ),
    "deep nesting": (
        test_sizes.test_no_function_nests_deeper_than_its_limit,
        "def f():\n" + "".join("    " * depth + "if a:\n" for depth in range(1, 6)) + "    " * 6 + "g()\n",
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_rule_fails_with_file_and_line(case: str) -> None:
    rule, text = BREAKS[case]
    with pytest.raises(AssertionError, match=r"switchboard/policy\.py:\d+: "):
        rule([source(text)])  # type: ignore[operator]


def test_an_elif_is_no_deeper_than_its_if() -> None:
    text = "if a: f()\n" + "elif b: f()\n" * 9
    assert test_sizes.depth(ast.parse(text)) == 1


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("hms-esr demo --headless", "demo"),
        ("run `hms-esr status`", "status"),
        (".venv/bin/hms-esr --json score", "score"),
        ("$ hms-esr check", "check"),
        ("HMS_ESR_TOKEN=x hms-esr stop", "stop"),
        ("Installing hms-esr is easy", None),
        ("the package `hms-esr`", None),
    ],
)
def test_a_verb_is_seen_where_a_command_is_shown(line: str, verb: str | None) -> None:
    found = test_project.VERB.search(line)
    assert (found[1] if found else None) == verb


@pytest.mark.parametrize("text", ["/" + "home/someone/x", "see /" + "work/main", "https://" + "ghcr." + "io/x"])
def test_a_trace_of_a_machine_is_seen(text: str) -> None:
    assert any(pattern.search(text) for pattern in test_project.TRACES.values())
