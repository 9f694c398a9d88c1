"""Rollback: the same swap, run backwards from the ledger, with the writes made since carried back.

A rollback is an entry of the ledger like any other, so it can itself be rolled back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover import revert
from cutover.database import answer, catalog
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import Migration
from cutover.records import NEWEST_ENTRY, NEWEST_LAUNCH, chain, ledger, phase, run
from cutover.swap import coverage, orphans, outside, preparation, refusals, shape
from cutover.swap.carry import Carried, carry, require_all_carried, total
from cutover.swap.order import Order, read_scope, require_recorded
from cutover.swap.rehearsal import Rehearsal, in_words, rehearse
from cutover.swap.scope import Scope
from cutover.swap.transaction import swap

# Notes of an entry that outlive its rollback, with what an approver is to know of them.
_STAYS = {
    "accounts_made_void": "accounts whose address nobody had proved stay void: their first sign-in is by a link to it",
}


@dataclass(frozen=True)
class Preview:
    """What a rollback would do: what is carried back, what cannot be, what stands in its way.

    ``past`` is the newest entry, if it is another one than the rollback ``undoes``.
    """

    undoes: str
    past: str | None
    action: str
    backup_schema: str
    tables: list[dict[str, Any]]
    carried: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    orphans: list[dict[str, Any]]
    refusals: list[dict[str, Any]]
    fingerprint: str
    coverage: coverage.Coverage
    # how many writes were carried, and how many seconds that took: the rollback takes as long, before its lock
    carrying: dict[str, float]
    # writes made since to tables that had no predecessor: they go to the backup with their tables
    leaves_with: list[dict[str, Any]]
    # what the entry noted beside the tables, and a rollback leaves as it is
    stays: dict[str, int]
    # rows of other tables that refer to what goes, and rows that wait to be put back
    leaving: list[dict[str, Any]]
    waiting: int
    # of the accounts that the launch made: how many, and how many nobody has used
    accounts: dict[str, int]
    # what was done to columns of production since: the tables that come back have them so, too
    columns: list[dict[str, Any]]
    # what its rehearsal has found; None where none was asked for
    rehearsal: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON; what it covers is stored beside it."""
        return {name: value for name, value in vars(self).items() if name != "coverage"}


def undoable(connection: psycopg.Connection, migration: str, take_back: str = NEWEST_ENTRY) -> ledger.Entry:
    """The entry that a rollback would take back, whose backup is still there.

    One after the other, launches are reached that way down to the first. Raises CutoverError
    ``rollback.nothing-to-undo`` or ``rollback.backup-dropped``.
    """
    entry = ledger.latest(connection, migration)
    if entry is None:
        raise CutoverError(
            "rollback.nothing-to-undo",
            migration,
            "the ledger holds no swap of this migration.",
            "nothing needs to be rolled back; check that this is the right DAG and database.",
        )
    if take_back == NEWEST_LAUNCH:
        in_force = ledger.in_force(connection, migration)
        if not in_force:
            raise CutoverError(
                "rollback.nothing-to-undo",
                migration,
                "every launch has been taken back: production is as it was before the first one.",
                f"nothing needs to be rolled back; to have the last one again, take back the {NEWEST_ENTRY}.",
            )
        found_entry = ledger.find(connection, in_force[-1])
        assert found_entry is not None
        entry = found_entry
    row = connection.execute("select to_regnamespace(quote_ident(%s)) is null", (entry.backup_schema,)).fetchone()
    if row == (True,):
        raise CutoverError(
            "rollback.backup-dropped",
            entry.backup_schema,
            f"the backup of {entry.action} {entry.run} has been dropped.",
            "restore it from a database backup, or launch corrected data with a new run.",
        )
    return entry


