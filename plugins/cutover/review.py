"""Review: what the approver reads, made once as one object, and the fingerprint of what it is about."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover import catalog, run, samples
from cutover import sql as files
from cutover.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.stage import SCHEMA
from cutover.swap import capture, fingerprint, orphans, refusals, scope
from cutover.swap.move import Order
from cutover.validate.checks import title_of

# What happens to each kind of dependent, in the approver's words.
FATE = {
    "view": "re-created over the new table, options kept",
    "materialized view": "built over the new tables beforehand, moved with them",
    "function": "re-created from its own text",
    "outside foreign key": "re-pointed to the new table, validated after the lock",
    "outside policy": "re-bound to the new table",
    "outside rule": "re-bound to the new table",
}
# Most rows kept of a figure and of a warning: the page has to stay a page.
FIGURE_ROWS = 400
WARNING_ROWS = 40
# Figures of more lines than this are on the whole review only: the form has to stay short.
FORM_ROWS = 8


@dataclass(frozen=True)
class Section:
    """A named list of rows: the figures or the warnings of one query file."""

    name: str
    title: str
    total: int
    columns: list[str]
    rows: list[list[Any]]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"name": self.name, "title": self.title, "total": self.total, "columns": self.columns, "rows": self.rows}


def build(connect: Connect, migration: Migration, this_run: str, log: Log) -> dict[str, Any]:
    """Make the review of what is staged, and store it with its fingerprint in the run's row.

    Raises CutoverError ``review.not-balanced`` if a source row is unaccounted for, ``swap.orphans`` if rows of
    outside tables would lose what they point at.
    """
    with opened(connect) as connection:
        row = run.get(connection, this_run)
        found = _scope(connection, migration, this_run)
        refusals.require_none(connection, found)
        orphans.require_none(connection, found)
        hide = samples.masks(migration.migration)
        review: dict[str, Any] = {
            "migration": migration.migration,
            "run": this_run,
            "triggered_by": row.triggered_by,
            "frozen_at": row.frozen_at,
            "tables": _tables(connection, found, migration),
            "samples": samples.of_tables(connection, found, migration, hide),
            "reconciliation": _reconciliation(connection, this_run),
            "dependents": [{"kind": d.kind, "name": d.name, "fate": FATE[d.kind]} for d in found.dependents],
            "captured": capture.pending(connection, found.outgoing, row.snapshot or "", None),
            "lock_times": _lock_times(connection, migration),
            "validation": row.validation,
        }
        connection.execute("reset search_path")
        review["figures"] = [s.as_dict() for s in _sections(connection, migration, row, "review", hide)]
        review["warnings"] = [s.as_dict() for s in _sections(connection, migration, row, "review/warnings", hide)]
        review["fingerprint"] = fingerprint_of(connection, migration, row)
        stored = json.loads(json.dumps(review, default=_plain))
        run.note(connection, this_run, review=stored, fingerprint=review["fingerprint"])
    for table in stored["tables"]:
        log(
            f"{table['name']}: {table['before']:,} → {table['after']:,} rows, {table['added']:,} added, "
            f"{table['removed']:,} removed, {table['changed']:,} changed"
        )
    for warning in stored["warnings"]:
        log(f"{warning['title']}: {warning['total']:,}")
    log(f"fingerprint {stored['fingerprint']}")
    return dict(stored)


def _scope(connection: psycopg.Connection, migration: Migration, this_run: str) -> scope.Scope:
    return scope.read(
        connection,
        migration.swapped_tables(),
        incoming_schema=SCHEMA,
        backup_schema=f"backup_{this_run}",
        merged=migration.merged_tables(),
    )


def fingerprinted(migration: Migration) -> list[str]:
    """The staging tables that an approval is about: all of them, merged ones included."""
    return migration.staging_tables()


def evidence(row: run.Run) -> dict[str, Any]:
    """What an approval is about beside the staged rows: the validation result, by its digest."""
    canonical = json.dumps(row.validation, sort_keys=True, separators=(",", ":"))
    return {"run": row.run, "validation": hashlib.sha256(canonical.encode()).hexdigest()}


def fingerprint_of(connection: psycopg.Connection, migration: Migration, row: run.Run) -> str:
    """The fingerprint of what is staged at this moment, together with the run's validation result."""
    staged = fingerprint.tables(connection, SCHEMA, fingerprinted(migration), migration.swapped_tables())
    return fingerprint.combine(staged, evidence(row))


