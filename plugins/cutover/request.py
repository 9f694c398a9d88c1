"""Requests about people: made at a command line, and approved in Airflow by a second person.

Who is meant stands in one row of the database until it is done. A run, its log and its approval know the number alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from cutover.database import statements as files
from cutover.records import chain, phase, run

if TYPE_CHECKING:
    from cutover.migration import Migration


@dataclass(frozen=True)
class Kind:
    """What is asked for. ``action`` is what is approved, ``table`` where requests stand, ``number`` its key."""

    action: str
    table: str
    number: str

    @property
    def identifiers(self) -> dict[str, sql.Identifier]:
        """For statements."""
        return {"requests": sql.Identifier("cutover", self.table), "number": sql.Identifier(self.number)}


def ask(
    connection: psycopg.Connection, kind: Kind, migration: str, *, subject: str, digests: Sequence[str], by: str
) -> int:
    """Write down what somebody wants done about whom; returns the number of the request."""
    values = {"migration": migration, "subject": subject, "digests": list(digests), "by": by}
    row = connection.execute(files.statement("request/ask.sql", **kind.identifiers), values).fetchone()
    assert row is not None  # inserted just now
    return int(row[0])


def subject_of(connection: psycopg.Connection, kind: Kind, migration: str, number: int) -> str | None:
    """Whom a request is about; None if there is none of that number, or it has been done."""
    values = {"number": number, "migration": migration}
    row = connection.execute(files.statement("request/subject.sql", **kind.identifiers), values).fetchone()
    return str(row[0]) if row is not None and row[0] is not None else None


def keep_review(
    connection: psycopg.Connection,
    migration: Migration,
    this_run: str,
    kind: Kind,
    *,
    made_from: Sequence[int],
    content: dict[str, Any],
    fingerprint_of: Callable[[run.Run], str],
) -> None:
    """Store what a person is shown about a request in the run's row, with its fingerprint and a link of the chain."""
    run.note(connection, this_run, review=content)
    run.note(connection, this_run, fingerprint=fingerprint_of(run.get(connection, this_run)))
    phase.record(connection, migration, this_run, "review", made_from, action=kind.action, request=content["request"])
    chain.cover(connection, "review", this_run, ("run", this_run))
