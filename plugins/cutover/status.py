"""How a migration stands at this moment, in figures: for monitoring, beside what tasks report themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import psycopg
from psycopg.rows import class_row

from cutover import retention
from cutover.database import statements as files
from cutover.migration import Migration

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A question to a person that waits. ``age_s``: since it was asked; ``left_s``: until it expires; seconds."""

    dag_id: str
    dag_run_id: str
    age_s: float
    left_s: float


@dataclass(frozen=True)
class Backlog:
    """Captured ``writes`` that a swap is to carry, and how many seconds the oldest has waited."""

    writes: int
    age_s: float


@dataclass(frozen=True)
class Backups:
    """How many backup schemas are there, and their size with indexes."""

    count: int
    bytes: int


@dataclass(frozen=True)
class Entry:
    """The newest swap or rollback.

    ``lock_s``: seconds that clients waited; ``forecast_s``: the middle of those before it, None if it is the first;
    ``attempts`` for the lock; writes ``carried`` and ``quarantined``; ``age_s``: seconds since it happened.
    """

    locked_at: datetime
    recorded_at: datetime
    lock_s: float
    forecast_s: float | None
    attempts: int
    carried: int
    quarantined: int
    age_s: float


@dataclass(frozen=True)
class Status:
    """What could be told; None where a query has not answered in time.

    ``extracted``: seconds since each endpoint was last read to its end. ``dags``: those that have begun a run.
    """

    questions: list[Question] | None
    backlog: Backlog | None
    backups: Backups | None
    entry: Entry | None
    extracted: dict[str, float] | None
    dags: list[str] | None


def look(connection: psycopg.Connection, migration: Migration) -> Status:
    """Look now, by reading alone, in the caller's transaction, whose statement timeout bounds each query by itself."""

    def asked(query: Callable[[psycopg.Connection, Migration], T]) -> T | None:
        try:
            with connection.transaction():
                return query(connection, migration)
        except psycopg.errors.QueryCanceled:
            return None

    return Status(
        questions=asked(_questions),
        backlog=asked(_backlog),
        backups=asked(_backups),
        entry=asked(newest_entry),
        extracted=asked(_extracted),
        dags=asked(_dags),
    )


def newest_entry(connection: psycopg.Connection, migration: Migration) -> Entry | None:
    """The newest swap or rollback of the migration; None before the first."""
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(files.statement("status/entry.sql"), {"migration": migration.migration}).fetchone()


def _questions(connection: psycopg.Connection, migration: Migration) -> list[Question]:
    with connection.cursor(row_factory=class_row(Question)) as cursor:
        return cursor.execute(files.statement("status/questions.sql"), {"migration": migration.migration}).fetchall()


def _backlog(connection: psycopg.Connection, migration: Migration) -> Backlog:
    tables = [
        psycopg.sql.Identifier(schema, table).as_string(connection) for schema, table in migration.swapped_tables()
    ]
    with connection.cursor(row_factory=class_row(Backlog)) as cursor:
        backlog = cursor.execute(
            files.statement("status/capture.sql"), {"migration": migration.migration, "tables": tables}
        ).fetchone()
    assert backlog is not None
    return backlog


def _backups(connection: psycopg.Connection, migration: Migration) -> Backups:
    backups = retention.backups(connection, migration.migration, 0)
    return Backups(len(backups), sum(backup.bytes for backup in backups))


def _extracted(connection: psycopg.Connection, migration: Migration) -> dict[str, float]:
    rows = connection.execute(files.statement("status/sources.sql"), {"sources": migration.synced()}).fetchall()
    return dict(rows)


def _dags(connection: psycopg.Connection, migration: Migration) -> list[str]:
    rows = connection.execute(files.statement("status/dags.sql"), {"migration": migration.migration}).fetchall()
    return [dag_id for (dag_id,) in rows]
