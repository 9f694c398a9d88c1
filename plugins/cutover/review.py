"""Review: what the approver reads, made once as one object, and the fingerprint of what it is about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover import samples, transform
from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, moment, opened, pin_search_path
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import chain, phase, run
from cutover.swap import capture, code, coverage, orphans, outside, refusals, scope
from cutover.swap.order import Order, require_drift_allowed, require_recorded
from cutover.transform import SCHEMA
from cutover.validate.checks import title_of

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
# int8, int2, int4, float4, float8, numeric
_NUMBERS = frozenset({20, 21, 23, 700, 701, 1700})
# A whole number that names something is no number either: nobody counts years.
_NAMES = ("_id", "_no", "_number", "year", "version")
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
    # those of a number's type: the numbers of a text stay text
    numbers: list[str]
    rows: list[list[Any]]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dict(vars(self))


def build(connect: Connect, migration: Migration, this_run: str, log: Log) -> dict[str, Any]:
    """Make the review of what is staged, and store it with its fingerprint in the run's row.

    Everything in it is read from one snapshot, which sees nothing that anybody changes while it is made.

    Raises CutoverError ``review.not-balanced`` if a source row is unaccounted for, ``swap.orphans`` if rows of
    outside tables would lose what they point at.
    """
    with opened(connect) as held:
        made_from = phase.require(held, migration, this_run, "review")
        row = run.get(held, this_run)
        stored, seen = _make(connect, migration, row, order(migration, row))
        values = {"review": stored, "coverage": seen.as_dict(), "fingerprint": seen.fingerprint}
        run.note(held, this_run, **values)
        phase.record(held, migration, this_run, "review", made_from, fingerprint=seen.fingerprint)
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
        _require_validated(connection, migration, row)
        found = _scope(connection, migration, this_run)
        reasons, leave = _hindrances(connect, connection, migration, row, found, snapshot=snapshot)
        for reason in reasons:
            raise reason
        hide = samples.masks(migration.migration)
        review: dict[str, Any] = {
            "migration": migration.migration,
            "run": this_run,
            "triggered_by": row.triggered_by,
            "frozen_at": row.frozen_at,
            "tables": (tables := _tables(connection, found, migration)),
            "samples": samples.of_tables(connection, found, migration, hide, tables),
            "leaving": outside.as_json(leave),
            "reconciliation": _reconciliation(connection, this_run),
            "dependents": [{"kind": d.kind, "name": d.name, "fate": FATE[d.kind]} for d in found.dependents],
            "captured": capture.pending(connection, found.outgoing, row.snapshot or "", None),
            "lock_times": _lock_times(connection, migration),
            "validation": row.validation,
        }
        pin_search_path(connection)
        review["figures"] = [s.as_dict() for s in _sections(connection, migration, row, "review", hide)]
        review["warnings"] = [s.as_dict() for s in _sections(connection, migration, row, "review/warnings", hide)]
        dumped, undumped = _dumps(connection, migration, row)
        review["figures"] += dumped
        review["warnings"] += undumped + _named_by_identity(connection, found) + _taken_back(connection, migration)
        stored = coverage.as_stored(connection, json.loads(json.dumps(review, default=_plain)))
        seen = coverage.take(connection, planned, review=stored)
        stored["fingerprint"] = seen.fingerprint
    return stored, seen


def _require_validated(connection: psycopg.Connection, migration: Migration, row: run.Run) -> None:
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


def hindrances(connect: Connect, migration: Migration, this_run: str) -> list[CutoverError]:
    """What would stop this run's swap at this moment; nothing, if it would go through.

    Carries and finds, and takes it all back.
    """
    with opened(connect) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        row = run.get(connection, this_run)
        found = _scope(connection, migration, this_run)
        return _hindrances(connect, connection, migration, row, found, snapshot=moment(connection))[0]


def in_the_way(connection: psycopg.Connection, migration: Migration, row: run.Run) -> list[CutoverError]:
    """What would stop this run's swap as far as reading alone can tell, for the pages to look at while somebody thinks.

    Holds no lock, writes nothing, and takes about a second; the connection bounds it. What it names is so; what only
    carrying can tell is told by the swap.
    """
    planned = order(migration, row)
    found = _scope(connection, migration, row.run)
    reasons: list[CutoverError] = []
    refused = refusals.find(connection, found)
    if refused:
        reasons.append(refusals.SwapRefusedError(refused))
    proofs: tuple[Callable[[], None], ...] = (
        lambda: require_drift_allowed(connection, planned, found),
        lambda: require_recorded(connection, planned, found),
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
    lost = orphans.certain(connection, outside.refusing(connection, found, planned.leaving), planned.since)
    if lost:
        reasons.append(orphans.refusal(lost))
    return reasons + _declared_hindrances(connection, migration, row)


def _hindrances(
    connect: Connect,
    connection: psycopg.Connection,
    migration: Migration,
    row: run.Run,
    found: scope.Scope,
    *,
    snapshot: str,
) -> tuple[list[CutoverError], list[outside.Followed]]:
    """Every reason, the first by which the swap would stop first; and what becomes of rows outside.

    What is tried, and taken back, sees the moment of ``snapshot``, which the connection has exported.
    """
    reasons: list[CutoverError] = []
    try:
        require_recorded(connection, order(migration, row), found)
    except CutoverError as gap:
        reasons.append(gap)
    refused = refusals.find(connection, found)
    if refused:
        reasons.append(refusals.SwapRefusedError(refused))
    leaving = outside.Policy(migration.leaving)
    staying = outside.refusing(connection, found, leaving)
    lost = orphans.as_carried(connect, row.run, staying, row.snapshot or "", snapshot=snapshot, merged=False)
    if lost:
        reasons.append(orphans.refusal(lost))
    reasons += _declared_hindrances(connection, migration, row)
    leave: list[outside.Followed] = []
    try:
        leave = outside.foresee(connect, row.run, found, leaving, row.snapshot or "", snapshot=snapshot)
    except CutoverError as reason:
        reasons.append(reason)
    return reasons, leave


def _scope(connection: psycopg.Connection, migration: Migration, this_run: str) -> scope.Scope:
    return scope.read(
        connection,
        migration.swapped_tables(),
        incoming_schema=SCHEMA,
        backup_schema=f"backup_{this_run}",
        merged=migration.merged_tables(),
        written=migration.written_tables(),
    )


def fingerprinted(migration: Migration) -> list[str]:
    """The staging tables that an approval is about: all of them, merged ones included."""
    return migration.staging_tables()


def fingerprint_of(connection: psycopg.Connection, migration: Migration, row: run.Run) -> str:
    """The fingerprint of everything that an approval of this run covers, as it is at this moment."""
    return coverage.again(connection, order(migration, row))[0].fingerprint


def order(migration: Migration, row: run.Run, **policy: Any) -> Order:
    """The order of this run's swap, as reviewed. ``policy``: ``on_drift``, ``carry_limit``, ``patience``.

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
    limits = {name: row.parameters[name] for name in ("on_drift", "carry_limit") if name in row.parameters}
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
        **(limits | policy),
    )