def order(
    entry: ledger.Entry, migration: Migration, this_run: str, *, placed: str | None = None, **policy: Any
) -> Order:
    """The order that takes ``entry`` back. ``policy`` may hold ``on_drift``, ``carry_limit`` and ``patience``.

    ``placed`` is the newest entry if that is another one: it has put the tables of ``entry`` in place again.
    """
    return Order(
        run=this_run,
        migration=entry.migration,
        action="rollback",
        tables=[(table["schema"], table["name"]) for table in entry.tables],
        incoming_schema=entry.backup_schema,
        backup_schema=f"backup_{this_run}",
        since=entry.snapshot,
        filenodes=entry.report.get("filenodes", {}),
        # the swap's own writes are part of what it put in place, not of what was written since
        except_xid=entry.xid,
        staged_xid=None,
        fingerprinted=[table["name"] for table in entry.tables if table["outgoing"] is not None],
        evidence={"undoes": entry.run},
        merged=migration.merged_tables(),
        written=migration.written_tables(),
        create=files.files(f"{migration.migration}/swap", "create_*.sql"),
        drop=files.files(f"{migration.migration}/swap", "drop_*.sql"),
        undoes=entry.run,
        placed=placed or entry.run,
        merge=files.files(f"{migration.migration}/swap", "remake_*.sql"),
        settings={"undone": entry.run},
        leaving=outside.Policy({}, aside=True),
        **{"carry_limit": None, **policy},
    )


def order_for(
    connection: psycopg.Connection, migration: Migration, this_run: str, parameters: Mapping[str, Any]
) -> Order:
    """The order that takes back what the run's parameter ``take_back`` names, or ``revert`` by its window.

    Raises as ``undoable`` and ``revert.require_open`` do.
    """
    by_window = parameters.get(revert.PARAMETER)
    if by_window is not None:
        revert.require_open(connection, migration, by_window)
        entry = undoable(connection, migration.migration)
        return order(entry, migration, this_run, quarantines=False)
    entry = undoable(connection, migration.migration, parameters.get("take_back", NEWEST_ENTRY))
    newest = ledger.latest(connection, migration.migration)
    return order(entry, migration, this_run, placed=newest.run if newest else None)


def preview(connect: Connect, planned: Order, rehearsal: Rehearsal | None = None) -> Preview:
    """Do what the rollback would do to the rows, look at the result, and take it back. Locks no production table.

    ``rehearsal`` is told with it. Raises CutoverError ``rollback.cannot-preview`` for what PostgreSQL refuses of it.
    """
    with answer.as_error("rollback.cannot-preview", f"{planned.run} (takes back {planned.undoes})"):
        return _preview(connect, planned, rehearsal)


