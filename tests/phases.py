"""Steps of a run that a test is not about: recorded as if they had been done."""

from __future__ import annotations

import psycopg

from cutover.database import statements as files
from cutover.migration import Migration
from cutover.records import phase
from cutover.records.run import get


def pass_over(connection: psycopg.Connection, migration: Migration, run: str, until: str) -> None:
    """Give the run the workspace, and record every step that ``until`` needs. Commits."""
    connection.execute(files.statement("workspace/claim.sql"), {"run": run})
    steps = phase.steps(migration, phase.SWAP, get(connection, run).parameters)
    for step in list(steps)[: list(steps).index(until)]:
        if step != phase.QUESTION:
            phase.record(connection, migration, run, step)
    connection.commit()
