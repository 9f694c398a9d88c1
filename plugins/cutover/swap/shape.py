"""The columns of a table that comes back, made what production's are by now: applications are deployed after a launch.

What was added, renamed, widened, dropped or may be null since is done to the backup too, where nobody is in its way. No
row is written anew, and nothing there is lost by it: where a column goes, the table is kept whole beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from cutover.database import catalog, patience
from cutover.database.connect import Log
from cutover.errors import CutoverError
from cutover.records import WHOLE
from cutover.swap.order import Order, read_undoing
from cutover.swap.scope import Scope, SwappedTable

# In the report of an entry: the columns of each table that it has put in place, and of the one before, by number.
REPORTED = "columns"


@dataclass(frozen=True)
class Change:
    """What was done to a column of production since: ``object`` is the column, ``change`` says what."""

    object: str
    change: str


def placed(connection: psycopg.Connection, scope: Scope) -> dict[str, dict[str, dict[str, str]]]:
    """Table → ``placed`` and ``kept`` → number → name of each column.

    Of the tables that are about to be put in place, and of those that go to the backup for them.
    """
    pairs = [table for table in scope.tables if table.outgoing is not None and table.incoming is not None]
    oids = [oid for table in pairs for oid in (table.incoming, table.outgoing)]
    columns = {row["relid"]: row["columns"] for row in catalog.rows(connection, "placed_columns", tables=oids)}
    return {t.qualified: {"placed": columns[t.incoming], "kept": columns[t.outgoing]} for t in pairs}


def changes(connection: psycopg.Connection, order: Order, scope: Scope) -> list[Change]:
    """What was done to the columns of production's tables since the entry that a rollback takes back."""
    return [
        Change(row["object"], row["change"])
        for _, row in _changes(connection, order, scope)
        if row["change"] is not None
    ]


def follow(connection: psycopg.Connection, order: Order, scope: Scope, log: Log) -> int:
    """Do the same to the tables that come back. Returns how many statements that took; safe to repeat.

    ``connection`` must be in autocommit. Raises CutoverError ``rollback.column-refused`` where rows that come back do
    not fit into production's columns of today.
    """
    ran = 0
    for table, row in _changes(connection, order, scope):
        if row["ddl"] is None:
            continue
        try:
            patience.patiently(connection, row["ddl"], log)
        except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
            raise CutoverError(
                "rollback.column-refused",
                row["object"],
                f"rows of {order.incoming_schema}.{table.name} do not fit into this column as it is by now "
                f"({row['change']}): {error.diag.message_primary}.",
                "take that change of the column back; or correct those rows in the backup; then preview the rollback "
                "again.",
            ) from error
        log(f"{row['object']}{', ' if row['change'] else ''}{row['change'] or ''}: {row['ddl']}")
        ran += 1
    return ran


def _changes(
    connection: psycopg.Connection, order: Order, scope: Scope
) -> Iterator[tuple[SwappedTable, dict[str, Any]]]:
    """The changes of each table that comes back, in the order in which they can be followed.

    None where that entry is not the newest one, whose tables production's are; nor where it was made by a version of
    this engine that did not write down how they were then.
    """
    undoing = read_undoing(connection, order)
    if undoing.undone is None or undoing.placed is None or undoing.placed.run != undoing.undone.run:
        return
    reported: Mapping[str, Mapping[str, Any]] = undoing.placed.report.get(REPORTED, {})
    for table in scope.tables:
        if table.outgoing is None or table.incoming is None or table.qualified not in reported:
            continue
        for row in catalog.rows(
            connection,
            "shape_changes",
            production=table.outgoing,
            incoming=table.incoming,
            placed=Jsonb(reported[table.qualified]["placed"]),
            kept=Jsonb(reported[table.qualified]["kept"]),
            whole=WHOLE,
        ):
            yield table, row