def _declared_hindrances(connection: psycopg.Connection, migration: Migration, row: run.Run) -> list[CutoverError]:
    """What the migration itself says must not be launched: each file of ``review/hindrances`` that finds rows."""
    pin_search_path(connection)
    reasons = []
    for path in files.files(f"{migration.migration}/review/hindrances"):
        text = files.text(path)
        found = connection.execute(text.encode(), {"run": row.run, **settings(migration)}).fetchall()
        if found:
            reasons.append(
                CutoverError(
                    "review.hindered",
                    f"{len(found):,} rows of {path}",
                    f"{title_of(text, path)}, such as {found[0][0]}.",
                    "clear them up in the application, or change what migration.yaml says; then start a new run.",
                )
            )
    return reasons


def settings(migration: Migration) -> dict[str, Any]:
    """What the migration's own statements may ask of its declaration."""
    return {"unconfirmed": migration.unconfirmed, "deletes": list(migration.deletes)}


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
            cursor.execute(text.encode(), {"run": row.run, **settings(migration)})
            columns = [column.name for column in cursor.description or ()]
            numbers = [column.name for column in cursor.description or () if _is_number(column)]
            rows = cursor.fetchmany(most)
            total = cursor.rowcount
        shown = [list(hide.query_row(one).values()) for one in rows]
        sections.append(Section(Path(path).stem, title_of(text, path), total, columns, numbers, shown))
    return sections


def _is_number(column: psycopg.Column) -> bool:
    return column.type_code in _NUMBERS and not f"_{column.name}".endswith(_NAMES)


def _named_by_identity(connection: psycopg.Connection, found: scope.Scope) -> list[dict[str, Any]]:
    """Values of type regclass in rows: they would go on naming the old tables, which only their owner can judge."""
    rows: list[list[Any]] = []
    for row in catalog.rows(connection, "regclass_values", tables=[*found.outgoing, *found.rebuilt]):
        counted = connection.execute(row["statement"].encode()).fetchone()
        if counted is not None and counted[0]:
            rows.append([row["object"], counted[0]])
    title = (
        "Rows that name a table by its identity (regclass) and will name the old one: set them anew after the launch"
    )
    if not rows:
        return []
    total = sum(count for _, count in rows)
    return [Section("regclass_values", title, total, ["column", "rows"], ["rows"], rows).as_dict()]


