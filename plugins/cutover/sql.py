"""Statements live in files under ``include/sql``; this module finds and composes them."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from psycopg import sql


def include_root() -> Path:
    """The deployment's ``include`` folder: ``CUTOVER_INCLUDE`` if set, else the one beside ``plugins``."""
    configured = os.environ.get("CUTOVER_INCLUDE")
    return Path(configured) if configured else Path(__file__).resolve().parents[2] / "include"


@lru_cache(maxsize=512)
def text(path: str) -> str:
    """The text of ``include/sql/<path>``. Raises FileNotFoundError for a file that is not there."""
    return (include_root() / "sql" / path).read_text(encoding="utf-8")


def statement(path: str, **identifiers: str | sql.Composable) -> sql.Composed:
    """Compose ``include/sql/<path>``: each ``{name}`` in it becomes a quoted identifier.

    A plain string is taken as one identifier; pass ``sql.Identifier("schema", "table")`` for a qualified name
    and any other ``Composable`` as it is. Literal braces are doubled in the file. Values never go in here:
    they are parameters of ``execute``.
    """
    # The text is the repository's own file, not input.
    template = sql.SQL(text(path))
    return template.format(
        **{name: sql.Identifier(value) if isinstance(value, str) else value for name, value in identifiers.items()}
    )


def files(folder: str, pattern: str = "*.sql") -> list[str]:
    """Paths, relative to ``include/sql``, of the files of a folder, in name order."""
    root = include_root() / "sql"
    return sorted(str(path.relative_to(root)) for path in (root / folder).glob(pattern))
