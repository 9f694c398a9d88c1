"""Rollback: the same swap, run backwards from the ledger, with the writes made since carried back.

A rollback is an entry of the ledger like any other, so it can itself be rolled back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from cutover import ledger, run
from cutover import sql as files
from cutover.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.swap import fingerprint, orphans, preparation, refusals
from cutover.swap.carry import carry, total
from cutover.swap.move import Order, read_scope, swap
from cutover.validate.masking import masked_text


@dataclass(frozen=True)
class Preview:
    """What a rollback would do: what is carried back, what cannot be, what stands in its way."""

    undoes: str
    action: str
    backup_schema: str
    tables: list[dict[str, Any]]
    carried: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    orphans: list[dict[str, Any]]
    refusals: list[dict[str, Any]]
    fingerprint: str

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def undoable(connection: psycopg.Connection, migration: str) -> ledger.Entry:
    """The entry that a rollback would take back: the newest, whose backup is still there.

    Older ones cannot be reached past it. Raises CutoverError ``rollback.nothing-to-undo`` or
    ``rollback.backup-dropped``.
    """
    entry = ledger.latest(connection, migration)
    if entry is None:
        raise CutoverError(
            "rollback.nothing-to-undo",
            migration,
            "the ledger holds no swap of this migration.",
            "nothing needs to be rolled back; check that this is the right DAG and database.",
        )
    found = connection.execute("select to_regnamespace(quote_ident(%s)) is null", (entry.backup_schema,)).fetchone()
    if found == (True,):
        raise CutoverError(
            "rollback.backup-dropped",
            entry.backup_schema,
            f"the backup of {entry.action} {entry.run} has been dropped.",
            "restore it from a database backup, or launch corrected data with a new run.",
        )
    return entry


def order(entry: ledger.Entry, migration: Migration, this_run: str, **policy: Any) -> Order:
    """The order that takes ``entry`` back. ``policy`` may hold ``on_drift``, ``carry_limit`` and ``patience``."""
    return Order(
        run=this_run,
        migration=entry.migration,
        action="rollback",
        tables=[(table["schema"], table["name"]) for table in entry.tables],
        incoming_schema=entry.backup_schema,
        backup_schema=f"backup_{this_run}",
        since=entry.snapshot,
        # the swap's own writes are part of what it put in place, not of what was written since
        except_xid=entry.xid,
        staged_xid=None,
        fingerprinted=[table["name"] for table in entry.tables if table["outgoing"] is not None],
        evidence={"undoes": entry.run},
        merged=migration.merged_tables(),
        create=files.files(f"{migration.migration}/swap", "create_*.sql"),
        drop=files.files(f"{migration.migration}/swap", "drop_*.sql"),
        undoes=entry.run,
        **policy,
    )


def preview(connect: Connect, planned: Order) -> Preview:
    """Do what the rollback would do to the rows, look at the result, and take it back. Locks no production table."""
    with connect() as connection:
        found = read_scope(connection, planned)
        reasons = refusals.find(connection, found)
        staged = fingerprint.tables(connection, planned.incoming_schema, planned.fingerprinted, planned.tables)
        connection.commit()
        with connection.transaction(force_rollback=True):
            preparation.strip_triggers(connection, found)
            counts, _ = carry(connection, planned.run, found, planned.since, planned.except_xid)
            in_quarantine = connection.execute(
                "select table_name, operation, sqlstate, reason, count(*) from cutover.quarantine where run = %s "
                "group by 1, 2, 3, 4 order by 5 desc limit 50",
                (planned.run,),
            ).fetchall()
            lost = orphans.find(connection, found)
    names = ("table_name", "operation", "sqlstate", "reason", "writes")
    return Preview(
        undoes=planned.undoes or "",
        action=planned.action,
        backup_schema=planned.incoming_schema,
        tables=[{"schema": t.schema, "name": t.name, "comes_back": t.incoming is not None} for t in found.tables],
        carried=total(counts),
        # a constraint or a trigger of the application may quote the value that it refuses
        quarantined=[dict(zip(names, (*row[:3], masked_text(row[3]), row[4]), strict=True)) for row in in_quarantine],
        orphans=[asdict(o) for o in lost],
        refusals=[asdict(r) for r in reasons],
        fingerprint=fingerprint.combine(staged, planned.evidence),
    )


def roll_back(connect: Connect, planned: Order, log: Log) -> ledger.Entry:
    """Move the old tables back in one transaction. Needs a recorded approval of exactly this rollback."""
    return swap(connect, planned, log)


def review(connect: Connect, migration: Migration, this_run: str, log: Log) -> dict[str, Any]:
    """Preview the rollback of the newest entry and store it, with its fingerprint, in the run's row.

    Raises CutoverError ``rollback.nothing-to-undo``, or the reasons for which the swap back would be refused.
    """
    with opened(connect) as connection:
        entry = undoable(connection, migration.migration)
    seen = preview(connect, order(entry, migration, this_run))
    for count in seen.carried:
        log(
            f"{count['table_name']} {count['operation']}: {count['carried']} carried back, "
            f"{count['already_gone']} already gone, {count['quarantined']} cannot be"
        )
    if seen.refusals:
        raise refusals.SwapRefusedError([refusals.Refusal(**reason) for reason in seen.refusals])
    if seen.orphans:
        raise orphans.refusal([orphans.Orphans(**found) for found in seen.orphans])
    with opened(connect) as connection:
        run.note(connection, this_run, review=seen.as_dict(), fingerprint=seen.fingerprint)
    log(f"{entry.action} {entry.run} of {entry.recorded_at:%Y-%m-%d %H:%M %Z} can be rolled back")
    return seen.as_dict()


def fingerprint_of(connection: psycopg.Connection, migration: Migration, row: run.Run) -> str:
    """The fingerprint of the tables that would come back, at this moment."""
    planned = _reviewed(connection, migration, row)
    staged = fingerprint.tables(connection, planned.incoming_schema, planned.fingerprinted, planned.tables)
    return fingerprint.combine(staged, planned.evidence)


def run_reviewed(connect: Connect, migration: Migration, this_run: str, log: Log) -> ledger.Entry:
    """Roll back the entry that this run's review was about, and no other."""
    with opened(connect) as connection:
        planned = _reviewed(connection, migration, run.get(connection, this_run))
    return roll_back(connect, planned, log)


