"""Transform: staging tables loaded one by one in foreign-key order, then given their keys.

``prepare`` runs the migration's intermediate steps, ``load`` one staging table (or the step that closes a circle
of foreign keys), ``add_keys`` everything that is cheaper after the load. Each is one transaction or can be run
again from its start.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

import psycopg
from psycopg import sql

from cutover.database import catalog, wal
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened, pin_search_path
from cutover.errors import CutoverError
from cutover.migration import Migration, added, load_order
from cutover.records import phase, run, workspace
from cutover.swap import fingerprint, owner, preparation, scope
from cutover.swap.pace import UNPACED, Pace

SCHEMA = "staging"


def prepare(connect: Connect, migration: Migration, this_run: str, log: Log, pace: Pace = UNPACED) -> None:
    """Empty the schema ``staging`` and run the migration's folder ``prepare`` in name order.

    ``pace`` waits for replicas before each file.
    """
    with opened(connect) as held:
        made_from = phase.require(held, migration, this_run, "prepare")
        since = wal.position(held)
        workspace.empty(connect, (SCHEMA,), log)
        with opened(connect) as connection:
            connection.execute(sql.SQL("create schema {}").format(sql.Identifier(SCHEMA)))
            # A table keeps its owner when it moves, and that owner must be allowed to create where the table is.
            for row in catalog.rows(
                connection, "owner_grants", outgoing=_production_oids(connection, migration), schemas=[SCHEMA]
            ):
                connection.execute(row["statement"])
        for path in files.files(f"{migration.migration}/prepare"):
            with opened(connect) as connection:
                pace.wait(connection)
                began, before = time.monotonic(), wal.position(connection)
                connection.execute(files.text(path).encode(), {"run": this_run})
                written = wal.written(connection, before)
            log(f"{Path(path).stem}: {time.monotonic() - began:.1f} s{wal.shown(written)}")
        phase.record(held, migration, this_run, "prepare", made_from, wal_bytes=wal.written(held, since))


def load(
    connect: Connect,
    migration: Migration,
    this_run: str,
    *,
    step: str,
    statement: str,
    log: Log,
    pace: Pace = UNPACED,
) -> int:
    """Create the staging table of ``step`` without keys and fill it by ``statement``. Returns the rows staged.

    ``pace`` waits for replicas before it is filled, and tells how far that is. A step ``<table>.<column>`` closes a
    circle of foreign keys and only runs its statement. Raises CutoverError ``transform.empty`` when nothing was staged.
    """
    table = step.split(".", maxsplit=1)[0]
    if step == table:
        # by itself: the table is made like production's, which is locked against changes of its columns for the time
        with opened(connect) as connection:
            made_from = phase.require(connection, migration, this_run, f"load.{step}")
            _create(connection, migration, table)
            phase.record(
                connection,
                migration,
                this_run,
                f"load.{step}",
                made_from,
                holds=False,
                unfinished=True,
                why="the table was made anew and is not filled",
            )
    staged, live = (sql.Identifier(schema, table).as_string() for schema in (SCHEMA, migration.target_schema))
    with opened(connect) as connection:
        pace.wait(connection)
        began, since = time.monotonic(), wal.position(connection)
        made_from = phase.require(connection, migration, this_run, f"load.{step}")
        with pace.loading(step, staged, migration.merge.get(table, live)) if step == table else nullcontext():
            rows = connection.execute(statement.encode(), {"run": this_run}).rowcount
        if step == table and table not in migration.merge:
            frozen = phase.newest(connection, this_run)["snapshot"].result.get("columns", {})
            added.fill(connection, migration, table, frozen.get(table))
        if step == table and rows == 0 and table not in migration.may_be_empty:
            raise CutoverError(
                "transform.empty",
                f"{SCHEMA}.{table}",
                "the transformation staged no row: after a swap production's table would be empty.",
                "look at the run's input: an extraction that found nothing is the usual cause. Start a new run then.",
            )
        written = wal.written(connection, since)
        phase.record(connection, migration, this_run, f"load.{step}", made_from, rows=rows, wal_bytes=written)
    seconds = time.monotonic() - began
    rate = f"{rows / max(seconds, 0.001):,.0f} rows/s"
    log(f"{SCHEMA}.{step}: {rows:,} rows in {seconds:.1f} s ({rate}){wal.shown(written)}")
    return rows


def _create(connection: psycopg.Connection, migration: Migration, table: str) -> None:
    if (migration.target_schema, table) in _predecessors(connection, migration):
        preparation.create_shell(connection, migration.target_schema, table, SCHEMA)
        # looked at in preflight too; what was added since would run now
        made = connection.execute(
            "select to_regclass(%s)::oid", (sql.Identifier(SCHEMA, table).as_string(),)
        ).fetchone()
        owner.require_none(connection, [made[0]] if made else [])
        pin_search_path(connection)
        return
    connection.execute(sql.SQL("drop table if exists {} cascade").format(sql.Identifier(SCHEMA, table)))
    create, *others = load_order.split_foreign_keys(_ddl(migration, table))[0]
    connection.execute(create.encode())
    # Default privileges may have opened the new table to others; what its DDL grants comes after this.
    for row in catalog.rows(connection, "new_table_grants", name=f"{SCHEMA}.{table}"):
        connection.execute(row["statement"])
    for statement in others:
        connection.execute(statement.encode())


def hold_still(connection: psycopg.Connection) -> None:
    """Keep everybody from changing what is staged, and what it was made from, until the caller's transaction ends."""
    connection.execute("set local lock_timeout = '30s'")
    tables = connection.execute(files.statement("workspace/tables.sql")).fetchall()
    names = sql.SQL(", ").join(sql.Identifier(*name) for name in tables)
    connection.execute(sql.SQL("lock table {} in share mode").format(names))


