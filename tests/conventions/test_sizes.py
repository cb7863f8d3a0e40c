"""The budget is on the tail: what is longer is reported at the end of the run, what is much longer fails."""

from __future__ import annotations

import ast

from tests.conventions.source import Function, Source, report

FILE_BUDGET, FILE_LIMIT = 250, 400
FUNCTION_LIMIT = 60
NESTING_LIMIT = 4
POSITIONAL_LIMIT = 3

BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def test_no_file_is_longer_than_its_limit(sources: list[Source], over_budget: list[str]) -> None:
    lengths = {source.file: len(source.text.splitlines()) for source in sources}
    over_budget.extend(
        f"{file} has {lines} lines, the budget is {FILE_BUDGET}"
        for file, lines in lengths.items()
        if lines > FILE_BUDGET
    )
    broken = [
        f"{file}:{lines}: has {lines} lines, the limit is {FILE_LIMIT}: split it by noun"
        for file, lines in lengths.items()
        if lines > FILE_LIMIT
    ]
    assert not broken, report(broken)


def test_no_function_is_longer_than_its_limit(sources: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: {node.name} has {length(node)} lines, the limit is {FUNCTION_LIMIT}"
        for source in sources
        for node in source.functions()
        if length(node) > FUNCTION_LIMIT
    ]
    assert not broken, report(broken)


def test_no_function_nests_deeper_than_its_limit(sources: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: {node.name} nests {depth(node)} blocks, the limit is {NESTING_LIMIT}"
        for source in sources
        for node in source.functions()
        if depth(node) > NESTING_LIMIT
    ]
    assert not broken, report(broken)


def test_no_function_takes_more_positional_parameters_than_its_limit(product: list[Source]) -> None:
    broken = [
        f"{source.place(node)}: {node.name} takes {positional(node)} positional parameters, the limit is "
        f"{POSITIONAL_LIMIT}: make the rest keyword-only"
        for source in product
        for node in source.functions()
        if positional(node) > POSITIONAL_LIMIT
    ]
    assert not broken, report(broken)


def length(node: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    said = node.body[0] if ast.get_docstring(node) is not None else None
    return lines(node) - (lines(said) if said else 0)


def lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def depth(node: ast.AST) -> int:
    """Blocks in blocks; `elif` is no deeper than its `if`, and a nested function begins anew."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, Function | ast.ClassDef | ast.Lambda):
            deepest = max(deepest, depth(child) + (isinstance(child, BLOCKS) and not is_elif(node, child)))
    return deepest


def is_elif(node: ast.AST, child: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]


def positional(node: Function) -> int:
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    # Dunder signatures are the language's (`__aexit__` has three after self).
    return len(names) - (names[:1] in (["self"], ["cls"]))
