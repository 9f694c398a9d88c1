"""Columns that the application has added to a table of the set since the migration was written.

A feature may add a nullable column, or one with a default, on any day; that must not stop the next launch. The
migration's statements do not know it: rows that stay keep what is in it, by primary key, and new ones get its default.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration import Migration, load_order

# Of the copies in `input`: the table's name follows.
PREFIX = "added_"


def columns(connection: psycopg.Connection, migration: Migration, table: str) -> list[catalog.Row]:
    """What production's ``table`` has beyond the declared columns: ``name``, ``is_filled``, ``is_possible``."""
    declared = load_order.columns(files.text(f"{migration.migration}/staging/{table}.sql"))
    return catalog.rows(connection, "added_columns", table=_live(migration, table), declared=list(declared))


def keep(connection: psycopg.Connection, migration: Migration) -> dict[str, list[str]]:
    """Copy them into ``input``, as the caller's snapshot has them. Returns all columns of each table that there is."""
    members = {}
    for schema, table in migration.swapped_tables():
        if table in migration.retire:
            continue
        members[table] = _names(connection, _live(migration, table))
        own = [row["name"] for row in columns(connection, migration, table) if row["is_filled"]]
        if members[table] and own:
            listed = sql.SQL(", ").join(map(sql.Identifier, [*_key(connection, migration, table), *own]))
            copy, live = sql.Identifier("input", PREFIX + table), sql.Identifier(schema, table)
            connection.execute(files.statement("freeze/added.sql", copy=copy, columns=listed, live=live))
    return {table: names for table, names in members.items() if names}


def fill(connection: psycopg.Connection, migration: Migration, table: str, frozen: list[str] | None) -> None:
    """Give the rows of ``staging.<table>`` what was kept. ``frozen`` are the columns of the freeze, if it was there.

    Raises CutoverError ``load_order.columns-changed`` if production has got or lost a column since.
    """
    staged = sql.Identifier("staging", table)
    now = _names(connection, staged.as_string())
    own = [row["name"] for row in columns(connection, migration, table) if row["is_filled"]]
    if now != frozen and (frozen is not None or own):
        differing = sorted({*now} ^ {*(frozen or [])})
        raise CutoverError(
            "transform.columns-changed",
            f"{migration.target_schema}.{table}",
            f"its columns have changed since the freeze ({', '.join(differing) or 'their order'}): what is in them was "
            "not copied.",
            "trigger a new run.",
        )
    if not own:
        return
    connection.execute(
        files.statement(
            "stage/fill_added.sql",
            staged=staged,
            copy=sql.Identifier("input", PREFIX + table),
            own=sql.SQL(", ").join(map(sql.Identifier, own)),
            kept=sql.SQL(", ").join(sql.Identifier("a", name) for name in own),
            same_row=sql.SQL(" and ").join(
                sql.SQL("{} = {}").format(sql.Identifier("s", name), sql.Identifier("a", name))
                for name in _key(connection, migration, table)
            ),
        )
    )


def _live(migration: Migration, table: str) -> str:
    return sql.Identifier(migration.target_schema, table).as_string()


def _names(connection: psycopg.Connection, table: str) -> list[str]:
    rows = connection.execute(files.statement("catalog/columns.sql"), {"table": table}).fetchall()
    return [row[0] for row in rows]


def _key(connection: psycopg.Connection, migration: Migration, table: str) -> list[str]:
    return [row["name"] for row in catalog.rows(connection, "key_columns", table=_live(migration, table))]
