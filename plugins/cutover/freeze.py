"""Freeze: one consistent copy of sources and production, from which everything later in the run is made.

Write capture is installed first, in transactions of its own; then one REPEATABLE READ transaction copies raw and
production rows into the schema ``input`` and records its snapshot. What production commits afterwards is not in
that snapshot, is captured, and is carried at the swap.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cutover.database import catalog, clock, wal
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.database.patience import GAVE_UP, Patience
from cutover.errors import CutoverError
from cutover.extract import raw
from cutover.migration import Migration, added
from cutover.records import ledger, phase, run, workspace
from cutover.swap import capture
from cutover.swap.pace import UNPACED, Pace

KEYS_SUFFIX = ".keys"
# Keys held in memory while their ids are derived.
_IDS_AT_ONCE = 20_000


def install(connect: Connect, migration: Migration) -> None:
    """Create the engine's tables, and what the migration keeps beside them (its folder ``install``)."""
    with opened(connect) as connection:
        ledger.install(connection)
        connection.execute("select cutover.drop_captures()")
        for path in files.files(f"{migration.migration}/install"):
            connection.execute(files.text(path).encode())


def install_capture(connect: Connect, migration: Migration, log: Log) -> None:
    """Record writes to every table of the set that exists, one table at a time, giving up the lock early.

    Raises CutoverError ``freeze.locked-out`` when a table's writers never pause.
    """
    for schema, table in migration.swapped_tables():
        with opened(connect, autocommit=True) as connection:
            if _missing(connection, schema, table):
                continue
            _capture_one(connection, schema, table, log)


def _capture_one(connection: psycopg.Connection, schema: str, table: str, log: Log) -> None:
    patience = Patience()
    for attempt in range(1, patience.attempts + 1):
        try:
            with connection.transaction():
                connection.execute("set local lock_timeout = '200ms'")
                capture.install(connection, [(schema, table)])
            log(f"{schema}.{table}: every write from here on is captured")
            return
        except GAVE_UP as error:
            pause = patience.pause(attempt)
            log(f"{schema}.{table}: {str(error).splitlines()[0]}; next attempt in {pause:.1f} s")
            time.sleep(pause)
    raise CutoverError(
        "freeze.locked-out",
        f"{schema}.{table}",
        f"a session held a lock on it through {patience.attempts} attempts to install write capture.",
        "end the long transaction on it (see pg_stat_activity), then clear the task freeze.capture.",
    )


def _missing(connection: psycopg.Connection, schema: str, table: str) -> bool:
    name = sql.Identifier(schema, table).as_string()
    return connection.execute("select to_regclass(%s) is null", (name,)).fetchone() == (True,)


def freeze(connect: Connect, migration: Migration, this_run: str, log: Log, pace: Pace = UNPACED) -> dict[str, int]:
    """Copy everything that the transforms need into ``input``, in one transaction. Returns rows per table.

    ``pace`` waits for replicas before it. Run again, it starts anew. Nobody but the engine's role can read the copy.
    Raises CutoverError ``freeze.workspace-taken`` while another run needs what is in ``input`` and ``staging``, and
    ``extract.foreign-code`` where reading a raw table would run somebody's code.
    """
    counts: dict[str, int] = {}
    with opened(connect) as connection:
        phase.require(connection, migration, this_run, "snapshot")
    workspace.claim(connect, this_run)
    with opened(connect) as held:
        workspace.hold(held, this_run)
        workspace.empty(connect, workspace.SCHEMAS, log)
    with opened(connect) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        pace.wait(connection)
        workspace.hold(connection, this_run)
        made_from = phase.require(connection, migration, this_run, "snapshot")
        since = wal.position(connection)
        # Rows that row-level security would hide must be an error: missing accounts would be made a second time.
        connection.execute("set local row_security = off")
        # And what stands in a table's place must be one: a view would run its owner's code as ours.
        connection.execute(files.text("freeze/no_views.sql").encode())
        raw.require_plain(connection, migration.raw_tables())
        snapshot = connection.execute("select pg_current_snapshot()::text").fetchone()
        assert snapshot is not None
        connection.execute("create schema input")
        for path in files.files(f"{migration.migration}/freeze"):
            table = Path(path).stem
            if table.endswith(KEYS_SUFFIX):
                continue
            began = time.monotonic()
            connection.execute(files.text(path).encode())
            counts[table] = catalog.count(connection, sql.Identifier("input", table))
            log(f"input.{table}: {counts[table]:,} rows in {time.monotonic() - began:.1f} s")
        for path in files.files(f"{migration.migration}/freeze", f"*{KEYS_SUFFIX}.sql"):
            table = Path(path).stem.removesuffix(KEYS_SUFFIX)
            counts[table] = _derive_ids(connection, path, table, migration.namespace)
            log(f"input.{table}: {counts[table]:,} ids derived")
        columns = added.keep(connection, migration)
        sources = {"run": this_run, "sources": migration.synced()}
        connection.execute(files.statement("freeze/reading.sql"), sources)
        read = _files_read(connection, migration, log)
        # as this snapshot has it: whoever rewrites a table while it is copied has done so after that
        oids = catalog.oids(connection, (sql.Identifier(*name) for name in migration.swapped_tables()))
        files_of_rows = capture.filenodes(connection, oids)
        run.note(connection, this_run, snapshot=snapshot[0], frozen_at=clock.now(connection), filenodes=files_of_rows)
        written, size = wal.written(connection, since), catalog.schema_size(connection, "input")
        done: dict[str, Any] = {"snapshot": snapshot[0], "rows": counts, "columns": columns, **read}
        done |= {"wal_bytes": written, "input_bytes": size}
        phase.record(connection, migration, this_run, "snapshot", made_from, **done)
    log(f"{sum(counts.values()):,} rows, {size / 1e6:,.1f} MB in input{wal.shown(written)}")
    return counts


def _files_read(connection: psycopg.Connection, migration: Migration, log: Log) -> dict[str, dict[str, object]]:
    """Which files the raw rows of this snapshot were read from: under ``files``, of each drop how many, and a digest.

    The digest is over name and SHA-256 of each. Empty for a migration without file drops.
    """
    if not migration.files:
        return {}
    given = {"sources": list(migration.files)}
    read: dict[str, object] = {}
    for source, number, rows, digest in connection.execute(files.statement("freeze/files.sql"), given).fetchall():
        read[source] = {"files": number, "rows": int(rows), "digest": digest}
        log(f"raw.{source}: from {number:,} files with {rows:,} rows, digest {digest[:16]}")
    return {"files": read}


def _derive_ids(connection: psycopg.Connection, path: str, table: str, namespace: uuid.UUID) -> int:
    """Fill ``input.<table>`` (email_key, id) with the uuid5 of every key: PostgreSQL has no SHA-1 of its own."""
    connection.execute(files.statement("freeze/identity.sql", table=table))
    copy = sql.SQL("copy {} (email_key, id) from stdin").format(sql.Identifier("input", table))
    derived = 0
    # Portion by portion: a second connection, which could stream, would not see this transaction's tables.
    with connection.cursor("keys") as keys, connection.cursor() as cursor:
        keys.execute(files.text(path).encode())
        while portion := keys.fetchmany(_IDS_AT_ONCE):
            with cursor.copy(copy) as sink:
                for (key,) in portion:
                    sink.write_row((key, uuid.uuid5(namespace, key)))
            derived += len(portion)
    connection.execute(sql.SQL("alter table {} add primary key (email_key)").format(sql.Identifier("input", table)))
    connection.execute(sql.SQL("analyze {}").format(sql.Identifier("input", table)))
    return derived
