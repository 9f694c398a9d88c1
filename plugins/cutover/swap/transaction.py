"""The swap's transaction: attempts at it, what is done before its lock, and the move itself."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover.database import answer, catalog, clock, patience
from cutover.database import statements as files
from cutover.database.blockers import blockers
from cutover.database.connect import Log
from cutover.database.words import said_detail
from cutover.errors import CutoverError
from cutover.records import approval, chain, ledger
from cutover.swap import (
    approach,
    capture,
    coverage,
    inventory,
    orphans,
    outside,
    owner,
    preparation,
    proof,
    refusals,
    shape,
)
from cutover.swap.carry import Carried, carry, prepared, require_all_carried, total
from cutover.swap.execution import Block, Observer, run
from cutover.swap.finish import finish
from cutover.swap.order import (
    Connect,
    Order,
    read_scope,
    require_drift_allowed,
    require_recorded,
)
from cutover.swap.pace import UNPACED, Pace
from cutover.swap.plan import Plan, plan
from cutover.swap.scope import Scope

# A client that hangs inside the transaction loses its session, and with it the locks.
IDLE_IN_TRANSACTION_MS = 10_000
_CORRECT = "correct the statement or the object that it names, then clear the task, or start a new run."


@dataclass(frozen=True)
class Known:
    """What was found out before the lock so that clients do not wait for it; it cannot have changed inside.

    The statements of the move before and after the last writes are carried, how writes of each table are carried, which
    functions may be called by writing to which tables outside the set, and whether rows there leave or come back.
    """

    ahead: Block
    after: Block
    pairs: Jsonb
    called: owner.Functions
    written: Sequence[int]
    leaves: bool
    comes_back: bool


@dataclass(frozen=True)
class Leave:
    """By whose leave the transaction is done, and as what it is written down.

    ``require_alone`` takes the turn, ``require_open`` is asked of each moment whether it is one to swap in, ``obtain``
    locks the staged tables and returns what is covered, with the approval that it has used up; ``kind`` is that of the
    link in the chain, where that is not the order's action.
    """

    require_alone: Callable[[psycopg.Connection], None]
    require_open: Callable[[Order, datetime], None]
    obtain: Callable[[psycopg.Connection, Order], tuple[coverage.Coverage, approval.Approval | None]]
    kind: str | None = None


@dataclass(frozen=True)
class Ready:
    """What stands before the lock: since when, what was approved and by whom, what is carried and known.

    ``began`` is the server's time, ``work_began`` this machine's monotonic second; writes are carried up to the
    snapshot ``since``.
    """

    began: datetime
    work_began: float
    coverage: coverage.Coverage
    approval: approval.Approval | None
    carried: list[Carried]
    since: str
    known: Known


def swap(
    connect: Connect,
    order: Order,
    log: Log,
    observer: Observer | None = None,
    *,
    require: Callable[[], None] = lambda: None,
    pace: Pace = UNPACED,
) -> ledger.Entry:
    """Swap the tables of ``order``, or find that it has happened, and do what is left to do afterwards.

    ``require`` is called inside the lock, before the entry is written; what it raises ends the transaction. It is for
    what has to hold outside this database when the tables change. ``pace`` waits for replicas while the incoming tables
    are prepared, and never from the beginning of the transaction on.

    Safe to run again after being killed at any instant. Raises SwapRefusedError, CutoverError ``swap.too-early``,
    ``swap.missed`` and ``swap.frozen`` before any work, these three and ``swap.not-approved``, ``swap.drift``,
    ``swap.locked-out``, ``swap.parity`` … from the transaction, each with production as it was; what PostgreSQL refuses
    is ``swap.cannot-prepare``, ``swap.cannot-plan``, ``swap.cannot-move``, ``swap.cannot-complete``, and, when the
    tables are swapped, ``verify.cannot-finish``.
    """
    watch = observer or Observer()
    with answer.as_error("swap.cannot-complete", _tables(order), otherwise=_CORRECT), connect() as connection:
        tune(connection)
        _finish_earlier(connection, order, log)
        entry = ledger.find(connection, order.run)
        if entry is None:
            entry = _attempt_until_done(connection, order, log, observer, require=require, pace=pace)
        else:
            watch.at("committed")
            log(
                f"run {order.run} was recorded at {entry.recorded_at:%H:%M:%S}: nothing to swap, finishing what is left"
            )
        finish(connection, entry, log, order.leaving)
        watch.at("finished")
        return entry


def tune(connection: psycopg.Connection) -> None:
    """Make a session fit for a swap.

    Catalogue queries are short and run again inside the lock: their plans are made before it, and not compiled.
    """
    connection.autocommit = True
    # Each carried round must see what was committed before it, whatever the role's default isolation is.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    connection.read_only = False
    connection.deferrable = False
    connection.execute("set plan_cache_mode = force_generic_plan")
    connection.execute("set jit = off")


def _finish_earlier(connection: psycopg.Connection, order: Order, log: Log) -> None:
    """Finish the entry before this one, if it was killed after its commit: its keys are to be carried on as valid."""
    entry = ledger.latest(connection, order.migration)
    if entry is None or entry.run == order.run:
        return
    done = connection.execute(files.statement("swap/is_certified.sql"), {"run": entry.run}).fetchone()
    if done is None:
        log(f"{entry.action} {entry.run} was not finished: finishing it first")
        finish(connection, entry, log, order.leaving)


def _attempt_until_done(
    connection: psycopg.Connection,
    order: Order,
    log: Log,
    observer: Observer | None,
    *,
    require: Callable[[], None],
    pace: Pace,
) -> ledger.Entry:
    _require_open(order, clock.now(connection))
    with answer.as_error("swap.cannot-prepare", _tables(order)):
        prepare(connection, order, log, pace)
    reason = ""
    for attempt in range(1, order.patience.attempts + 1):
        with answer.as_error("swap.cannot-plan", _tables(order)):
            planned = plan(connection, order)
        if attempt == 1:
            log(f"plan: {planned.text()}")
        if observer:
            observer.at("planned")
        try:
            approach.require_gap(connection, planned, order, attempt, order.patience.pause(attempt))
            return transact(connection, order, planned, attempt=attempt, log=log, observer=observer, require=require)
        except patience.GAVE_UP as error:
            pause = order.patience.pause(attempt)
            reason = str(error).splitlines()[0]
            log(f"attempt {attempt}: {reason}; nothing was changed, next attempt in {pause:.1f} s")
            for line in blockers(connection, planned.locks.relations):
                log(f"  in the way: {line}")
            time.sleep(pause)
        except approach.CatalogueChangedError:
            reason = "somebody changed a swapped table between plan and lock"
            log(f"attempt {attempt}: {reason}; preparing again")
            with answer.as_error("swap.cannot-prepare", _tables(order)):
                prepare(connection, order, log, pace)
    raise CutoverError(
        "swap.locked-out",
        ", ".join(table.qualified for table in planned.scope.tables),
        f"none of {order.patience.attempts} attempts got through, the last because: {reason}; nothing was changed.",
        "end the sessions named above, or wait for a quieter hour, then clear the task swap.",
    )


def prepare(connection: psycopg.Connection, order: Order, log: Log, pace: Pace = UNPACED) -> None:
    """Bring the incoming tables to production's state of this moment; nothing here touches production's tables."""
    pace.tune(connection)
    scope = read_scope(connection, order)
    require_recorded(connection, order, scope)
    if order.action == "rollback":
        shape.follow(connection, order, scope, log)
    refusals.require_none(connection, scope)
    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(order.backup_schema)))
    _open_to_owners(connection, scope, order.backup_schema)
    preparation.clear(connection, scope, log)
    statements = preparation.dress(connection, scope, log, pace=pace)
    log(f"made the incoming tables equal to production's: {statements} statements")
    if order.action == "rollback":
        # what is carried to tables that come back was written since they came: a rollback past this one carries it, too
        capture.install(connection, [(order.incoming_schema, t.name) for t in scope.tables if t.incoming is not None])
    preparation.build_materialized_views(connection, scope, log, pace=pace)


def _open_to_owners(connection: psycopg.Connection, scope: Scope, backup_schema: str) -> None:
    """A table keeps its owner, and PostgreSQL wants that owner to be allowed to create where the table is."""
    for row in catalog.rows(
        connection, "owner_grants", outgoing=scope.outgoing, schemas=[backup_schema, scope.incoming_schema]
    ):
        connection.execute(row["statement"])


def transact(
    connection: psycopg.Connection,
    order: Order,
    planned: Plan,
    *,
    attempt: int,
    log: Log,
    observer: Observer | None,
    require: Callable[[], None],
    leave: Leave | None = None,
) -> ledger.Entry:
    """One attempt at the transaction, by default by leave of the recorded approval. Returns its entry."""
    leave = leave or Leave(_require_alone, _require_open, _use_approval)
    with _without_pauses(), connection.transaction():
        connection.execute(files.statement("swap/settings.sql"), {"idle": f"{IDLE_IN_TRANSACTION_MS}ms"})
        leave.require_alone(connection)
        ready = _make_ready(connection, order, planned, leave)
        if not order.quarantines:
            require_all_carried(order.migration, ready.carried)
        until = time.monotonic() + approach.worth_waiting(ready.work_began)
        approach.require_gap(connection, planned, order, attempt, until - time.monotonic())
        # Clients are not to wait for whoever appends to the chain, nor for what can be computed before.
        end = chain.reserve(connection)
        report = _report(planned) | {"coverage": ready.coverage.listed()} | _proved(connection, order, planned.scope)
        # moved as they are: whoever rewrites their rows from here on shows
        report[shape.REPORTED] = shape.placed(connection, planned.scope)
        report["filenodes"] = capture.filenodes(connection, [t.incoming for t in planned.scope.tables])
        if timed := _timed(order, ready.began):
            report["timing"] = timed
        digests = {"report": chain.digest_of(report)}
        locked_at, since, late = approach.lock(
            connection, order, planned, ready.since, attempt=attempt, until=until, observer=observer
        )
        if observer:
            observer.at("locked")
        # Nobody writes any more. Nor has anybody touched what was looked at just before: definitions, and the triggers
        # and files by which every write is proved to be recorded.
        if inventory.version(connection, planned.names) != planned.version:
            raise approach.CatalogueChangedError
        # an attempt may take longer than a window is open: what counts is when clients begin to wait
        leave.require_open(order, locked_at)
        rest, notes = _move(connection, order, planned, since, ready.known, observer=observer)
        if not order.quarantines:
            require_all_carried(order.migration, late, rest)
        if notes:
            report |= notes
            digests = {"report": chain.digest_of(report)}
        proof.require_parity(planned.before, inventory.take(connection, planned.names), planned.later)
        proof.require_nothing_left_behind(connection, order.backup_schema)
        require()
        row = ledger.write(
            connection,
            digests,
            run=order.run,
            migration=order.migration,
            action=order.action,
            undoes=order.undoes,
            backup_schema=order.backup_schema,
            fingerprint=ready.coverage.fingerprint,
            approval_id=ready.approval and ready.approval.approval_id,
            approved_by=ready.approval and ready.approval.approved_by,
            started_at=ready.began,
            locked_at=locked_at,
            attempts=attempt,
            tables=_describe(planned.scope),
            carried=total(ready.carried, late, rest),
            report=report,
        )
        covers = [row, ready.approval.row, *ready.approval.others] if ready.approval else [row]
        chain.append(connection, leave.kind or order.action, order.run, covers, tail=end)
        if observer:
            observer.at("recorded")
    if observer:
        observer.at("committed")
    entry = ledger.find(connection, order.run)
    assert entry is not None
    held = (entry.recorded_at - entry.locked_at).total_seconds() * 1000
    log(f"swapped {len(planned.scope.tables)} tables: clients waited at most {held:.0f} ms, attempt {attempt}")
    _log_carried(entry.carried, log)
    return entry


@contextmanager
def _without_pauses() -> Iterator[None]:
    """Python looks for no garbage meanwhile: with all of Airflow in memory that takes as long as the move itself."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _make_ready(connection: psycopg.Connection, order: Order, planned: Plan, leave: Leave) -> Ready:
    """Everything that needs no lock of production's tables, up to the last look at what would be orphaned."""
    require_recorded(connection, order, planned.scope)
    began, work_began = clock.now(connection), time.monotonic()
    leave.require_open(order, began)
    approved_list, consumed = leave.obtain(connection, order)
    require_drift_allowed(connection, order, planned.scope)
    # First the accounts, so that a carried write finds its person under the id that the person has by now.
    called = _merge(connection, order, planned.scope)
    carried, since = carry(connection, order.run, planned.scope, order.since, order.except_xid)

    def carry_on() -> None:
        nonlocal since
        more, since = carry(connection, order.run, planned.scope, since, order.except_xid)
        carried.extend(more)

    # the shorter what is between the carrying and the look, the fewer rows are looked at twice
    carry_on()
    looked_at = _oldest_running(connection)
    staying = outside.refusing(connection, planned.scope, order.leaving)
    orphans.require_none(connection, staying, carry_on)
    _require_checks(connection, order)
    approach.require_no_older_snapshot(connection, order, approach.worth_waiting(work_began))
    carry_on()
    orphans.require_none(connection, staying, carry_on, newer_than=looked_at)
    # What goes with the rows that leave is copied now; inside the lock it is only looked at again, and goes.
    known = _known(connection, order, planned, called)
    return Ready(began, work_began, approved_list, consumed, carried, since, known)


