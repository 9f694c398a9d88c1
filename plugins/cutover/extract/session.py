"""What syncs of endpoints and of file drops share: one at a time for a source, and the database's errors in words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from cutover.database import statements as files
from cutover.database.connect import Log
from cutover.database.words import said
from cutover.errors import CutoverError

# Seconds to wait for another sync of the same source.
BUSY_PATIENCE = 900.0


@contextmanager
def database_errors(source: str, made_by: str) -> Iterator[None]:
    """Database errors of a sync as ``extract.database``, ``extract.not-allowed`` and ``extract.raw-table``.

    ``made_by`` names what says which columns the raw table has.
    """
    try:
        yield
    except psycopg.OperationalError as error:
        raise CutoverError(
            "extract.database",
            f"raw.{source}",
            f"the database ended the sync: {said(error)}.",
            "see to the database, then clear the task: it goes on behind the last page that was stored.",
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise CutoverError(
            "extract.not-allowed",
            f"raw.{source}",
            f"the database's user may not do what a sync does: {error.diag.message_primary}.",
            "grant what docs/roles.md lists to the user of the production connection, then clear the task.",
        ) from error
    except psycopg.ProgrammingError as error:
        raise CutoverError(
            "extract.raw-table",
            f"raw.{source}",
            f"the table is not as {made_by} makes it: {error.diag.message_primary}.",
            "alter it to match that file, or drop it: then the next sync makes it anew and reads everything again.",
        ) from error


@contextmanager
def turn(connection: psycopg.Connection, source: str, log: Log) -> Iterator[None]:
    """One sync of a source at a time; ``connection`` is in no transaction.

    Raises ``extract.busy`` when another one does not end.
    """
    deadline = time.monotonic() + BUSY_PATIENCE
    is_announced = False
    while not _flag(connection, "extract/lock_source.sql", source):
        if time.monotonic() > deadline:
            raise CutoverError(
                "extract.busy",
                f"source {source}",
                f"another sync of it has been running for more than {BUSY_PATIENCE:g} s.",
                "let it finish (cutover.sync shows its pages), then clear this task.",
            )
        if not is_announced:
            log(f"{source}: waiting for another sync of this source to end")
            is_announced = True
        time.sleep(1.0)
    try:
        yield
    finally:
        if not connection.closed:
            connection.rollback()
            _flag(connection, "extract/unlock_source.sql", source)


def _flag(connection: psycopg.Connection, path: str, source: str) -> bool:
    row = connection.execute(files.statement(path), {"source": source}).fetchone()
    connection.commit()
    return bool(row and row[0])
