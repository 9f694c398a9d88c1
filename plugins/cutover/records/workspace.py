"""The schemas ``input`` and ``staging`` belong to one run at a time.

The freeze claims them. A run that a person is asked about, or that was approved, keeps them until it has swapped, was
rejected, or its time is over; any other run loses them to the one that freezes after it, and is told so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from cutover.database import patience
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.database.patience import GAVE_UP, Patience
from cutover.errors import CutoverError

TAKEN = "freeze.workspace-taken"
SCHEMAS = ("staging", "input")


@dataclass(frozen=True)
class Holder:
    """The run that has the schemas. ``until``: how long nobody may take them from it; None if anybody may.

    ``is_asking``: only for the answer of a person.
    """

    run: str
    migration: str
    dag_id: str
    dag_run_id: str
    claimed_at: datetime
    waits_for: str
    is_asking: bool
    until: datetime | None


def holder(connection: psycopg.Connection) -> Holder | None:
    """Who has the schemas; None if nobody."""
    with connection.cursor(row_factory=class_row(Holder)) as cursor:
        return cursor.execute(files.statement("workspace/holder.sql")).fetchone()


def waits_for(connection: psycopg.Connection, this_run: str) -> CutoverError | None:
    """Why ``this_run`` could not have the schemas at this moment; None if it could."""
    other = holder(connection)
    if other is None or other.run == this_run or other.until is None:
        return None
    return CutoverError(
        TAKEN,
        "schemas staging and input",
        f"run {other.run} of {other.migration} ({other.dag_run_id}) has them: it {other.waits_for}, until "
        f"{other.until:%Y-%m-%d %H:%M %Z} at the latest.",
        "nothing: this task goes on by itself as soon as that run has swapped, was rejected, or its time is over. "
        "To be quicker, answer its question, or mark its run as failed while it waits for the answer.",
    )


def claim(connect: Connect, this_run: str) -> None:
    """Take the schemas for this run, in a transaction of its own; again, it changes nothing.

    Raises CutoverError ``freeze.workspace-taken`` while another run needs what is in them.
    """
    patience = Patience(attempts=8)
    for attempt in range(1, patience.attempts + 1):
        try:
            with opened(connect) as connection:
                connection.execute("set local lock_timeout = '1s'")
                connection.execute("lock table cutover.workspace in exclusive mode")
                taken = waits_for(connection, this_run)
                if taken is not None:
                    raise taken
                connection.execute(files.statement("workspace/claim.sql"), {"run": this_run})
            return
        except GAVE_UP:
            time.sleep(patience.pause(attempt))
    with opened(connect) as connection:
        other = holder(connection)
    raise CutoverError(
        TAKEN,
        "schemas staging and input",
        f"a task of run {other.run if other else '?'} works in them at this moment.",
        "nothing: this task goes on by itself when that one has ended.",
    )


def hold(connection: psycopg.Connection, this_run: str) -> None:
    """Keep the schemas from being taken until the caller's transaction ends. Raises ``run.overtaken``."""
    connection.execute("set local idle_in_transaction_session_timeout = 0")
    connection.execute("lock table cutover.workspace in row share mode")
    other = holder(connection)
    if other is None or other.run != this_run:
        by = f"run {other.run} has them since {other.claimed_at:%H:%M:%S %Z}" if other else "no run has them"
        raise CutoverError(
            "run.overtaken",
            f"run {this_run}",
            f"the schemas staging and input are not its own: {by}.",
            "clear the task freeze.snapshot with the tasks behind it when that run has ended, or trigger a new run.",
        )


def empty(connect: Connect, schemas: tuple[str, ...], log: Log) -> None:
    """Drop the schemas. Raises CutoverError ``workspace.locked-out``."""
    with opened(connect, autocommit=True) as connection:
        for schema in schemas:
            patience.drop_schema(connection, schema, log)