def _known(connection: psycopg.Connection, order: Order, planned: Plan, called: owner.Functions) -> Known:
    leaving = outside.collect(connection, order.run, planned.scope, order.leaving)
    return Known(
        Block.of(connection, planned.ahead),
        Block.of(connection, planned.after),
        prepared(connection, planned.scope, order.since, order.except_xid),
        called,
        refusals.written(connection, planned.scope),
        leaves=bool(leaving),
        comes_back=outside.may_come_back(connection, order.run),
    )


def _move(
    connection: psycopg.Connection,
    order: Order,
    planned: Plan,
    since: str,
    known: Known,
    *,
    observer: Observer | None,
) -> tuple[list[Carried], dict[str, Any]]:
    """The move itself, while clients wait. Returns what was carried last, and what the ledger is to note."""
    # Nobody signs up, confirms or signs in now: what an account is at this moment, it is when clients go on.
    noted = _inside(connection, order)
    run(connection, known.ahead, observer)
    rest, _ = carry(connection, order.run, planned.scope, since, order.except_xid, known=known.pairs)
    if known.leaves:
        noted["left"] = outside.apply(connection, order.run, planned.scope, order.leaving)
    run(connection, known.after, observer)
    if known.comes_back and (back := outside.put_back(connection, order.run, order.migration, order.undoes)):
        noted["put_back"] = back
    # Whoever owns a table that is first written to in here may have put something on it since it was judged.
    first_written_here = bool(order.inside) or known.leaves or known.comes_back
    owner.require_same(connection, known.called, known.written if first_written_here else ())
    return rest, noted


