"""The row that a run of a migration keeps about itself in ``cutover.run``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cutover import sql as files
from cutover.errors import CutoverError


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
    finished_at: datetime | None


def begin(connection: psycopg.Connection, **values: Any) -> None:
    """Record that a run has begun; done again, it only brings its parameters up to date.

    Takes ``run``, ``migration``, ``dag_id``, ``dag_run_id``, ``triggered_by`` and ``parameters``.
    """
    connection.execute(files.statement("run/begin.sql"), {**values, "parameters": Jsonb(values["parameters"])})


def get(connection: psycopg.Connection, run: str) -> Run:
    """The row of a run. Raises CutoverError ``run.unknown``."""
    with connection.cursor(row_factory=class_row(Run)) as cursor:
        found = cursor.execute(files.statement("run/get.sql"), {"run": run}).fetchone()
    if found is None:
        raise CutoverError(
            "run.unknown",
            f"run {run}",
            "this database has no record of it: its first task has not run here.",
            "clear the run from its first task on, or start a new run.",
        )
    return found


def note(connection: psycopg.Connection, run: str, **values: Any) -> None:
    """Set columns of a run's row. Dictionaries become JSONB."""
    assignments = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in values
    )
    parameters = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
    connection.execute(
        sql.SQL("update cutover.run set {} where run = {}").format(assignments, sql.Placeholder("this_run")),
        {**parameters, "this_run": run},
    )