def order(migration: Migration, row: run.Run, **policy: Any) -> Order:
    """The order of this run's swap, as reviewed. ``policy``: ``on_drift``, ``carry_limit``, ``patience``.

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
    return Order(
        run=row.run,
        migration=migration.migration,
        action="swap",
        tables=migration.swapped_tables(),
        incoming_schema=SCHEMA,
        backup_schema=f"backup_{row.run}",
        since=row.snapshot,
        staged_xid=row.staged_xid,
        fingerprinted=fingerprinted(migration),
        evidence=evidence(row),
        merged=migration.merged_tables(),
        merge=files.files(folder, "merge_*.sql"),
        checks=files.files(folder, "check_*.sql"),
        create=files.files(folder, "create_*.sql"),
        drop=files.files(folder, "drop_*.sql"),
        **policy,
    )


def _tables(connection: psycopg.Connection, found: scope.Scope, migration: Migration) -> list[dict[str, Any]]:
    tables = []
    for row in catalog.rows(connection, "changes", replaced=found.replaced, incoming_schema=SCHEMA):
        counts = connection.execute(row["statement"].encode()).fetchone()
        assert counts is not None
        names = ("before", "after", "added", "removed", "changed")
        tables.append({"name": row["object"], **dict(zip(names, counts, strict=True))})
    for table in found.tables:
        if table.outgoing is None:
            after = _count(connection, SCHEMA, table.name)
            tables.append({"name": table.name, "before": 0, "after": after, "added": after, "removed": 0, "changed": 0})
    for staged, live in migration.merge.items():
        schema, _, name = live.partition(".")
        before = _count(connection, schema, name)
        added = _new_rows(connection, staged, schema, name)
        tables.append(
            {"name": live, "before": before, "after": before + added, "added": added, "removed": 0, "changed": 0}
        )
    return tables


def _count(connection: psycopg.Connection, schema: str, table: str) -> int:
    row = connection.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))).fetchone()
    return int(row[0]) if row else 0


def _new_rows(connection: psycopg.Connection, staged: str, schema: str, table: str) -> int:
    row = connection.execute(
        files.statement(
            "review/new_rows.sql", staged=sql.Identifier(SCHEMA, staged), live=sql.Identifier(schema, table)
        )
    ).fetchone()
    return int(row[0]) if row else 0


def _reconciliation(connection: psycopg.Connection, this_run: str) -> list[dict[str, Any]]:
    """The balance of every source. Raises CutoverError unless read = staged + merged + left out + rejected."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(files.statement("review/reconciliation.sql"), {"run": this_run}).fetchall()
    for row in rows:
        if row["difference"]:
            raise CutoverError(
                "review.not-balanced",
                f"source {row['source']}",
                f"{row['read']} rows were read and {row['difference']} of them are unaccounted for.",
                "this is a fault of the migration's SQL: its prepare and transform files decide where a row goes.",
            )
    return [dict(row) for row in rows]


