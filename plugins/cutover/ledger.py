"""The ledger's tables, and the rows that runs write into them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cutover import sql as files

# Taken for the time of one statement or transaction; the numbers only have to differ from other programs' keys.
_INSTALL_LOCK = 0x6375746F01
SWAP_LOCK = 0x6375746F02


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
    connection.execute("select pg_advisory_xact_lock(%s)", (_INSTALL_LOCK,))
    if connection.execute(current).fetchone() == (version,):
        return
    for path in paths:
        connection.execute(files.text(path).encode())
    connection.execute(psycopg.sql.SQL("comment on schema cutover is {}").format(psycopg.sql.Literal(version)))


def run_key(dag_id: str, dag_run_id: str) -> str:
    """The short name of a run, fit for identifiers: its date and time if its id has one, and a digest.

    ``clean_launch``, ``manual__2025-11-02T08:15:00+00:00`` gives ``r20251102_081500_1f0c9a``.
    """
    digest = hashlib.sha256(f"{dag_id}/{dag_run_id}".encode()).hexdigest()[:6]
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


def write(connection: psycopg.Connection, **values: Any) -> None:
    """Add an entry, in the transaction of its effect, chained to the one before it by hash."""
    row = {name: Jsonb(value) if isinstance(value, dict | list) else value for name, value in values.items()}
    connection.execute(files.statement("swap/ledger_entry.sql"), row)
