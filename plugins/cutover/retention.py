"""Retention: old backups are dropped, after a person has approved exactly these, and what only they needed goes too.

Never the newest: a rollback needs it. Never with CASCADE: if anything still uses a backup, nothing is dropped and the
error says what. A captured write is kept as long as the table that it was made to.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.database.patience import GAVE_UP, LOCK_TIMEOUT_MS
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import approval, chain, ledger, phase, run

ACTION = "drop_backups"


@dataclass(frozen=True)
class Backup:
    """One backup schema that is still there. ``bytes`` counts tables, materialized views and their indexes."""

    entry: int
    run: str
    action: str
    backup_schema: str
    recorded_at: datetime
    hash: str
    is_newest: bool
    is_old: bool
    is_certified: bool
    relations: list[str]
    bytes: int

    @property
    def droppable(self) -> bool:
        """Old enough, not the newest, and of a swap that was finished."""
        return self.is_old and self.is_certified and not self.is_newest


def backups(connection: psycopg.Connection, migration: str, days: int) -> list[Backup]:
    """Every backup of the migration that is still there, oldest first; ``is_old`` means older than so many days."""
    with connection.cursor(row_factory=class_row(Backup)) as cursor:
        return cursor.execute(
            files.statement("retention/backups.sql"), {"migration": migration, "days": days}
        ).fetchall()


def review(connect: Connect, migration: Migration, this_run: str, days: int, log: Log) -> list[str]:
    """List what would be dropped, and store the list with its fingerprint in the run's row. Returns the schemas."""
    with opened(connect) as connection:
        made_from = phase.require(connection, migration, this_run, "review", ACTION)
        due = backups(connection, migration.migration, days)
        chosen = [backup for backup in due if backup.droppable]
        for backup in due:
            fate = "would be dropped" if backup in chosen else f"is kept: {_why_kept(backup, days)}"
            log(f"{backup.backup_schema} of {backup.recorded_at:%Y-%m-%d} ({backup.bytes / 1e6:,.0f} MB) {fate}")
        listed = {
            "days": days,
            "schemas": [
                {
                    "schema": backup.backup_schema,
                    "of": f"{backup.action} {backup.run}",
                    "at": f"{backup.recorded_at:%Y-%m-%d %H:%M %Z}",
                    "relations": backup.relations,
                    "bytes": backup.bytes,
                }
                for backup in chosen
            ],
        }
        run.note(connection, this_run, review=listed, fingerprint=_fingerprint(chosen))
        phase.record(
            connection, migration, this_run, "review", made_from, action=ACTION, fingerprint=_fingerprint(chosen)
        )
        chain.cover(connection, "review", this_run, ("run", this_run))
    return [backup.backup_schema for backup in chosen]


def fingerprint_of(connection: psycopg.Connection, migration: Migration, row: run.Run) -> str:
    """The fingerprint of the reviewed backups as they are at this moment; one that is gone or newest now changes it."""
    return _fingerprint(_reviewed(connection, migration, row))


def drop(connect: Connect, migration: Migration, this_run: str, log: Log) -> list[str]:
    """Drop the approved backups in one transaction, then purge the changelog. Returns the schemas that are gone.

    Run again after it has happened, it finds that out. Raises CutoverError ``swap.not-approved``, ``swap.another-run``,
    ``retention.in-use`` or ``retention.locked-out``, each with nothing dropped.
    """
    with opened(connect) as connection:
        row = run.get(connection, this_run)
        reviewed = [entry["schema"] for entry in (row.review or {}).get("schemas", [])]
        _require_alone(connection)
        chosen = _reviewed(connection, migration, row)
        if not chosen:
            log("nothing is left of what was approved: it has been dropped already")
            return reviewed
        approved = approval.consume(connection, this_run, ACTION, _fingerprint(chosen))
        connection.execute("select set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_MS}ms",))
        for backup in chosen:
            _drop_one(connection, backup)
            log(f"dropped {backup.backup_schema}: {', '.join(backup.relations)}, {backup.bytes / 1e6:,.0f} MB")
        purged = connection.execute(files.statement("retention/purge_changelog.sql")).rowcount
        connection.execute("select cutover.drop_captures()")
        log(f"purged {purged:,} captured writes of tables that are gone")
        run.note(connection, this_run, finished_at=datetime.now().astimezone())
        dropped = {"schemas": [backup.backup_schema for backup in chosen]}
        chain.append(connection, ACTION, this_run, [approved.row], says=dropped)
    return reviewed


def markdown(review: dict[str, Any]) -> str:
    """The list as the approval form shows it."""
    lines = [
        f"Drops these backups, older than {review['days']} days. **They cannot be rolled back to afterwards.** "
        "The newest backup stays.",
        "",
        "| schema | of | made | tables | MB |",
        "|---|---|---|---|---:|",
        *(
            f"| {entry['schema']} | {entry['of']} | {entry['at']} | {', '.join(entry['relations'])} "
            f"| {entry['bytes'] / 1e6:,.0f} |"
            for entry in review["schemas"]
        ),
    ]
    return "\n".join(lines)


def _why_kept(backup: Backup, days: int) -> str:
    if backup.is_newest:
        return "it is the newest, which a rollback needs"
    return f"it is not older than {days} days" if not backup.is_old else "its run was never certified"


def _reviewed(connection: psycopg.Connection, migration: Migration, row: run.Run) -> list[Backup]:
    listed = row.review or {}
    names = {entry["schema"] for entry in listed.get("schemas", [])}
    due = backups(connection, migration.migration, listed.get("days", 0))
    return [backup for backup in due if backup.backup_schema in names and backup.droppable]


def _fingerprint(chosen: list[Backup]) -> str:
    canonical = json.dumps([[b.entry, b.run, b.backup_schema, b.hash, b.relations] for b in chosen])
    return hashlib.sha256(canonical.encode()).hexdigest()


def _require_alone(connection: psycopg.Connection) -> None:
    if not ledger.take_turn(connection, "swap"):
        raise CutoverError(
            "swap.another-run",
            "this database",
            "a run is swapping or rolling back at this moment.",
            "wait for it to end, then clear the task.",
        )


def _drop_one(connection: psycopg.Connection, backup: Backup) -> None:
    try:
        # the statements are read one by one: dropping the tables is what empties the schema
        dropped = connection.execute(files.statement("retention/drop_backup.sql"), {"schema": backup.backup_schema})
        for (statement,) in dropped.fetchall():
            connection.execute(statement.encode())
    except psycopg.errors.DependentObjectsStillExist as error:
        raise CutoverError(
            "retention.in-use",
            backup.backup_schema,
            f"something still uses it: {error.diag.message_detail}. Nothing was dropped.",
            "re-point or drop that object; then trigger a new run.",
        ) from error
    except GAVE_UP as error:
        raise CutoverError(
            "retention.locked-out",
            backup.backup_schema,
            "a session is reading it. Nothing was dropped.",
            "end that session, or wait for it; then clear the task drop.",
        ) from error