def _lock_times(connection: psycopg.Connection, migration: Migration) -> list[dict[str, Any]]:
    """How long clients waited in the launches and rollbacks so far: what to expect of the next one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(files.statement("review/lock_times.sql"), {"migration": migration.migration}).fetchall()
    return [{**row, "waited_ms": round(float(row["waited_ms"]), 1)} for row in rows]


def _sections(
    connection: psycopg.Connection, migration: Migration, row: run.Run, folder: str, hide: samples.Masks
) -> list[Section]:
    """Run every query file of a folder. Its first comment, up to the first full stop, is its title."""
    most = FIGURE_ROWS if folder == "review" else WARNING_ROWS
    sections = []
    for path in files.files(f"{migration.migration}/{folder}"):
        text = files.text(path)
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(text.encode(), {"run": row.run})
            columns = [column.name for column in cursor.description or ()]
            rows = cursor.fetchmany(most)
            total = cursor.rowcount
        shown = [list(hide.query_row(one).values()) for one in rows]
        sections.append(Section(Path(path).stem, title_of(text, path), total, columns, shown))
    return sections


def _plain(value: object) -> object:
    """JSON for the types that PostgreSQL hands out: exact numbers as text, times in ISO 8601."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in a review")


def markdown(review: dict[str, Any]) -> str:
    """The review as the approval form shows it: short, every figure beside the one before."""
    lines = [
        "| table | before | after | added | removed | changed |",
        "|---|---:|---:|---:|---:|---:|",
        *(
            f"| {t['name']} | {t['before']:,} | {t['after']:,} | {t['added']:,} | {t['removed']:,} | {t['changed']:,} |"
            for t in review["tables"]
        ),
        "",
        "| source | read | staged | merged | left out | rejected | balance |",
        "|---|---:|---:|---:|---:|---:|---:|",
        *(
            f"| {r['source']} | {r['read']:,} | {r['staged']:,} | {r['merged']:,} | {r['left_out']:,} "
            f"| {r['rejected']:,} | {r['difference']} |"
            for r in review["reconciliation"]
        ),
        "",
        *[line for figure in review["figures"] for line in _figure(figure)],
        "**Warnings**",
        "",
        *([f"* {w['title']}: **{w['total']:,}**" for w in review["warnings"] if w["total"]] or ["* none"]),
        "",
        f"{_validated(review)}; {len(review['dependents'])} dependent objects follow the new tables; "
        f"{review['captured']:,} production writes captured so far will be carried; {_expected(review)}.",
        "",
        f"Fingerprint `{review['fingerprint']}`",
    ]
    return "\n".join(lines)


def _figure(figure: dict[str, Any]) -> list[str]:
    """A short figure with a before and an after as a table; nothing for any other, which the whole review shows."""
    columns, rows = figure["columns"], figure["rows"]
    if not {"before", "after"} <= set(columns) or not 0 < figure["total"] <= FORM_ROWS:
        return []
    marks = ["---:" if column in ("before", "after", "change") else "---" for column in columns]
    return [
        f"**{figure['title']}**",
        "",
        f"| {' | '.join(column.replace('_', ' ') for column in columns)} |",
        f"|{'|'.join(marks)}|",
        *(f"| {' | '.join(_in_form(value) for value in row)} |" for row in rows),
        "",
    ]


def _in_form(value: Any) -> str:
    """A value as the form shows it: exact numbers with separators, and text that cannot be taken for Markdown."""
    if value is None:
        return "–"
    try:
        return f"{Decimal(str(value)):,}"
    except InvalidOperation:
        text = re.sub(r"[`\s]+", " ", str(value))[:40].replace("|", "\\|")
        return f"`{text}`"


def _validated(review: dict[str, Any]) -> str:
    """The validation in half a sentence."""
    validation = review["validation"] or {}
    suites, checks = validation.get("suites", []), validation.get("checks", [])
    held = sum(suite["evaluated"] - len(suite["failed"]) - len(suite["warned"]) for suite in suites)
    total = sum(suite["evaluated"] for suite in suites)
    passed = sum(check["success"] for check in checks)
    return f"{held} of {total} expectations and {passed} of {len(checks)} checks hold"


def _expected(review: dict[str, Any]) -> str:
    """How long clients will wait, by what was measured before."""
    times = sorted(entry["waited_ms"] for entry in review["lock_times"])
    if not times:
        return "how long clients will wait has not been measured yet"
    if len(times) == 1:
        return f"clients waited {times[0]:,.0f} ms the last time"
    return f"clients waited {times[len(times) // 2]:,.0f} ms in the middle of the last {len(times)} times"