def digest(connection: psycopg.Connection, migration: Migration) -> str:
    """Of all rows that are staged."""
    with fingerprint.pinned(connection):
        tables = {
            name: fingerprint.content(connection, sql.Identifier(SCHEMA, name)) for name in migration.staging_tables()
        }
    return phase.digest({name: [content.rows, content.digest] for name, content in tables.items()})


def add_keys(connect: Connect, migration: Migration, this_run: str, log: Log, pace: Pace = UNPACED) -> None:
    """Keys, indexes, foreign keys, grants, and statistics; policies and triggers come at the swap.

    ``pace`` waits for replicas before each build, and tells how far that is.
    """
    began = time.monotonic()
    with opened(connect) as held:
        made_from = phase.require(held, migration, this_run, "keys")
        since = wal.position(held)
        statements = _dress(connect, migration, pace)
        row = held.execute("select pg_current_xact_id()::text, clock_timestamp()").fetchone()
        assert row is not None
        run.note(held, this_run, staged_xid=row[0], staged_at=row[1])
        written, size = wal.written(held, since), catalog.schema_size(held, SCHEMA)
        phase.record(
            held, migration, this_run, "keys", made_from, staged_xid=row[0], wal_bytes=written, staged_bytes=size
        )
    seconds = time.monotonic() - began
    log(f"{statements} keys, indexes and grants in {seconds:.1f} s{wal.shown(written)}; {size / 1e6:,.1f} MB staged")


def _dress(connect: Connect, migration: Migration, pace: Pace) -> int:
    """Each statement in a transaction of its own. Returns how many they were."""
    with opened(connect, autocommit=True) as connection:
        pace.tune(connection)
        tables = scope.read(
            connection,
            migration.swapped_tables(),
            incoming_schema=SCHEMA,
            backup_schema=SCHEMA,
            merged=migration.merged_tables(),
        )
        statements = preparation.dress(connection, tables, complete=False, pace=pace)
        pin_search_path(connection)
        connection.execute(files.statement("stage/forget_keys.sql"), {"schema": SCHEMA})
        new = [table.name for table in tables.tables if table.outgoing is None]
        for table in [*new, *migration.merge]:
            statements += _add_declared_keys(connection, tables, migration, table)
    return statements


def _add_declared_keys(connection: psycopg.Connection, tables: scope.Scope, migration: Migration, table: str) -> int:
    """Foreign keys of a table that production does not have, as its DDL declares them; and the set's own owner."""
    name = f"{SCHEMA}.{table}"
    live = load_order.live_keys(_ddl(migration, table))
    later = {key.statement for key in live}
    statements = [s for s in load_order.split_foreign_keys(_ddl(migration, table))[1] if s not in later]
    for statement in statements:
        connection.execute(statement.encode())
    if table not in migration.merge:
        for key in live:
            connection.execute(
                files.statement("stage/keep_key.sql"),
                {
                    "backup_schema": SCHEMA,
                    "table_name": table,
                    "constraint_name": key.name,
                    "definition": key.definition,
                    "referenced_name": key.target,
                },
            )
        for row in catalog.rows(connection, "new_table_owner", name=name, outgoing=tables.outgoing):
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
    oids = catalog.oids(connection, (sql.Identifier(*name) for name in migration.swapped_tables()))
    return [oid for oid in oids if oid is not None]
