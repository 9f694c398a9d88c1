"""The incoming tables made equal to production's in all but their rows, before any production lock is taken.

Everything here can be run again: what is there and right is left alone, what differs is dropped and made anew.
A table fresh from its load gets everything; a table that comes back from a backup only what changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from cutover import catalog
from cutover import sql as files
from cutover.swap import capture, locks
from cutover.swap.locks import Log
from cutover.swap.scope import Scope, SwappedTable


def create_shell(connection: psycopg.Connection, schema: str, table: str, incoming_schema: str) -> None:
    """Create ``incoming_schema``.``table`` empty, in the shape of production's ``schema``.``table``.

    Columns, defaults, generated expressions, storage; no keys, no indexes: those come after the load. An
    earlier one is dropped. The session's search_path is empty afterwards.
    """
    connection.execute("set search_path = ''")
    connection.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(incoming_schema, table)))
    name = sql.Identifier(schema, table).as_string()
    found = connection.execute("select to_regclass(%s)::oid", (name,)).fetchone()
    assert found is not None
    for row in catalog.rows(connection, "shell", production=found[0], incoming_schema=incoming_schema):
        connection.execute(row["statement"])


def dress(connection: psycopg.Connection, scope: Scope, log: Log = lambda _: None) -> int:
    """Give every incoming table production's keys, indexes, policies, triggers, grants, and the rest.

    ``connection`` must be in autocommit: each statement is its own transaction, so that no lock on a live table
    is held while an index is built; only the grants of a table, which lock none, go together. Triggers stay switched
    off until the swap. Foreign keys come last, when every table of the set has its keys. Returns the number of
    statements run.
    """
    ran = 0
    pairs = [table for table in scope.tables if table.outgoing is not None and table.incoming is not None]
    for path in files.files("catalog/dress"):
        aspect = path.removeprefix("catalog/").removesuffix(".sql")
        for table in pairs:
            ran += _run(connection, scope, aspect, table, log)
    capture.prepare(connection, [(scope.incoming_schema, t.name) for t in scope.tables if t.incoming is not None])
    for table in pairs:
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier(scope.incoming_schema, table.name)))
    return ran


def _run(connection: psycopg.Connection, scope: Scope, aspect: str, table: SwappedTable, log: Log) -> int:
    # An expression may name another table of the set. Rendered with the production schemas in the search_path,
    # that name is bare; executed with the incoming schema in front, it means the incoming table.
    rebinds = aspect.endswith("policies")
    with _search_path(connection, _production_schemas(scope) if rebinds else []):
        statements = catalog.rows(
            connection,
            aspect,
            production=table.outgoing,
            incoming=table.incoming,
            tables=scope.outgoing,
            merged=list(scope.merged),
            incoming_schema=scope.incoming_schema,
        )
    if aspect.endswith("grants"):
        # Revoked and granted at once: a kill in between would leave a table on which its owner may do nothing, and
        # with the owner whoever dresses it next. It is only the incoming table that this locks.
        with connection.transaction():
            for statement in statements:
                connection.execute(statement["statement"])
        return len(statements)
    with _search_path(connection, [scope.incoming_schema, *_production_schemas(scope)] if rebinds else []):
        for statement in statements:
            # a foreign key to a live table takes a lock on it
            locks.patiently(connection, statement["statement"], log)
    return len(statements)


def build_materialized_views(connection: psycopg.Connection, scope: Scope) -> list[int]:
    """Build every materialized view that reads a swapped table over the incoming ones.

    Returns the oids of the live views, in the order built. ``connection`` must be in autocommit.
    """
    views = scope.bound("materialized view", "direct")
    for row in catalog.rows(connection, "earlier_materialized_views", incoming_schema=scope.incoming_schema):
        connection.execute(row["statement"])
    # one materialized view may read another, which lies where it likes
    lie_in = connection.execute(
        "select distinct n.nspname from pg_catalog.pg_class as c join pg_catalog.pg_namespace as n "
        "on n.oid = c.relnamespace where c.oid = any(%s) order by 1",
        (views,),
    ).fetchall()
    schemas = list(dict.fromkeys([*_production_schemas(scope), *(row[0] for row in lie_in)]))
    for oid in views:
        with _search_path(connection, schemas):
            statements = catalog.rows(connection, "materialized_view", view=oid, incoming_schema=scope.incoming_schema)
        with _search_path(connection, [scope.incoming_schema, *schemas]):
            for statement in statements:
                connection.execute(statement["statement"])
        name = connection.execute("select relname from pg_catalog.pg_class where oid = %s", (oid,)).fetchone()
        assert name is not None
        incoming = connection.execute(
            "select to_regclass(%s)::oid", (sql.Identifier(scope.incoming_schema, name[0]).as_string(),)
        ).fetchone()
        assert incoming is not None
        for row in catalog.rows(connection, "dress/90_grants", production=oid, incoming=incoming[0]):
            connection.execute(row["statement"])
    return views


def _production_schemas(scope: Scope) -> list[str]:
    return list(dict.fromkeys(table.schema for table in scope.tables))


@contextmanager
def _search_path(connection: psycopg.Connection, schemas: list[str]) -> Iterator[None]:
    path = ", ".join(sql.Identifier(schema).as_string() for schema in schemas)
    connection.execute("select set_config('search_path', %s, false)", (path,))
    try:
        yield
    finally:
        connection.execute("select set_config('search_path', '', false)")


def strip_triggers(connection: psycopg.Connection, scope: Scope) -> None:
    """Switch off the triggers of tables that lie in a backup, so that carried writes do not fire them again."""
    for table in scope.tables:
        if table.outgoing is not None and table.incoming is not None:
            connection.execute(
                sql.SQL("alter table {} disable trigger user").format(sql.Identifier(scope.incoming_schema, table.name))
            )
