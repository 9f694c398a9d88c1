"""What would stop a run's swap: what its review refuses, and what has come into the way of it since."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from cutover.database import statements as files
from cutover.database.connect import Connect, pin_search_path
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import run
from cutover.review import subject
from cutover.swap import coverage, orphans, outside, refusals
from cutover.swap.order import require_drift_allowed, require_recorded
from cutover.swap.scope import Scope
from cutover.validate.checks import title_of


def in_the_way(connection: psycopg.Connection, migration: Migration, row: run.Run) -> list[CutoverError]:
    """What would stop this run's swap as far as reading alone can tell, for the pages to look at while somebody thinks.

    Holds no lock, writes nothing, and takes about a second; the connection bounds it. What it names is so; what only
    carrying can tell is told by the swap.
    """
    planned = subject.order(migration, row)
    scope = subject.scope_of(connection, migration, row.run)
    reasons: list[CutoverError] = []
    refused = refusals.find(connection, scope)
    if refused:
        reasons.append(refusals.SwapRefusedError(refused))
    proofs: tuple[Callable[[], None], ...] = (
        lambda: require_drift_allowed(connection, planned, scope),
        lambda: require_recorded(connection, planned, scope),
    )
    for require in proofs:
        try:
            require()
        except CutoverError as reason:
            reasons.append(reason)
    changed = coverage.again(connection, planned)[1]
    if changed:
        try:
            coverage.require_same_code(changed, f"run {row.run}")
        except CutoverError as reason:
            reasons.append(reason)
        else:
            what = ", ".join(sorted({item.label for item in changed}))
            reasons.append(
                CutoverError(
                    "swap.not-approved",
                    f"run {row.run}",
                    f"what the answer is about has changed since the review: {what}.",
                    "find out who changed it; then trigger a new run.",
                )
            )
    lost = orphans.certain(connection, outside.refusing(connection, scope, planned.leaving), planned.since)
    if lost:
        reasons.append(orphans.refusal(lost))
    return reasons + _declared(connection, migration, row)


def at_review(
    connect: Connect,
    connection: psycopg.Connection,
    migration: Migration,
    row: run.Run,
    scope: Scope,
    *,
    snapshot: str,
) -> tuple[list[CutoverError], list[outside.Followed]]:
    """Every reason, the first by which the swap would stop first; and what becomes of rows outside.

    What is tried, and taken back, sees the moment of ``snapshot``, which the connection has exported.
    """
    reasons: list[CutoverError] = []
    try:
        require_recorded(connection, subject.order(migration, row), scope)
    except CutoverError as gap:
        reasons.append(gap)
    refused = refusals.find(connection, scope)
    if refused:
        reasons.append(refusals.SwapRefusedError(refused))
    leaving = outside.Policy(migration.leaving)
    staying = outside.refusing(connection, scope, leaving)
    lost = orphans.as_carried(connect, row.run, staying, row.snapshot or "", snapshot=snapshot, merged=False)
    if lost:
        reasons.append(orphans.refusal(lost))
    reasons += _declared(connection, migration, row)
    leave: list[outside.Followed] = []
    try:
        leave = outside.foresee(connect, row.run, scope, leaving, row.snapshot or "", snapshot=snapshot)
    except CutoverError as reason:
        reasons.append(reason)
    return reasons, leave


def _declared(connection: psycopg.Connection, migration: Migration, row: run.Run) -> list[CutoverError]:
    """What the migration itself says must not be launched: each file of ``review/hindrances`` that finds rows."""
    pin_search_path(connection)
    reasons = []
    for path in files.files(f"{migration.migration}/review/hindrances"):
        text = files.text(path)
        rows = connection.execute(text.encode(), {"run": row.run, **subject.settings(migration)}).fetchall()
        if rows:
            reasons.append(
                CutoverError(
                    "review.hindered",
                    f"{len(rows):,} rows of {path}",
                    f"{title_of(text, path)}, such as {rows[0][0]}.",
                    "clear them up in the application, or change what migration.yaml says; then start a new run.",
                )
            )
    return reasons