def _proved(connection: psycopg.Connection, order: Order, scope: Scope) -> dict[str, Any]:
    """What a rollback past this entry has to know: that the tables which go now were recorded since they came.

    A swap proves that in the lock since its own freeze; here, before the lock, since the entry that put them there. Of
    a rollback: that what it carries is recorded as writes to the tables that come back.
    """
    if order.action == "rollback":
        return {"carried_recorded": True}
    placed = ledger.placed_by(connection, scope.replaced)
    if placed is None:
        return {}
    gaps = capture.gaps(connection, scope.replaced, placed.snapshot, placed.xid, placed.report.get("filenodes", {}))
    return {} if gaps else {"proved_since": placed.run}


def _oldest_running(connection: psycopg.Connection) -> str:
    """The oldest transaction that may still write rows which a statement from here on does not see."""
    row = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::xid::text").fetchone()
    assert row is not None
    return str(row[0])


def _merge(connection: psycopg.Connection, order: Order, scope: Scope) -> owner.Functions:
    """Fill the merged tables. Returns the functions that this, and what is written later, may call."""
    called = owner.functions(connection, refusals.written(connection, scope))
    try:
        for path in order.merge:
            connection.execute(files.text(path).encode(), {"run": order.run, **order.settings})
    except psycopg.errors.UniqueViolation as error:
        detail = said_detail(error.diag.message_detail or "")
        raise psycopg.errors.LockNotAvailable(
            f"an account cannot be made now, for one is in its place ({detail})"
        ) from error
    # a trigger that came between the plan and the first row, or a function that was replaced meanwhile
    refusals.require_none_on_write(connection, scope)
    owner.require_same(connection, called)
    return called


