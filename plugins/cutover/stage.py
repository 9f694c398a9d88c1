"""Transform: staging tables loaded one by one in foreign-key order, then given their keys.

``prepare`` runs the migration's intermediate steps, ``load`` one staging table (or the step that closes a circle
of foreign keys), ``add_keys`` everything that is cheaper after the load. Each is one transaction or can be run
again from its start.
"""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
from psycopg import sql

from cutover import catalog, run, transform
from cutover import sql as files
from cutover.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.swap import preparation, scope

SCHEMA = "staging"


def prepare(connect: Connect, migration: Migration, this_run: str, log: Log) -> None:
    """Empty the schema ``staging`` and run the migration's folder ``prepare`` in name order."""
    with opened(connect) as connection:
        connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(SCHEMA)))
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(SCHEMA)))
        # A table keeps its owner when it moves, and that owner must be allowed to create where the table is.
        for row in catalog.rows(
            connection, "owner_grants", outgoing=_production_oids(connection, migration), schemas=[SCHEMA]
        ):
            connection.execute(row["statement"])
    for path in files.files(f"{migration.migration}/prepare"):
        began = time.monotonic()
        with opened(connect) as connection:
            connection.execute(files.text(path).encode(), {"run": this_run})
        log(f"{Path(path).stem}: {time.monotonic() - began:.1f} s")


def load(connect: Connect, migration: Migration, this_run: str, *, step: str, statement: str, log: Log) -> int:
    """Create the staging table of ``step`` without keys and fill it by ``statement``. Returns the rows staged.

    A step ``<table>.<column>`` closes a circle of foreign keys and only runs its statement. Raises CutoverError
    ``transform.empty`` when nothing was staged.
    """
    table = step.split(".", maxsplit=1)[0]
    began = time.monotonic()
    with opened(connect) as connection:
        if step == table:
            _create(connection, migration, table)
        rows = connection.execute(statement.encode(), {"run": this_run}).rowcount
        if step == table and rows == 0 and table not in migration.may_be_empty:
            raise CutoverError(
                "transform.empty",
                f"{SCHEMA}.{table}",
                "the transformation staged no row: after a swap production's table would be empty.",
                "look at the run's input: an extraction that found nothing is the usual cause. Start a new run then.",
            )
    seconds = time.monotonic() - began
    log(f"{SCHEMA}.{step}: {rows:,} rows in {seconds:.1f} s ({rows / max(seconds, 0.001):,.0f} rows/s)")
    return rows


def _create(connection: psycopg.Connection, migration: Migration, table: str) -> None:
    if (migration.target_schema, table) in _predecessors(connection, migration):
        preparation.create_shell(connection, migration.target_schema, table, SCHEMA)
        connection.execute("reset search_path")
        return
    connection.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(SCHEMA, table)))
    create, *others = transform.split_foreign_keys(_ddl(migration, table))[0]
    connection.execute(create.encode())
    # Default privileges may have opened the new table to others; what its DDL grants comes after this.
    for row in catalog.rows(connection, "new_table_grants", name=f"{SCHEMA}.{table}"):
        connection.execute(row["statement"])
    for statement in others:
        connection.execute(statement.encode())


def add_keys(connect: Connect, migration: Migration, this_run: str, log: Log) -> None:
    """Keys, indexes, foreign keys, policies, triggers, grants: all that production's tables have, and statistics."""
    began = time.monotonic()
    with opened(connect, autocommit=True) as connection:
        found = scope.read(
            connection,
            migration.swapped_tables(),
            incoming_schema=SCHEMA,
            backup_schema=SCHEMA,
            merged=migration.merged_tables(),
        )
        statements = preparation.dress(connection, found)
        connection.execute("reset search_path")
        new = [table.name for table in found.tables if table.outgoing is None]
        for table in [*new, *migration.merge]:
            statements += _add_declared_keys(connection, found, migration, table)
    with opened(connect) as connection:
        row = connection.execute("select pg_current_xact_id()::text, clock_timestamp()").fetchone()
        assert row is not None
        run.note(connection, this_run, staged_xid=row[0], staged_at=row[1])
    log(f"{statements} keys, indexes, policies, triggers and grants in {time.monotonic() - began:.1f} s")


def _add_declared_keys(connection: psycopg.Connection, found: scope.Scope, migration: Migration, table: str) -> int:
    """Foreign keys of a table that production does not have, as its DDL declares them; and the set's own owner."""
    name = f"{SCHEMA}.{table}"
    statements = transform.split_foreign_keys(_ddl(migration, table))[1]
    for statement in statements:
        connection.execute(statement.encode())
    if table not in migration.merge:
        for row in catalog.rows(connection, "new_table_owner", name=name, outgoing=found.outgoing):
            connection.execute(row["statement"])
    connection.execute(sql.SQL("analyze {}").format(sql.Identifier(SCHEMA, table)))
    return len(statements)


def _ddl(migration: Migration, table: str) -> str:
    return files.text(f"{migration.migration}/staging/{table}.sql")


def _predecessors(connection: psycopg.Connection, migration: Migration) -> set[tuple[str, str]]:
    return {
        (schema, table)
        for schema, table in migration.swapped_tables()
        if connection.execute("select to_regclass(%s)", (sql.Identifier(schema, table).as_string(),)).fetchone()
        != (None,)
    }


def _production_oids(connection: psycopg.Connection, migration: Migration) -> list[int]:
    names = [sql.Identifier(schema, table).as_string() for schema, table in migration.swapped_tables()]
    found = connection.execute("select to_regclass(n)::oid from unnest(%s::text[]) as n", (names,)).fetchall()
    return [row[0] for row in found if row[0] is not None]
