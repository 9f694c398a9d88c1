"""The review: everything that the approver reads, from one snapshot, as it is stored in the run's row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from cutover.database.connect import Connect, Log, opened, pin_search_path
from cutover.migration import Migration
from cutover.records import chain, phase, run
from cutover.review import (
    counts,
    dumps,
    forecast,
    hindrances,
    probes,
    reconciliation,
    rehearsal,
    room,
    samples,
    sections,
    subject,
    warnings,
    when,
)
from cutover.swap import capture, coverage, outside, timing
from cutover.swap.order import Order

# What happens to each kind of dependent, in the approver's words.
FATE = {
    "view": "re-created over the new table, options kept",
    "materialized view": "built over the new tables beforehand, moved with them",
    "function": "re-created from its own text",
    "outside foreign key": "re-pointed to the new table, validated after the lock",
    "outside policy": "re-bound to the new table",
    "outside rule": "re-bound to the new table",
    "outside trigger": "made again over the new table",
    "outside default": "re-bound to the new table",
    "outside check": "re-bound to the new table, validated after the lock",
}


def build(
    connect: Connect, migration: Migration, this_run: str, log: Log, *, freezes: Sequence[timing.Freeze] = ()
) -> dict[str, Any]:
    """Make the review of what is staged, and store it with its fingerprint in the run's row.

    Everything in it is read from one snapshot, which sees nothing that anybody changes while it is made. ``freezes``
    are those of the target.

    Raises:
        CutoverError: ``review.not-balanced``, a source row is unaccounted for; ``review.not-validated``, it was changed
            after its validation; or what else would stop the swap: ``swap.orphans``, rows of outside tables would lose
            what they point at, and those of ``hindrances``.
    """
    with opened(connect) as held:
        made_from = phase.require(held, migration, this_run, "review")
        row = run.get(held, this_run)
        stored, covered = _make(connect, migration, row, subject.order(migration, row, freezes=freezes))
        values = {"review": stored, "coverage": covered.as_dict(), "fingerprint": covered.fingerprint}
        run.note(held, this_run, **values)
        phase.record(held, migration, this_run, "review", made_from, fingerprint=covered.fingerprint)
        chain.cover(held, "review", this_run, ("run", this_run))
    for table in stored["tables"]:
        log(
            f"{table['name']}: {table['before']:,} → {table['after']:,} rows, {table['added']:,} added, "
            f"{table['removed']:,} removed, {table['changed']:,} changed"
        )
    for warning in stored["warnings"]:
        log(f"{warning['title']}: {warning['total']:,}")
    log(f"fingerprint {stored['fingerprint']}")
    return dict(stored)


def _make(
    connect: Connect, migration: Migration, row: run.Run, planned: Order
) -> tuple[dict[str, Any], coverage.Coverage]:
    """The review of one snapshot, as it is stored, and what an approval of it covers."""
    this_run = row.run
    with opened(connect) as connection:
        snapshot = coverage.one_moment(connection, planned)
        subject.require_validated(connection, migration, row)
        scope = subject.scope_of(connection, migration, this_run)
        reasons, leave = hindrances.at_review(connect, connection, migration, row, scope, snapshot=snapshot)
        for reason in reasons:
            raise reason
        hide = samples.masks(migration.migration)
        review: dict[str, Any] = {
            "migration": migration.migration,
            "run": this_run,
            "triggered_by": row.triggered_by,
            "frozen_at": row.frozen_at,
            "tables": (tables := counts.of_tables(connection, scope, migration)),
            "samples": samples.of_tables(connection, scope, migration, hide, tables),
            "leaving": outside.as_json(leave),
            "reconciliation": reconciliation.of_run(connection, this_run),
            "dependents": [{"kind": d.kind, "name": d.name, "fate": FATE[d.kind]} for d in scope.dependents],
            "captured": capture.pending(connection, scope.outgoing, row.snapshot or "", None),
            "lock_times": forecast.lock_times(connection, migration),
            "rehearsal": (rehearsed := rehearsal.of_run(connection, row)),
            "probes": (probed := probes.of_run(connection, row)),
            "timing": when.of_run(connection, planned, may_be_past=bool(row.parameters.get("dry_run"))),
            "validation": row.validation,
        }
        pin_search_path(connection)
        review["figures"] = sections.of_folder(connection, migration, row, "review", hide)
        review["warnings"] = sections.of_folder(connection, migration, row, "review/warnings", hide)
        dumped, undumped = dumps.of_run(connection, migration, row)
        review["figures"] += dumped + room.of_run(connection, row)
        review["warnings"] += (
            warnings.unrehearsed(row, rehearsed)
            + probes.warnings(row, probed)
            + undumped
            + warnings.named_by_identity(connection, scope)
        )
        review["warnings"] += warnings.taken_back(connection, migration)
        stored = coverage.as_stored(connection, json.loads(json.dumps(review, default=_plain)))
        covered = coverage.take(connection, planned, review=stored)
        stored["fingerprint"] = covered.fingerprint
    return stored, covered


def _plain(value: object) -> object:
    """JSON for the types that PostgreSQL hands out: exact numbers as text, times in ISO 8601."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a review")