def _inside(connection: psycopg.Connection, order: Order) -> dict[str, Any]:
    """Run the statements that only hold while clients wait. Returns what the ledger is to say: by column, its value."""
    noted: dict[str, Any] = {}
    for path in order.inside:
        with connection.cursor(row_factory=dict_row) as cursor:
            try:
                cursor.execute(files.text(path).encode(), {"run": order.run, **order.settings})
            except psycopg.errors.RaiseException as error:
                raise CutoverError(
                    "swap.refused-inside",
                    path,
                    f"{error.diag.message_primary}. Nothing was changed.",
                    error.diag.message_hint
                    or "run the migration again; if it comes back, read the file's own comment.",
                ) from error
            noted |= cursor.fetchone() or {}
    return noted


def _log_carried(carried: list[dict[str, Any]], log: Log) -> None:
    for count in carried:
        log(
            f"  {count['table_name']} {count['operation']}: {count['carried']} carried, "
            f"{count['already_gone']} already gone, {count['quarantined']} in quarantine"
        )


def _require_alone(connection: psycopg.Connection) -> None:
    if not ledger.take_turn(connection, "swap"):
        raise CutoverError(
            "swap.another-run",
            "this database",
            "another run is swapping or rolling back at this moment.",
            "wait for it to end, then clear the task.",
        )


