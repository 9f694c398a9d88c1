"""Digests of the files that decide what a run does, and what a migration's swap reads: taken from the files themselves.

Statements are digested as they are held in memory, which is as they are run: a deploy in the middle of a task changes
neither.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from cutover.database import statements as files


def engine() -> str:
    """SHA-256 over the engine's own code and statements."""
    root = Path(__file__).resolve().parents[1]
    code = [(f"cutover/{path.relative_to(root)}", path.read_bytes()) for path in sorted(root.rglob("*.py"))]
    return _digest([*code, *_texts(files.engine_files())])


def of_migration(migration: str) -> str:
    """SHA-256 over the migration's declaration, statements and suites."""
    statements = [*files.files(migration, "**/*.sql"), *files.files(migration, "**/*.yaml")]
    folder = files.include_root() / "expectations" / migration
    suites = [
        (f"expectations/{path.relative_to(folder)}", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return _digest([*_texts(statements), *suites])


def _texts(paths: Iterable[str]) -> list[tuple[str, bytes]]:
    return [(path, files.text(path).encode()) for path in paths]


def _digest(contents: Iterable[tuple[str, bytes]]) -> str:
    total = hashlib.sha256()
    for path, content in contents:
        total.update(f"{hashlib.sha256(content).hexdigest()}  {path}\n".encode())
    return total.hexdigest()


def reads(migration: str, staged: Iterable[str]) -> list[tuple[str, str]]:
    """(schema, name) of whatever the migration's ``swap`` files name in ``input``, ``raw``, ``cutover`` or ``staging``.

    Without the staged tables, and without the engine's records: a run adds to those while it waits. Functions are among
    them; whoever asks looks which are tables.
    """
    from sqlglot import TokenType, tokenize

    names: set[tuple[str, str]] = set()

    def look(text: str) -> None:
        tokens = tokenize(text, read="postgres")
        for one in tokens:
            if one.token_type in (TokenType.HEREDOC_STRING, TokenType.STRING) and "." in one.text:
                look_safely(one.text)
        for schema, dot, name in zip(tokens, tokens[1:], tokens[2:], strict=False):
            if dot.token_type is TokenType.DOT and _name(schema) in ("input", "raw", "cutover", "staging"):
                names.add((_name(schema), _name(name)))

    def look_safely(text: str) -> None:
        from sqlglot.errors import TokenError

        try:
            look(text)
        except TokenError:  # a text that is no statement
            return

    def _name(token: object) -> str:
        quoted = token.token_type is TokenType.IDENTIFIER  # type: ignore[attr-defined]
        text: str = token.text  # type: ignore[attr-defined]
        return text if quoted else text.lower()

    for path in files.files(f"{migration}/swap"):
        look(files.text(path))
    return sorted(names - {("staging", name) for name in staged} - {("cutover", name) for name in _records()})


def _records() -> set[str]:
    """The tables that the engine writes its records into."""
    pattern = re.compile(r"create table if not exists cutover\.(\w+)", re.IGNORECASE)
    return {name for path in files.files("ledger") for name in pattern.findall(files.text(path))}
