"""The row that a run of a migration keeps about itself in ``cutover.run``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import ledger


@dataclass(frozen=True)
class Run:
    """What is known of a run. ``snapshot`` and ``staged_xid`` are PostgreSQL's, as text."""

    run: str
    migration: str
    dag_id: str
    dag_run_id: str
    triggered_by: str | None
    parameters: dict[str, Any]
    started_at: datetime
    frozen_at: datetime | None
    snapshot: str | None
    staged_at: datetime | None
    staged_xid: str | None
    fingerprint: str | None
    validation: dict[str, Any] | None
    review: dict[str, Any] | None
    coverage: dict[str, Any] | None
    asked_at: datetime | None
    filenodes: dict[str, int] | None
    finished_at: datetime | None


def key(connection: psycopg.Connection, dag_id: str, dag_run_id: str) -> str:
    """The name of a run of Airflow: the one it is recorded under, else the one it will have."""
    if connection.execute(files.statement("run/is_there.sql")).fetchone() == (True,):
        rows = connection.execute(files.statement("run/key.sql"), {"dag_id": dag_id, "dag_run_id": dag_run_id})
        row = rows.fetchone()
        if row is not None:
            return str(row[0])
    return ledger.run_key(dag_id, dag_run_id)


def waiting(connection: psycopg.Connection, migration: str) -> list[str]:
    """The run of a migration that has staged something and has not swapped it, if there is one."""
    rows = connection.execute(files.statement("run/waiting.sql"), {"migration": migration}).fetchall()
    return [name for (name,) in rows]


def begin(connection: psycopg.Connection, **values: Any) -> None:
    """Record that a run has begun; done again, it only brings its parameters up to date.

    Takes ``run``, ``migration``, ``dag_id``, ``dag_run_id``, ``triggered_by`` and ``parameters``. Raises CutoverError
    ``run.asked`` once a person was asked about it, ``run.key-taken`` if another run has its name.
    """
    parameters = {**values, "parameters": Jsonb(values["parameters"])}
    if connection.execute(files.statement("run/begin.sql"), parameters).fetchone() is not None:
        return
    row = get(connection, values["run"])
    if (row.migration, row.dag_id, row.dag_run_id) == (values["migration"], values["dag_id"], values["dag_run_id"]):
        raise asked(row)
    raise CutoverError(
        "run.key-taken",
        f"run {row.run}",
        f"it belongs to {row.dag_id}, {row.dag_run_id} ({row.migration}) already; its records stay as they are.",
        "trigger a new run, and let Airflow choose its id.",
    )


def asked(row: Run) -> CutoverError:
    """The refusal of whatever would change a run that a person has been asked about."""
    return CutoverError(
        "run.asked",
        f"run {row.run}",
        f"a person was asked about it at {row.asked_at:%Y-%m-%d %H:%M:%S %Z}, and what they were shown is final.",
        "trigger a new run. Of this one only what comes after the question may be cleared.",
    )


def get(connection: psycopg.Connection, run: str) -> Run:
    """The row of a run. Raises CutoverError ``run.unknown``."""
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        row = cursor.execute(files.statement("run/get.sql"), {"run": run}).fetchone()
    if row is None:
        raise unknown(run)
    return row


def unknown(run: str) -> CutoverError:
    """The refusal of a run that has not begun here."""
    return CutoverError(
        "run.unknown",
        f"run {run}",
        "this database has no record of it: its first task has not run here.",
        "clear the run from its first task on, or start a new run.",
    )


def has_begun(connection: psycopg.Connection, run: str) -> bool:
    """Whether a run is on record; no, where the engine's tables are not here yet."""
    if connection.execute(files.statement("run/is_there.sql")).fetchone() != (True,):
        return False
    return connection.execute(files.statement("run/get.sql"), {"run": run}).fetchone() is not None


def note(connection: psycopg.Connection, run: str, **values: Any) -> None:
    """Set columns of a run's row. Dictionaries become JSONB."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
    )
    parameters = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
    connection.execute(files.statement("run/note.sql", assignments=assignments), {**parameters, "this_run": run})