def _require_open(order: Order, moment: datetime) -> None:
    """Raise unless the swap may happen at a moment of the server's clock, whatever the task that waits has said."""
    order.schedule.require_open(moment)


def _use_approval(connection: psycopg.Connection, order: Order) -> tuple[coverage.Coverage, approval.Approval | None]:
    """Make the list that was approved again, and use the approval of exactly that up; no production lock is held."""
    freeze_staged(connection, order)
    present, changed = coverage.again(connection, order)
    coverage.require_same_code(changed, f"{order.action} of run {order.run}")
    differences = coverage.in_words(changed, present)
    return present, approval.consume(
        connection, order.run, order.action, present.fingerprint, differences, needed=order.quorum
    )


def freeze_staged(connection: psycopg.Connection, order: Order) -> None:
    """Lock the incoming tables against change until the transaction ends."""
    names = sql.SQL(", ").join(sql.Identifier(order.incoming_schema, name) for name in order.fingerprinted)
    if order.fingerprinted:
        connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(names))


def _require_checks(connection: psycopg.Connection, order: Order) -> None:
    for path in order.checks:
        failed = connection.execute(files.text(path).encode(), {"run": order.run}).fetchall()
        if failed:
            raise CutoverError(
                "swap.check-failed",
                path,
                f"inside the transaction it found {len(failed)} rows, the first {failed[0]}; nothing was changed.",
                "run the migration again; if it comes back, read the check's own comment.",
            )


def _tables(order: Order) -> str:
    return ", ".join(f"{schema}.{name}" for schema, name in order.tables)


def _describe(scope: Scope) -> list[dict[str, Any]]:
    return [{"schema": t.schema, "name": t.name, "outgoing": t.outgoing, "incoming": t.incoming} for t in scope.tables]


def _timed(order: Order, moment: datetime) -> dict[str, Any]:
    """When the swap was to happen, and why in a freeze, for the ledger; nothing if neither was said."""
    schedule = order.schedule
    if schedule.is_at_once and schedule.override is None:
        return {}
    frozen = schedule.frozen_at(moment)
    return {
        "swap_at": None if schedule.is_at_once else order.swap_at,
        "freeze_override": schedule.override,
        "frozen": frozen and {"name": frozen.name, "ends_at": frozen.ends_at.isoformat()},
    }


def _report(planned: Plan) -> dict[str, Any]:
    return {
        "inventory": planned.before.hash,
        "facts": len(planned.before.facts),
        "validate": planned.validate,
        "attach": planned.attach,
        "refresh": [d.name for d in planned.scope.dependents if d.kind == "materialized view"],
        "statements": [[s.step, s.object, s.text] for s in planned.statements],
        "watched": {"relations": list(planned.names.relations), "functions": list(planned.names.functions)},
    }
