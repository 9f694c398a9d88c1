"""The rehearsal of a run's swap: made before its review, and on record for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from cutover.database.connect import Connect, Log, opened
from cutover.migration import Migration
from cutover.records import phase, run
from cutover.review import subject
from cutover.swap import rehearsal


def rehearse(
    connect: Connect, migration: Migration, this_run: str, log: Log, *, require: Callable[[], None] = lambda: None
) -> rehearsal.Rehearsal:
    """Rehearse this run's swap on production, and record what was found for the review.

    Raises what the swap would; ``review.not-validated`` and ``run.asked`` where it is not the time for it.
    """
    with opened(connect) as held:
        made_from = phase.require(held, migration, this_run, phase.REHEARSAL)
        row = run.get(held, this_run)
        # A statement with parameters keeps its snapshot until the next: the rehearsal would give up because of it.
        held.execute("select")
        with opened(connect) as connection:
            # in a transaction of its own: it reads the staged tables, which the rehearsal alters
            subject.require_validated(connection, migration, row)
        outcome = rehearsal.rehearse(connect, subject.order(migration, row), log, require=require)
        phase.record(held, migration, this_run, phase.REHEARSAL, made_from, **outcome.as_dict())
    return outcome


def of_run(connection: psycopg.Connection, row: run.Run) -> dict[str, Any] | None:
    """What the run's rehearsal has found, as it is on record; None where none was asked for."""
    if not row.parameters.get("rehearse"):
        return None
    return phase.newest(connection, row.run)[phase.REHEARSAL].result
