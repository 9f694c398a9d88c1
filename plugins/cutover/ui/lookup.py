"""What a route finds by the names in its address, for the pages and for their figures as JSON."""

from __future__ import annotations

from typing import Any

import psycopg
from fastapi import HTTPException

from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.operators.base import reading
from cutover.outlook import Outlook
from cutover.records.run import key as run_key
from cutover.ui import outlook, shown, standing, store

# What a database says that no launch has used yet, and what there is to say of one that is not there.
NEVER_USED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName)
ABSENT = ("connect.unknown", "connect.no-database")


class NoRecordError(Exception):
    """A run of which the target database holds nothing: it has not got that far, or it is none."""


def migration(dag_id: str) -> Migration:
    """The migration that a DAG launches or rolls back. Raises 404 for any other DAG."""
    of_dag = store.of_dag(dag_id)
    if of_dag is None:
        raise HTTPException(404, f"{dag_id} is no launch: it has no review, no Data Docs and no entry in the ledger.")
    return of_dag


def standing_of(dag_id: str, dag_run_id: str) -> standing.Standing | None:
    """A run as Airflow has it; None if Airflow has it no more, or never had."""
    return standing.of_runs([(dag_id, dag_run_id)]).get((dag_id, dag_run_id))


def require_run(stands: standing.Standing | None, dag_id: str, dag_run_id: str) -> standing.Standing:
    """What Airflow knows of a run. Raises 404 where it knows none."""
    if stands is None:
        raise HTTPException(404, f"There is no run {shown.cell(dag_run_id)} of {dag_id}.")
    return stands


def review(
    of: Migration, dag_id: str, dag_run_id: str, stands: standing.Standing | None
) -> tuple[str, dict[str, Any], Outlook | None]:
    """A run's review: its page's template, what that shows, and what would stop the swap now if a question waits.

    Raises ``NoRecordError``.
    """
    try:
        with reading(of) as connection:
            key = run_key(connection, dag_id, dag_run_id)
            template, values = store.review(connection, of, key, stands, in_airflow=True)
    except (CutoverError, *NEVER_USED) as error:
        if isinstance(error, CutoverError) and error.code not in (*ABSENT, "run.unknown"):
            raise
        raise NoRecordError from error
    # what comes into the way while a run waits for its time is told as while somebody thinks
    is_asked = (values["waits"] or values["waits_for"]) and values["captured"] is not None
    ahead = outlook.of_run(of, values["run"]) if is_asked else None
    return template, values | {"verdict": store.verdict(values, ahead)}, ahead
