"""Write capture: what the application writes to the tables of a set, from before the freeze on."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
from psycopg import sql

from cutover import catalog


def install(connection: psycopg.Connection, tables: Iterable[tuple[str, str]]) -> None:
    """Record every write to the given (schema, table) names from the commit of this transaction on.

    Doing so again changes nothing. Takes a SHARE ROW EXCLUSIVE lock on each table: it waits for the writers of
    the moment, and writers wait for it, as long as the caller's lock_timeout allows.
    """
    _put(connection, tables, "enable always")


def prepare(connection: psycopg.Connection, tables: Iterable[tuple[str, str]]) -> None:
    """Give tables that are still to come the triggers of the capture, switched off until the swap."""
    _put(connection, tables, "disable")


def _put(connection: psycopg.Connection, tables: Iterable[tuple[str, str]], enabled: str) -> None:
    names = [sql.Identifier(schema, table).as_string() for schema, table in tables]
    for row in catalog.rows(connection, "capture", names=names, enabled=enabled):
        connection.execute(row["statement"])


def pending(connection: psycopg.Connection, tables: list[int], since: str, except_xid: str | None = None) -> int:
    """How many captured writes of the tables (oids) the snapshot ``since`` does not see."""
    found = connection.execute(
        "select coalesce(sum(changes), 0) from cutover.pending(%s::oid[], %s::pg_snapshot, %s::xid8)",
        (tables, since, except_xid),
    ).fetchone()
    return int(found[0]) if found else 0
