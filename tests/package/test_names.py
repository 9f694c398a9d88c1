"""Names say what a value is, and not what was done to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Participles that say nothing about the value: a row, lines and an answer were all `found` or `told` once.
EMPTY = {"found", "told", "seen", "kept"}


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a file gives to a value or a function, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name, node.lineno


@pytest.mark.parametrize("folder", ["plugins", "include", "dags"])
def test_values_are_named_by_what_they_are(folder: str) -> None:
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    empty = [
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in files
        for name, line in names(ast.parse(path.read_text(encoding="utf-8")))
        if name in EMPTY
    ]
    assert empty == []
