"""The project's own source as text and syntax trees."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("switchboard", "addons", "generator", "sandbox", "scenarios", "bench")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file of the project."""

    path: Path
    text: str
    tree: ast.Module

    @staticmethod
    def read(path: Path) -> Source:
        text = path.read_text(encoding="utf-8")
        return Source(path, text, ast.parse(text, str(path)))

    @property
    def file(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @property
    def module(self) -> str:
        return self.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def name(self) -> str:
        """The module within its package; empty for the package itself."""
        return self.module.partition(".")[2]

    def place(self, node: ast.AST) -> str:
        """Return `file:line`."""
        return f"{self.file}:{getattr(node, 'lineno', 1)}"

    def nodes(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree)

    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes() if isinstance(node, Function))

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Every imported name in full: `from aiohttp import web` gives `aiohttp.web`. Nested imports count."""
        for node in self.nodes():
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def project_files() -> list[Path]:
    """Return the files that are or would be in the repository; without git, all that is not hidden or built."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
        found = [ROOT / name for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        found = [path for path in ROOT.rglob("*") if not _left_out(path.relative_to(ROOT))]
    return sorted(path for path in found if path.is_file())


def report(broken: list[str]) -> str:
    """Return the message of a failed assertion: one broken place a line."""
    return "\n" + "\n".join(broken)


def _left_out(path: Path) -> bool:
    hidden = any(part.startswith(".") and part != ".ci" for part in path.parts)
    return hidden or bool({"build", "dist", "__pycache__"} & set(path.parts))