def _taken_back(connection: psycopg.Connection, migration: Migration) -> list[dict[str, Any]]:
    """Writes that a launch from the sources does not have, because a rollback has taken their tables away."""
    found = connection.execute(files.statement("review/taken_back.sql"), {"migration": migration.migration})
    rows = [list(row) for row in found.fetchall()]
    if not rows:
        return []
    title = (
        f"Writes that are in {rows[0][4]} alone, since {rows[0][3]} has taken their tables back: to keep them, "
        "take back that rollback first, and launch then"
    )
    columns = ["table", "operation", "writes", "taken back by", "backup"]
    total = sum(writes for _, _, writes, _, _ in rows)
    return [Section("taken_back", title, total, columns, ["writes"], rows).as_dict()]


def _dumps(
    connection: psycopg.Connection, migration: Migration, row: run.Run
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A figure of the dumps that were made of the sources, and a warning of what they do not go to prove."""
    records, dumped = phase.newest(connection, row.run), migration.dumped(row.parameters)
    made, limits = [], []
    for name, database in migration.databases.items():
        if name not in dumped:
            asked = bool(row.parameters.get("dump_sources"))
            no_role = "migration.yaml names no connection to dump it by (databases, `dump`)"
            limits.append([name, no_role if asked and database.dump is None else "no dump was asked for"])
            continue
        told, proved = records[f"dump.{name}"].result, records[f"proof.{name}"].result
        where = proved["restored_on"]
        held = f"all rows read back{f', restored on {where}' if where else ''}"
        size = Decimal(told["bytes"]).scaleb(-6).quantize(Decimal("0.1"))
        server = f"PostgreSQL {told['server_version']}"
        taken, digest = told["taken_at"], told["sha256"]
        made.append([name, taken, proved["rows"], proved["tables"], size, digest, told["location"], server, held])
        if where is None:
            limits.append([name, "its dump was read back, and restored nowhere: there is no connection `rehearsal`"])
    columns = ["source", "as of", "rows", "tables", "MB", "sha256", "location", "server", "proof"]
    numbers = ["rows", "tables", "MB"]
    title = "Dumps of the sources, made before anything could change"
    figure = Section("dumps", title, len(made), columns, numbers, made)
    title = "Sources without a dump that was restored once"
    warning = Section("undumped", title, len(limits), ["source", "why"], [], limits)
    return [figure.as_dict()] if made else [], [warning.as_dict()] if limits else []


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
        *_rejects(review),
        *[line for figure in review["figures"] for line in _figure(figure)],
        *_leaving(review),
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


def rejects_limit(review: dict[str, Any]) -> str | None:
    """How many rows of a source may be rejected, by what the validation was run with."""
    bounds = (review.get("validation") or {}).get("parameters") or {}
    if "rejects_share" not in bounds:
        return None
    percent = f"{bounds['rejects_share'] * 100:.6g} %"
    return f"{bounds['rejects_rows']:,} rows, or {percent} of those read"


def _rejects(review: dict[str, Any]) -> list[str]:
    """The bounds under which the source with most rejected rows has come through."""
    limit = rejects_limit(review)
    return [f"A source may have as many rejected as {limit}, whichever is more.", ""] if limit else []


# What is done to rows outside that lose what they refer to, in the approver's words.
_LEAVING = {
    "delete": "go to `cutover.set_aside`",
    "move": "refer to the row that the person's other one goes on as",
    "set null": "lose the reference",
    "set default": "get the default reference",
}


def _leaving(review: dict[str, Any]) -> list[str]:
    """What becomes of rows outside the set, key by key."""
    if not review.get("leaving"):
        return []
    return [
        "**Rows of other tables that lose what they refer to** (a rollback puts them back)",
        "",
        *(f"* `{one['key_name']}`: **{one['rows']:,}** {_LEAVING[one['operation']]}" for one in review["leaving"]),
        "",
    ]


def _figure(figure: dict[str, Any]) -> list[str]:
    """A short figure with a before and an after as a table; nothing for any other, which the whole review shows."""
    columns, rows = figure["columns"], figure["rows"]
    if not {"before", "after"} <= set(columns) or not 0 < figure["total"] <= FORM_ROWS:
        return []
    numbers = figure.get("numbers", [*columns])
    marks = ["---:" if column in ("before", "after", "change") else "---" for column in columns]
    return [
        f"**{figure['title']}**",
        "",
        f"| {' | '.join(column.replace('_', ' ') for column in columns)} |",
        f"|{'|'.join(marks)}|",
        *(f"| {' | '.join(map(_in_form, row, [column in numbers for column in columns]))} |" for row in rows),
        "",
    ]


def _in_form(value: Any, is_number: bool) -> str:
    """A value as the form shows it: exact numbers with separators, and text that cannot be taken for Markdown."""
    if value is None:
        return "–"
    with suppress(InvalidOperation):
        if is_number:
            return f"{Decimal(str(value)):,}"
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
