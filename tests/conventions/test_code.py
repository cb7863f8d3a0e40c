"""How the code is written: names, package maps, errors that are not swallowed."""

from __future__ import annotations

import ast

from tests.conventions.source import Source, report

VAGUE = {"utils", "util", "common", "helpers", "helper", "manager", "managers", "base", "misc"}
MAP_LIMIT = 30
BROAD = {"Exception", "BaseException"}
# What a package's __init__ may hold beside its map.
PLAIN = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)


def test_no_module_has_a_name_that_says_nothing(sources: list[Source]) -> None:
    broken = [
        f"{source.file}:1: the name says nothing: call it after the noun it is about"
        for source in sources
        if VAGUE & set(source.module.split("."))
    ]
    assert not broken, report(broken)


def test_every_package_opens_with_a_map_of_at_most_30_lines(product: list[Source]) -> None:
    broken = []
    for source in product:
        if source.path.name == "__init__.py":
            said = ast.get_docstring(source.tree) or ""
            if not 0 < len(said.splitlines()) <= MAP_LIMIT:
                broken.append(f"{source.file}:1: its docstring is no map of 1 to {MAP_LIMIT} lines")
    assert not broken, report(broken)


def test_no_package_init_holds_logic(product: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: logic in a package's __init__: move it to a module of its own"
        for source in product
        if source.path.name == "__init__.py"
        for node in source.tree.body[1:]
        if not isinstance(node, PLAIN)
    ]
    assert not broken, report(broken)


def test_no_error_is_swallowed_unnamed(sources: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: a broad error is swallowed: name it, count it or let it go on"
        for source in sources
        for node in source.nodes()
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type) and does_nothing(node.body)
    ]
    assert not broken, report(broken)


def test_no_broad_error_is_suppressed(sources: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: suppress() of a broad error swallows everything: name the error"
        for source in sources
        for node in source.nodes()
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress") and any(map(is_broad, node.args))
    ]
    assert not broken, report(broken)


def is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(map(is_broad, caught.elts))
    return caught is None or (isinstance(caught, ast.Name) and caught.id in BROAD)


def does_nothing(body: list[ast.stmt]) -> bool:
    return all(
        isinstance(node, ast.Pass | ast.Continue)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for node in body
    )
