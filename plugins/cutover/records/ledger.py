"""The ledger's tables, and the rows that runs write into them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.records import chain

_INSTALL_TRIES = 10


def install(connection: psycopg.Connection) -> None:
    """Create or bring up to date the schema ``cutover``. Does nothing when it is as the files say.

    Takes part in the caller's transaction and commits nothing.
    """
    paths = files.files("ledger")
    digest = hashlib.sha256("".join(files.text(path) for path in paths).encode()).hexdigest()[:16]
    version = f"Cutover ledger, {digest}"
    current = "select obj_description(to_regnamespace('cutover'), 'pg_namespace')"
    if connection.execute(current).fetchone() == (version,):
        return
    _wait_to_install(connection)
    if connection.execute(current).fetchone() == (version,):
        return
    for path in paths:
        connection.execute(files.text(path).encode())
    connection.execute(psycopg.sql.SQL("comment on schema cutover is {}").format(psycopg.sql.Literal(version)))


def _wait_to_install(connection: psycopg.Connection) -> None:
    """Be the only transaction that installs, from the very first time on, when there is no row to lock yet."""
    for attempt in range(1, _INSTALL_TRIES + 1):
        try:
            with connection.transaction():
                # whoever makes the same at the same moment waits here for the other's end, and fails
                connection.execute("create schema if not exists cutover")
                connection.execute(files.text("ledger/05_turn.sql").encode())
            break
        except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject, psycopg.errors.DuplicateTable):
            if attempt == _INSTALL_TRIES:
                raise
    connection.execute(files.text("turn/wait.sql").encode(), {"name": "install"})


def take_turn(connection: psycopg.Connection, name: str) -> bool:
    """Take the turn ``name`` until this transaction ends. False if another transaction has it.

    Only the engine's role can take one: no stranger keeps a swap away.
    """
    return connection.execute(files.text("turn/take.sql").encode(), {"name": name}).fetchone() is not None


def run_key(dag_id: str, dag_run_id: str) -> str:
    """The name of a run, fit for identifiers: its date and time if its id has one, and a digest of 128 bits.

    Nobody can choose a run's id so that its name is another run's. ``clean_launch``,
    ``manual__2025-11-02T08:15:00+00:00`` gives ``r20251102_081500_e86eefbf245dc8be641911ead5170942``. A run keeps the
    name that its first task has recorded: ask ``cutover.run.key`` wherever there may be older ones.
    """
    # a DAG's id has no slash, so this says where it ends
    digest = hashlib.sha256(f"{dag_id}/{dag_run_id}".encode()).hexdigest()[:32]
    moment = re.search(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})", dag_run_id)
    if moment is None:
        return f"r_{digest}"
    return "r{}{}{}_{}{}{}_{}".format(*moment.groups(), digest)


@dataclass(frozen=True)
class Entry:
    """One swap or rollback that happened."""

    entry: int
    run: str
    migration: str
    action: str
    undoes: str | None
    backup_schema: str
    fingerprint: str
    approval_id: int | None
    approved_by: str | None
    snapshot: str
    xid: str
    started_at: datetime
    locked_at: datetime
    recorded_at: datetime
    attempts: int
    tables: list[dict[str, Any]]
    carried: list[dict[str, Any]]
    report: dict[str, Any]


def find(connection: psycopg.Connection, run: str) -> Entry | None:
    """The entry of a run; None if it has not happened."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(files.statement("swap/entry_of_run.sql"), {"run": run}).fetchone()


def latest(connection: psycopg.Connection, migration: str) -> Entry | None:
    """The newest entry of a migration: the one that put the tables in place that production reads now."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(files.statement("swap/latest_entry.sql"), {"migration": migration}).fetchone()


def placed_by(connection: psycopg.Connection, tables: Sequence[int]) -> Entry | None:
    """The newest entry, of any migration, that put all of these tables (oids) where they are; None if none did."""
    row = connection.execute(files.statement("swap/placed_by.sql"), {"tables": list(tables)}).fetchone()
    return find(connection, row[0]) if row and tables else None


def in_force(connection: psycopg.Connection, migration: str) -> list[str]:
    """The entries that production's state is made of, oldest first: taking the last one back leads to the one before.

    A rollback of one of them takes it off; a rollback of a rollback puts that state on again, as an entry of its own.
    """
    stack: list[str] = []
    with connection.cursor(row_factory=dict_row) as cursor:
        for entry in cursor.execute(files.statement("swap/history.sql"), {"migration": migration}).fetchall():
            if entry["action"] == "rollback" and stack and stack[-1] == entry["undoes"]:
                stack.pop()
            else:
                stack.append(entry["run"])
    return stack


def launch_in_force(connection: psycopg.Connection, migration: str) -> str | None:
    """The launch that production's state is of, also where a rollback of its rollback has put it on again; or None."""
    state = in_force(connection, migration)
    entry = find(connection, state[-1]) if state else None
    while entry is not None and entry.action == "rollback":
        taken_back = find(connection, str(entry.undoes))
        entry = find(connection, str(taken_back.undoes)) if taken_back is not None else None
    return entry.run if entry is not None else None


def write(connection: psycopg.Connection, known: Mapping[str, Any], **values: Any) -> chain.Row:
    """Add an entry, in the transaction of its effect, chained to the one before it by hash.

    Returns the row for the chain; ``known`` are columns as that holds them, where they could be computed before.
    """
    row = {name: Jsonb(value) if isinstance(value, dict | list) else value for name, value in values.items()}
    written = connection.execute(files.statement("swap/ledger_entry.sql"), {**row, "but": list(known)}).fetchone()
    assert written is not None
    columns = {**chain.as_covered("ledger", chain.parsed(written[0])), **known}
    return chain.Row("ledger", str(columns["entry"]), columns)
