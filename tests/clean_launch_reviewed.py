"""A run of clean_launch up to its review, without the tasks: it has the schemas, and its approval would cover them."""

from __future__ import annotations

from typing import Any

import psycopg

from cutover import migration
from cutover.database.connect import moment
from cutover.records import run as runs
from cutover.review import counts, subject
from cutover.swap import coverage

MIGRATION = migration.load("clean_launch")


def reviewed(
    connection: psycopg.Connection, run: str, dag_run_id: str = "m1", review: dict[str, Any] | None = None
) -> runs.Run:
    """A run that has reviewed what is staged; its review has the counts of the tables, and what else is given."""
    connection.execute(
        "insert into cutover.run (run, migration, dag_id, dag_run_id, triggered_by, frozen_at, snapshot, staged_xid, "
        "parameters) values (%s, 'clean_launch', 'clean_launch', %s, 'operator', now(), pg_current_snapshot(), "
        "pg_current_xact_id(), '{}')",
        (run, dag_run_id),
    )
    connection.execute("insert into cutover.workspace (run) values (%s)", (run,))
    tables = counts.of_tables(connection, subject.scope_of(connection, MIGRATION, run), MIGRATION)
    made = (review or {}) | {"tables": tables}
    order = subject.order(MIGRATION, runs.get(connection, run))
    connection.commit()
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    moment(connection)
    covered = coverage.take(connection, order, review=made)
    connection.commit()
    connection.isolation_level = None
    runs.note(connection, run, review=made, coverage=covered.as_dict())
    connection.commit()
    return runs.get(connection, run)