def _preview(connect: Connect, planned: Order, rehearsal: Rehearsal | None) -> Preview:
    with connect() as connection:
        connection.autocommit = True
        scope = read_scope(connection, planned)
        require_recorded(connection, planned, scope)
        # of the backup alone, and nothing in it is lost: what is looked at, and approved, is what will come back
        columns = shape.changes(connection, planned, scope)
        shape.follow(connection, planned, scope, lambda _: None)
        connection.autocommit = False
        reasons = refusals.find(connection, scope)
        connection.commit()
        # one snapshot for what is carried, what is looked at and what an approval covers
        coverage.one_moment(connection, planned, writes=True)
        connection.execute("set local row_security = on")  # the application's own rows outside stay as its policies say
        reasons += _unfit(connection, scope)
        with connection.transaction(force_rollback=True):
            # nobody writes to a backup: but for what the entry's own transaction left in it (a trigger's profiles of
            # accounts that it made), it has the rows of before
            before = {
                t.name: _count(connection, t.incoming, planned.incoming_schema, t.name, planned.except_xid)
                for t in scope.tables
            }
            preparation.strip_triggers(connection, scope)
            began = time.monotonic()
            counts, _ = carry(connection, planned.run, scope, planned.since, planned.except_xid)
            took = time.monotonic() - began
            in_quarantine = connection.execute(
                files.statement("rollback/quarantine.sql"), {"run": planned.run}
            ).fetchall()
            # accounts that an earlier rollback took back are made again first: keys to them are judged in the swap
            staying = outside.refusing(connection, scope, planned.leaving)
            lost = orphans.find(connection, staying, merged=not planned.merge)
            leaving = outside.collect(connection, planned.run, scope, planned.leaving, whole=False)
            rows = {
                t.name: {
                    "before": before[t.name],
                    "now": _count(connection, t.outgoing, t.schema, t.name),
                    "after": _count(connection, t.incoming, planned.incoming_schema, t.name),
                }
                for t in scope.tables
            }
            gone = _leaves_with(connection, planned, scope)
            accounts = _accounts(connection, planned, scope.outgoing)
            waiting = outside.waiting(connection, planned.undoes or "")
        undone = ledger.find(connection, planned.undoes or "")
        stays = {name: count for name in _STAYS if (count := (undone.report if undone else {}).get(name))}
        names = ("table_name", "operation", "sqlstate", "reason", "writes")
        content: dict[str, Any] = {
            "undoes": planned.undoes or "",
            "past": planned.past,
            "action": planned.action,
            "backup_schema": planned.incoming_schema,
            "tables": [
                {"schema": t.schema, "name": t.name, "comes_back": t.incoming is not None, **rows[t.name]}
                for t in scope.tables
            ],
            "carried": total(counts),
            "carrying": {
                "writes": sum(count.carried + count.already_gone + count.quarantined for count in counts),
                "seconds": round(took, 1),
            },
            # a constraint or a trigger of the application may quote the value that it refuses
            "quarantined": [
                dict(zip(names, (*row[:3], masked_text(row[3]), row[4]), strict=True)) for row in in_quarantine
            ],
            "orphans": [asdict(o) for o in lost],
            "refusals": [asdict(r) for r in reasons],
            "leaves_with": gone,
            "stays": stays,
            "leaving": outside.as_json(leaving),
            "waiting": waiting,
            "accounts": accounts,
            "columns": [asdict(one) for one in columns],
            "rehearsal": rehearsal and rehearsal.as_dict(),
        }
        coverage.whole_tables(connection)
        content = coverage.as_stored(connection, content)
        covered = coverage.take(connection, planned, review=content)
    return Preview(**content, fingerprint=covered.fingerprint, coverage=covered)


def _unfit(connection: psycopg.Connection, scope: Scope) -> list[refusals.Refusal]:
    """Why rows that come back do not fit what production's tables have got since: a key, a check, an index.

    It is tried, as the rollback does it before anything is carried, and taken back; the first reason is told.
    """
    try:
        with connection.transaction(force_rollback=True):
            preparation.clear(connection, scope)
            preparation.dress(connection, scope, complete=False)
    except CutoverError as error:
        return [
            refusals.Refusal(
                error.code.removeprefix("swap."), error.obj, _with_rows(connection, scope, error), error.remedy
            )
        ]
    return []


