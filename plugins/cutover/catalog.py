"""Runs the catalogue queries of ``include/sql/catalog`` and hands out their rows by name."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover import sql as files

Row = dict[str, Any]


def rows(connection: psycopg.Connection, query: str, /, **parameters: Any) -> list[Row]:
    """Rows of ``include/sql/catalog/<query>.sql``. Braces and percent signs are doubled in the file."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement(f"catalog/{query}.sql"), parameters).fetchall()


def prepared_rows(connection: psycopg.Connection, query: str, /, **parameters: Any) -> list[Row]:
    """The same; the server keeps the plan, so that the next call on this connection does not wait for one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement(f"catalog/{query}.sql"), parameters, prepare=True).fetchall()