def _reviewed(connection: psycopg.Connection, migration: Migration, row: run.Run) -> Order:
    """The order for the entry named in the review. Raises ``rollback.overtaken`` if it is not the newest any more."""
    reviewed = (row.review or {}).get("undoes")
    done = ledger.find(connection, row.run)
    entry = ledger.find(connection, done.undoes or "") if done else undoable(connection, migration.migration)
    if entry is None or entry.run != reviewed:
        raise CutoverError(
            "rollback.overtaken",
            f"run {row.run}",
            f"its review is about {reviewed}, but since then {entry.run if entry else 'nothing'} is the newest entry.",
            "trigger a new rollback, which previews the newest entry.",
        )
    return order(entry, migration, row.run)


def markdown(review: dict[str, Any]) -> str:
    """The preview as the approval form shows it."""
    back = [t["name"] for t in review["tables"] if t["comes_back"]]
    gone = [t["name"] for t in review["tables"] if not t["comes_back"]]
    lines = [
        f"Takes back **{review['undoes']}**. These tables come back: {', '.join(back)}."
        + (
            f" These had no predecessor, and go to the backup with every write made to them: {', '.join(gone)}."
            if gone
            else ""
        ),
        "",
        "| writes made since | operation | carried back | already gone | cannot be carried |",
        "|---|---|---:|---:|---:|",
        *(
            f"| {c['table_name']} | {c['operation']} | {c['carried']:,} | {c['already_gone']:,} "
            f"| {c['quarantined']:,} |"
            for c in review["carried"]
        ),
        *(["| none | | | | |"] if not review["carried"] else []),
        "",
    ]
    if review["quarantined"]:
        lines += ["**Cannot be carried back** (kept whole in `cutover.quarantine`):", ""]
        lines += [
            f"* {q['writes']:,} × {q['operation']} of {q['table_name']}: {q['reason']} ({q['sqlstate']})"
            for q in review["quarantined"]
        ]
        lines.append("")
    lines.append(f"Fingerprint `{review['fingerprint']}`")
    return "\n".join(lines)
