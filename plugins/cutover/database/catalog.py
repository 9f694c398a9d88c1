"""Runs the catalogue queries of ``plugins/cutover/sql/catalog`` and hands out their rows by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.errors import CutoverError

Row = dict[str, Any]

# Ways of PostgreSQL's planner that read a catalogue whole, for a few dozen of its objects. In a catalogue that was just
# made they look cheap; in one of ten thousand tables clients would wait for them.
_WHOLE = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material", "enable_memoize")


@contextmanager
def by_index(connection: psycopg.Connection) -> Iterator[None]:
    """Plans that the server makes, and keeps, within the block look rows up by index."""
    rows(connection, "by_index", names=list(_WHOLE), are_off=True)
    yield
    # after an error the session ends, or its transaction, and with either what was set in it
    rows(connection, "by_index", names=list(_WHOLE), are_off=False)


def rows(connection: psycopg.Connection, query: str, /, **parameters: Any) -> list[Row]:
    """Rows of ``plugins/cutover/sql/catalog/<query>.sql``. Braces and percent signs are doubled in the file.

    Raises CutoverError ``swap.unreadable-definition`` where a query composes a statement and could not: it knows how
    PostgreSQL writes a definition, letter by letter, and found another.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(files.statement(f"catalog/{query}.sql"), parameters).fetchall()
    for row in rows:
        if row.get("statement", "") is None:
            raise CutoverError(
                "swap.unreadable-definition",
                str(row["object"]),
                f"this PostgreSQL writes its definition in a way that the engine does not know (catalog/{query}.sql).",
                "drop it for the time of the swap and make it again afterwards; and report it.",
            )
    return rows


def prepared_rows(connection: psycopg.Connection, query: str, /, **parameters: Any) -> list[Row]:
    """The same; the server keeps the plan, so that the next call on this connection does not wait for one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement(f"catalog/{query}.sql"), parameters, prepare=True).fetchall()


def oids(connection: psycopg.Connection, tables: Iterable[sql.Identifier]) -> list[int | None]:
    """Of each table, in the order given; None for one that is not there."""
    names = [table.as_string() for table in tables]
    return [row["oid"] for row in rows(connection, "oids", names=names)]


def count(connection: psycopg.Connection, table: sql.Identifier) -> int:
    """Rows of a table, as the connection's transaction sees them."""
    row = connection.execute(files.statement("catalog/count.sql", table=table)).fetchone()
    assert row is not None  # an aggregate has a row
    return int(row[0])


def schema_size(connection: psycopg.Connection, schema: str) -> int:
    """Bytes of all tables and materialized views of a schema, with their indexes."""
    row = connection.execute(files.statement("catalog/schema_size.sql"), {"schema": schema}).fetchone()
    assert row is not None  # an aggregate has a row
    return int(row[0])
