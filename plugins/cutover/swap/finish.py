"""What may wait until after the lock."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover.database import answer, catalog, patience
from cutover.database import statements as files
from cutover.database.connect import Log
from cutover.database.words import said_detail
from cutover.errors import CutoverError
from cutover.records import ledger
from cutover.swap import inventory, outside, proof

_SWAPPED = "The tables are swapped; this is left to do."
_OR_BACK = "clear the cause that it names, then clear the task; or roll back."


def finish(
    connection: psycopg.Connection, entry: ledger.Entry, log: Log, leaving: outside.Policy | None = None
) -> None:
    """What may wait until after the lock, each step in its own transaction and safe to repeat.

    Validates the foreign keys, frees the application from what the backup holds of it, refreshes the materialized
    views that read through other views, and stores the certificate. ``connection`` is in autocommit. ``leaving`` says
    what becomes of rows outside that were written while the locks were being taken, and refer to nothing now.

    Raises CutoverError ``verify.certificate``, ``verify.orphans``, and for what else PostgreSQL says
    ``verify.cannot-finish``.
    """
    with answer.as_error("verify.cannot-finish", entry.run, state=_SWAPPED, otherwise=_OR_BACK):
        _finish(connection, entry, log, leaving)


def _finish(connection: psycopg.Connection, entry: ledger.Entry, log: Log, leaving: outside.Policy | None) -> None:
    if entry.action == "rollback":
        leaving = outside.Policy({}, aside=True)
    elif leaving is not None and leaving.aside:
        leaving = outside.Policy({})
    connection.execute("set search_path = ''")
    done: list[str] = []
    for query, parameters in (
        ("to_validate", {"constraints": entry.report["validate"]}),
        ("to_attach", {"keys": Jsonb(entry.report.get("attach", []))}),
        ("backup_foreign_keys", {"backup_schema": entry.backup_schema}),
        ("backup_bindings", {"backup_schema": entry.backup_schema}),
        ("to_refresh", {"views": entry.report["refresh"]}),
    ):
        for row in catalog.rows(connection, query, **parameters):
            _finish_one(connection, entry, row, log, leaving)
            done.append(row["statement"])
    if entry.action == "rollback":
        # not before: a key of the tables that went would have taken their rows along
        for path in files.files(f"{entry.migration}/swap", "finish_*.sql"):
            with connection.cursor(row_factory=dict_row) as cursor:
                counted = cursor.execute(files.text(path).encode(), {"run": entry.run}).fetchone() or {}
            sentence = ", ".join(f"{name} {number:,}" for name, number in counted.items())
            log(f"{Path(path).stem}: {sentence}")
            done.append(f"{path}: {sentence}")
    names = inventory.Watched(tuple(entry.report["watched"]["relations"]), tuple(entry.report["watched"]["functions"]))
    present = inventory.take(connection, names)
    certificate = proof.certify(connection, entry, present, done)
    if certificate["left_behind"] or certificate["not_validated"]:
        raise CutoverError(
            "verify.certificate",
            entry.run,
            f"after the {entry.action}, these still refer to the backup: {certificate['left_behind']}; these are "
            f"not validated: {certificate['not_validated']}.",
            "drop or re-create the objects named, then clear the task.",
        )
    log(f"certificate: nothing outside {entry.backup_schema} refers to an old table; {len(done)} steps after the lock")


def _finish_one(
    connection: psycopg.Connection,
    entry: ledger.Entry,
    step: catalog.Row,
    log: Log,
    leaving: outside.Policy | None,
) -> None:
    try:
        try:
            patience.patiently(connection, step["statement"], log)
        except psycopg.errors.ForeignKeyViolation:
            if leaving is None:
                raise
            # by now the key keeps others from coming
            tables = [(table["schema"], table["name"]) for table in entry.tables]
            for late in outside.follow_late(connection, entry.run, step["object"], tables, leaving):
                sentence = f"{late['rows']} rows written at the last moment followed ({late['operation']})"
                log(f"{late['key_name']}: {sentence}")
            patience.patiently(connection, step["statement"], log)
    except psycopg.errors.ForeignKeyViolation as error:
        raise CutoverError(
            "verify.orphans",
            step["object"],
            "while the tables were swapped, a row was written that refers to nothing now: "
            f"{said_detail(error.diag.message_detail or '')}",
            "delete or re-point that row, then clear the task; or roll back.",
        ) from error
    except psycopg.Error as error:
        if answer.lost(error):
            raise
        text, obj = step["statement"], str(step["object"])
        raise answer.refused("verify.cannot-finish", obj, text, error, state=_SWAPPED, otherwise=_OR_BACK) from error