def _with_rows(connection: psycopg.Connection, scope: Scope, error: CutoverError) -> str:
    """The reason, with how many values of a key that is broken stand in several rows."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.errors.UniqueViolation):
        return error.why
    for table in scope.tables:
        for row in catalog.rows(
            connection,
            "broken_key",
            production=table.outgoing,
            incoming=table.incoming,
            name=cause.diag.constraint_name,
        ):
            counted = connection.execute(row["statement"].encode()).fetchone()
            assert counted is not None
            return f"{error.why} Of the rows that come back {counted[1]:,} share {counted[0]:,} values of it."
    return error.why


def _count(
    connection: psycopg.Connection, oid: int | None, schema: str, table: str, without: str | None = None
) -> int | None:
    """Rows of a table as this transaction sees them, ``without`` those of one transaction; None without the table."""
    if oid is None:
        return None
    row = connection.execute(
        # no parameter: a name may have a percent sign in it
        files.statement("rollback/count.sql", table=sql.Identifier(schema, table), without=sql.Literal(without))
    ).fetchone()
    return int(row[0]) if row else 0


def _leaves_with(connection: psycopg.Connection, planned: Order, scope: Scope) -> list[dict[str, Any]]:
    """Writes since the entry to each table that has no predecessor: by table and operation."""
    names = {t.outgoing: f"{t.schema}.{t.name}" for t in scope.tables if t.outgoing is not None and t.incoming is None}
    rows = connection.execute(
        files.statement("rollback/pending.sql"),
        {"tables": list(names), "since": planned.since, "except_xid": planned.except_xid},
    ).fetchall()
    named = sorted((names[relid], operation, writes) for relid, operation, writes in rows)
    return [dict(zip(("table_name", "operation", "writes"), row, strict=True)) for row in named]


def _accounts(connection: psycopg.Connection, planned: Order, apart: list[int]) -> dict[str, int]:
    """What the migration says about accounts that it made: its files ``swap/preview_*.sql``."""
    counts: dict[str, int] = {}
    for path in files.files(f"{planned.migration}/swap", "preview_*.sql"):
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(files.text(path).encode(), {"undone": planned.undoes, "apart": apart})
            counts |= cursor.fetchone() or {}
    return counts


def roll_back(connect: Connect, planned: Order, log: Log) -> ledger.Entry:
    """Move the old tables back in one transaction. Needs a recorded approval of exactly this rollback."""
    return swap(connect, planned, log)


def review(connect: Connect, migration: Migration, this_run: str, log: Log) -> dict[str, Any]:
    """Preview the rollback of the entry that is to be taken back and store it, with its fingerprint, in the run's row.

    With the run's parameter ``rehearse`` it is rehearsed before, on production itself. Raises CutoverError
    ``rollback.nothing-to-undo``, or the reasons for which the swap back would be refused.
    """
    with opened(connect) as connection:
        made_from = phase.require(connection, migration, this_run, "review", phase.ROLLBACK)
        parameters = run.get(connection, this_run).parameters
        planned = order_for(connection, migration, this_run, parameters)
    rehearsal = rehearse(connect, planned, log) if parameters.get("rehearse") else None
    foreseen = preview(connect, planned, rehearsal)
    for one in foreseen.leaves_with:
        log(f"{one['table_name']} {one['operation']}: {one['writes']:,} writes go to the backup with the table")
    for count in foreseen.carried:
        log(
            f"{count['table_name']} {count['operation']}: {count['carried']} carried back, "
            f"{count['already_gone']} already gone, {count['quarantined']} cannot be"
        )
    if how_long := carrying(foreseen.as_dict()):
        log(how_long)
    if foreseen.refusals:
        raise refusals.SwapRefusedError([refusals.Refusal(**reason) for reason in foreseen.refusals])
    if foreseen.orphans:
        raise orphans.refusal([orphans.Orphans(**row) for row in foreseen.orphans])
    if not planned.quarantines:
        require_all_carried(migration.migration, [Carried(**count) for count in foreseen.carried])
    with opened(connect) as connection:
        values = {
            "review": foreseen.as_dict(),
            "coverage": foreseen.coverage.as_dict(),
            "fingerprint": foreseen.fingerprint,
        }
        run.note(connection, this_run, **values)
        phase.record(
            connection,
            migration,
            this_run,
            "review",
            made_from,
            action=phase.ROLLBACK,
            fingerprint=foreseen.fingerprint,
        )
        chain.cover(connection, "review", this_run, ("run", this_run))
    log(f"run {foreseen.undoes} can be rolled back" + (f", past {foreseen.past}" if foreseen.past else ""))
    return foreseen.as_dict()


def fingerprint_of(connection: psycopg.Connection, migration: Migration, row: run.Run) -> str:
    """The fingerprint of everything that an approval of this rollback covers, as it is at this moment."""
    planned = reviewed(connection, migration, row)
    return coverage.again(connection, planned)[0].fingerprint


def run_reviewed(connect: Connect, migration: Migration, this_run: str, log: Log) -> ledger.Entry:
    """Roll back the entry that this run's review was about, and no other."""
    with opened(connect) as connection:
        planned = reviewed(connection, migration, run.get(connection, this_run))
    return roll_back(connect, planned, log)


