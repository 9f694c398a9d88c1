"""SQL is in files: none that reads or changes rows is written in Python. docs/architecture.md says what may be."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

# Wherever in a text: a query of rows, or a change of some. A call of functions alone (`select clock_timestamp()`) has
# no `from`.
_OF_ROWS = re.compile(
    r"(?<!grant )(?<!revoke )\bselect\b[^;]*\bfrom\b|\bjoin\b.*\bon\b"
    r"|\binsert\s+into\b|\bdelete\s+from\b|\bmerge\s+into\b"
    r"|^\s*(update|with|values|table)\b.*\b(set|as|\()\b",
    re.DOTALL,
)


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every string in code, with {} for what is put into it; not of what describes the code."""
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, described) and _has_doc(node)}
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values),
            )
        elif isinstance(node, ast.Constant) and id(node) not in docs | parts:
            if isinstance(node.value, str):
                yield node.lineno, node.value
            elif isinstance(node.value, bytes):
                yield node.lineno, node.value.decode("latin1")


def _has_doc(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr)


@pytest.mark.parametrize("package", ["plugins/cutover", "include/mula_platform"])
def test_what_reads_or_changes_rows_is_in_a_file(repository: Path, package: str) -> None:
    values = [
        f"{path.relative_to(repository)}:{line}: {text[:80]}"
        for path in sorted((repository / package).rglob("*.py"))
        for line, text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        if _OF_ROWS.search(text)
    ]
    assert not values, "\n".join(values)


def test_the_rule_sees_sql_however_it_is_written() -> None:
    statements = (
        'execute("select a from b")', 'x = f"delete from {name}"', 'SQL("insert into {} values (1)")',
        'x = b"update a set b = 1"', 'SQL("copy (select {} from {}) to stdout")', 'x = ("select a "\n"from b")',
        'x = "with a as (select 1) select 2"',
    )  # fmt: skip
    for code in statements:
        assert any(_OF_ROWS.search(text) for _, text in _texts(ast.parse(code))), code
    for code in ('execute("select clock_timestamp()")', 'SQL("analyze {}")', 'execute("set local row_security = off")'):
        assert not any(_OF_ROWS.search(text) for _, text in _texts(ast.parse(code))), code
