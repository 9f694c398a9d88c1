"""Rows of each table before and after a launch, and how many of them are added, removed and changed."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.migration import Migration
from cutover.swap.scope import Scope
from cutover.transform import SCHEMA


def of_tables(connection: psycopg.Connection, scope: Scope, migration: Migration) -> list[dict[str, Any]]:
    tables = []
    for row in catalog.rows(connection, "changes", replaced=scope.replaced, incoming_schema=SCHEMA):
        counts = connection.execute(row["statement"].encode()).fetchone()
        assert counts is not None
        before, after, both, changed = counts
        tables.append(
            {
                "name": row["object"],
                "before": before,
                "after": after,
                "added": after - both,
                "removed": before - both,
                "changed": changed,
            }
        )
    for table in scope.tables:
        if table.outgoing is None:
            after = catalog.count(connection, sql.Identifier(SCHEMA, table.name))
            tables.append({"name": table.name, "before": 0, "after": after, "added": after, "removed": 0, "changed": 0})
    for staged, live in migration.merge.items():
        schema, _, name = live.partition(".")
        before = catalog.count(connection, sql.Identifier(schema, name))
        added = _new_rows(connection, staged, schema, name)
        tables.append(
            {"name": live, "before": before, "after": before + added, "added": added, "removed": 0, "changed": 0}
        )
    return tables


def _new_rows(connection: psycopg.Connection, staged: str, schema: str, table: str) -> int:
    row = connection.execute(
        files.statement(
            "review/new_rows.sql", staged=sql.Identifier(SCHEMA, staged), live=sql.Identifier(schema, table)
        )
    ).fetchone()
    return int(row[0]) if row else 0
