"""What an approval is about: the order and the scope of the run's swap, and the fingerprint of all that it covers."""

from __future__ import annotations

from typing import Any

import psycopg

from cutover import transform
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import phase, run
from cutover.swap import code, coverage, outside, scope
from cutover.swap.order import Order
from cutover.transform import SCHEMA


def fingerprinted(migration: Migration) -> list[str]:
    """The staging tables that an approval is about: all of them, merged ones included."""
    return migration.staging_tables()


def fingerprint_of(connection: psycopg.Connection, migration: Migration, row: run.Run) -> str:
    """The fingerprint of everything that an approval of this run covers, as it is at this moment."""
    return coverage.again(connection, order(migration, row))[0].fingerprint


# Parameters of a launch that its swap is bound by.
_LIMITS = ("on_drift", "carry_limit", "drift_limit", "swap_at", "freeze_override")


def order(migration: Migration, row: run.Run, **policy: Any) -> Order:
    """The order of this run's swap, as reviewed. ``policy``: ``on_drift``, ``carry_limit``, ``patience``, ``freezes``.

    The limits are those that the run was triggered with, by its own row.

    Raises CutoverError ``swap.not-staged`` when the run has not been through freeze and transform.
    """
    if row.snapshot is None or row.staged_xid is None:
        raise CutoverError(
            "swap.not-staged",
            f"run {row.run}",
            "it has not frozen its sources or not staged its tables.",
            "clear the run from its first failed task on.",
        )
    folder = f"{migration.migration}/swap"
    limits = {name: row.parameters[name] for name in _LIMITS if name in row.parameters}
    return Order(
        run=row.run,
        migration=migration.migration,
        action="swap",
        tables=migration.swapped_tables(),
        incoming_schema=SCHEMA,
        backup_schema=f"backup_{row.run}",
        since=row.snapshot,
        filenodes=row.filenodes or {},
        staged_xid=row.staged_xid,
        fingerprinted=fingerprinted(migration),
        evidence={"run": row.run},
        reads=code.reads(migration.migration, migration.staging_tables()),
        merged=migration.merged_tables(),
        written=migration.written_tables(),
        merge=files.files(folder, "merge_*.sql"),
        inside=files.files(folder, "inside_*.sql"),
        settings=settings(migration),
        leaving=outside.Policy(migration.leaving),
        checks=files.files(folder, "check_*.sql"),
        create=files.files(folder, "create_*.sql"),
        drop=files.files(folder, "drop_*.sql"),
        quorum=migration.quorum,
        **(limits | policy),
    )


def settings(migration: Migration) -> dict[str, Any]:
    """What the migration's own statements may ask of its declaration."""
    return {"unconfirmed": migration.unconfirmed, "deletes": list(migration.deletes)}


def scope_of(connection: psycopg.Connection, migration: Migration, this_run: str) -> scope.Scope:
    return scope.read(
        connection,
        migration.swapped_tables(),
        incoming_schema=SCHEMA,
        backup_schema=f"backup_{this_run}",
        merged=migration.merged_tables(),
        written=migration.written_tables(),
    )


def require_validated(connection: psycopg.Connection, migration: Migration, row: run.Run) -> None:
    """Raise ``review.not-validated`` unless the validation on record is the run's, and of the rows that are staged."""
    validated = phase.newest(connection, row.run)["validation"].result
    is_the_result = validated["result"] == phase.digest(row.validation)
    if not is_the_result or validated["staged"] != transform.digest(connection, migration):
        raise CutoverError(
            "review.not-validated",
            f"run {row.run}",
            "what is staged, or the result of its validation, was changed after the validation.",
            "find out who changed it; then clear the task validate.suites, with the tasks behind it.",
        )
