"""From a production row back to the API responses that it was made of.

Each migration says in ``include/sql/<migration>/why/<table>.sql`` which raw rows a row of that table comes from:
one statement whose parameter ``$1`` is the row's id as text, and which returns ``raw_table``, ``raw_id`` and
``role``. They are kept in the database, so that ``select * from cutover.why('transactions', '...')`` works wherever
someone has a SQL prompt and a question. What is asked here goes by the files, and cannot write.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

import psycopg
from psycopg.rows import class_row

from cutover.database import statements as files
from cutover.errors import CutoverError


@dataclass(frozen=True)
class Origin:
    """One API response behind a row. ``request`` is path and query; ``api_response`` the row as the API sent it."""

    role: str
    raw_table: str
    raw_id: str
    sync_id: int
    page_no: int
    request: str | None
    fetched_at: datetime
    gone_at: datetime | None
    api_response: Any


def install_lineage(connection: psycopg.Connection[Any], migration: str) -> None:
    """Bring ``cutover.lineage`` up to the files of ``migration``. Takes part in the caller's transaction.

    Only the engine's role may: for another, which syncs by hand, it stays as it is.
    """
    if connection.execute("select has_table_privilege('cutover.lineage', 'INSERT')").fetchone() != (True,):
        return
    keep = files.text("extract/keep_lineage.sql").encode()
    for path in files.files(f"{migration}/why"):
        table = PurePath(path).stem
        connection.execute(keep, {"table_name": table, "migration": migration, "statement": files.text(path)})


def why(connection: psycopg.Connection[Any], table: str, row_id: str) -> list[Origin]:
    """The responses behind row ``row_id`` of production table ``table``; none for a row that only production knows.

    Raises CutoverError ``why.unknown-table`` or ``why.not-an-id``.
    """
    statement = files.text("extract/why.sql").encode()
    lineage = _lineage(connection, table)
    try:
        with connection.transaction(), connection.cursor(row_factory=class_row(Origin)) as cursor:
            return cursor.execute(statement, {"lineage": lineage, "id": row_id}).fetchall()
    except psycopg.errors.InvalidTextRepresentation as error:
        raise CutoverError(
            "why.not-an-id", f"table {table}, id {row_id!r}", f"{error.diag.message_primary}.", "use the row's id."
        ) from error


def _lineage(connection: psycopg.Connection[Any], table: str) -> str:
    """The statement for ``table``, from its migration's folder."""
    name = table.rpartition(".")[2]
    row = connection.execute(files.statement("extract/migration_of.sql"), {"table_name": name}).fetchone()
    path = f"{row[0]}/why/{name}.sql" if row else ""
    if not row or path not in files.files(f"{row[0]}/why"):
        raise CutoverError(
            "why.unknown-table",
            f"table {table}",
            f'nothing is known about the origin of table "{table}".',
            "use a table that is listed in cutover.lineage.",
        )
    return files.text(path)
