"""The engine's own warnings: what a launch will do that no query of the migration can know of."""

from __future__ import annotations

from typing import Any

import psycopg

from cutover.database import catalog
from cutover.database import statements as files
from cutover.migration import Migration
from cutover.records import run
from cutover.review.sections import Section
from cutover.swap.scope import Scope


def named_by_identity(connection: psycopg.Connection, scope: Scope) -> list[dict[str, Any]]:
    """Values of type regclass in rows: they would go on naming the old tables, which only their owner can judge."""
    rows: list[list[Any]] = []
    for row in catalog.rows(connection, "regclass_values", tables=[*scope.outgoing, *scope.rebuilt]):
        counted = connection.execute(row["statement"].encode()).fetchone()
        if counted is not None and counted[0]:
            rows.append([row["object"], counted[0]])
    title = (
        "Rows that name a table by its identity (regclass) and will name the old one: set them anew after the launch"
    )
    if not rows:
        return []
    total = sum(count for _, count in rows)
    return [Section("regclass_values", title, total, ["column", "rows"], ["rows"], rows).as_dict()]


def taken_back(connection: psycopg.Connection, migration: Migration) -> list[dict[str, Any]]:
    """Writes that a launch from the sources does not have, because a rollback has taken their tables away."""
    cursor = connection.execute(files.statement("review/taken_back.sql"), {"migration": migration.migration})
    rows = [list(row) for row in cursor]
    if not rows:
        return []
    title = (
        f"Writes that are in {rows[0][4]} alone, since {rows[0][3]} has taken their tables back: to keep them, "
        "take back that rollback first, and launch then"
    )
    columns = ["table", "operation", "writes", "taken back by", "backup"]
    total = sum(writes for _, _, writes, _, _ in rows)
    return [Section("taken_back", title, total, columns, ["writes"], rows).as_dict()]


def unrehearsed(row: run.Run, rehearsal: dict[str, Any] | None) -> list[dict[str, Any]]:
    """That the swap has not been rehearsed, with the reason. ``rehearsal`` is what is on record of it."""
    if rehearsal is not None:
        why = rehearsal["reason"]
    else:
        why = "the parameter `rehearse` is off" if "rehearse" in row.parameters else None
    title = "Swap that was not rehearsed: its first time on these tables will be the real one"
    return [Section("unrehearsed", title, 1, ["why"], [], [[why]]).as_dict()] if why else []