def reviewed(connection: psycopg.Connection, migration: Migration, row: run.Run) -> Order:
    """The order for the entry named in the review. Raises ``rollback.overtaken`` if there has been another since."""
    review = row.review or {}
    about = (review.get("undoes"), review.get("past"))
    done = ledger.find(connection, row.run)
    if done is not None:
        entry = ledger.find(connection, done.undoes or "")
        assert entry is not None
        by_window = row.parameters.get(revert.PARAMETER) is not None
        return order(entry, migration, row.run, placed=review.get("past"), quarantines=not by_window)
    planned = order_for(connection, migration, row.run, row.parameters)
    if (planned.undoes, planned.past) != about:
        raise CutoverError(
            "rollback.overtaken",
            f"run {row.run}",
            f"its review is about {about[0]}, but since then {planned.placed} is the newest entry.",
            "trigger a new rollback, which previews what there is now.",
        )
    return planned


def markdown(review: dict[str, Any]) -> str:
    """The preview as the approval form shows it."""
    back = [t["name"] for t in review["tables"] if t["comes_back"]]
    gone = [t["name"] for t in review["tables"] if not t["comes_back"]]
    lines = [
        f"Takes back **{review['undoes']}**"
        + (f", whose tables {review['past']} had put in place again" if review.get("past") else "")
        + f". These tables come back: {', '.join(back)}."
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
    if how_long := carrying(review):
        lines += [how_long, ""]
    if sentence := in_words(review.get("rehearsal")):
        lines += [f"{sentence}.", ""]
    if review.get("leaves_with"):
        lines += ["**Written since to tables that go to the backup** (what takes this back brings them again):", ""]
        lines += [f"* {one['writes']:,} × {one['operation']} of {one['table_name']}" for one in review["leaves_with"]]
        lines.append("")
    if review["quarantined"]:
        lines += ["**Cannot be carried back** (kept whole in `cutover.quarantine`):", ""]
        lines += [
            f"* {q['writes']:,} × {q['operation']} of {q['table_name']}: {q['reason']} ({q['sqlstate']})"
            for q in review["quarantined"]
        ]
        lines.append("")
    if any(t.get("now") is not None for t in review["tables"]):
        lines += ["| table | rows before | now | after this |", "|---|---:|---:|---:|"]
        lines += [
            f"| {t['name']} | {' | '.join(_shown(t.get(moment)) for moment in ('before', 'now', 'after'))} |"
            for t in review["tables"]
        ]
        lines += ["", f"*Before* is before {review['undoes']}; *after* has what was written since.", ""]
    if review.get("columns"):
        lines += ["**Columns that production has otherwise since** (the tables that come back follow it):", ""]
        lines += [f"* `{one['object']}`: {one['change']}" for one in review["columns"]]
        lines.append("")
    accounts = review.get("accounts") or {}
    if accounts.get("accounts_made"):
        made, unused = accounts["accounts_made"], accounts["accounts_unused"]
        lines += [
            f"Of **{made:,}** accounts that the launch made, **{unused:,}** that nobody has used are taken back with "
            f"the profiles that the sign-up trigger gave them; **{made - unused:,}** stay.",
            "",
        ]
    if review.get("leaving"):
        lines += [
            "**Rows of other tables that refer to what goes** (set aside whole; what undoes this puts them back):",
            "",
        ]
        lines += [f"* `{one['key_name']}`: **{one['rows']:,}**" for one in review["leaving"]]
        lines.append("")
    if review.get("waiting"):
        lines += [f"**{review['waiting']:,}** rows that the launch had set aside come back.", ""]
    lines += [f"* **{count:,}** {_STAYS[name]}" for name, count in review.get("stays", {}).items()]
    lines += [""] if review.get("stays") else []
    lines.append(f"Fingerprint `{review['fingerprint']}`")
    return "\n".join(lines)


def carrying(review: dict[str, Any]) -> str:
    """How long carrying takes, in a sentence; empty where nothing was written, or of a review that has not measured."""
    measured = review.get("carrying") or {}
    if not measured.get("writes"):
        return ""
    writes, seconds = measured["writes"], measured["seconds"]
    took = "less than a second" if seconds < 1 else f"{seconds:,.0f} s, {writes / seconds:,.0f} a second"
    return (
        f"Carrying {writes:,.0f} {'write' if writes == 1 else 'writes'} took {took}, in this preview. The rollback "
        "takes as long, and accordingly for what is written until then; it does so before its lock, and nobody waits."
    )


def _shown(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"
