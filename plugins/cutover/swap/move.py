"""The swap's transaction: planned from the catalogue before any lock, run in one go inside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from cutover import catalog, ledger
from cutover import sql as files
from cutover.errors import CutoverError
from cutover.swap import (
    approval,
    capture,
    fingerprint,
    inventory,
    locks,
    orphans,
    preparation,
    proof,
    refusals,
    scope,
)
from cutover.swap.carry import Carried, carry, total
from cutover.swap.locks import Log, Patience
from cutover.swap.scope import Scope

Connect = Callable[[], psycopg.Connection]

# A client that hangs inside the transaction loses its session, and with it the locks.
_IDLE_IN_TRANSACTION_MS = 10_000
# So often a transaction that has everything ready asks for its locks before it gives up.
_QUICK_TRIES = 8
# Rounds of carrying before the lock, and how short or small a round must be for the rest to be carried inside it.
_CATCH_UP_ROUNDS = 20
_CAUGHT_UP_S = 0.1
_CAUGHT_UP_CHANGES = 100
# How short the last round must be for an attempt that insists: clients then wait for about as long, once.
_NEARLY_CAUGHT_UP_S = 1.0
# How long a transaction that has everything ready waits for a gap between long ones.
_LAST_LOOK_S = 1.0


@dataclass(frozen=True)
class Statement:
    """One statement of the move: which step it belongs to, which object it is about, and its text."""

    step: str
    object: str
    text: str


@dataclass(frozen=True)
class Order:
    """What to swap, and under which conditions.

    ``tables`` are (schema, name) pairs in foreign-key order, parents first. ``since`` is the snapshot from which
    on production writes are to be carried; ``except_xid`` the transaction whose own writes are not.
    ``merge``, ``create`` and ``drop`` are files under ``include/sql``: statements that fill merged tables, that make
    the views which come with a new table, and that take them away again. ``staged_xid`` is
    the transaction that finished the load of the incoming tables; None when they were filled long ago.
    """

    run: str
    migration: str
    action: str
    tables: Sequence[tuple[str, str]]
    incoming_schema: str
    backup_schema: str
    since: str
    staged_xid: str | None
    fingerprinted: Sequence[str]
    evidence: dict[str, Any]
    merged: Sequence[tuple[str, str]] = ()
    merge: Sequence[str] = ()
    except_xid: str | None = None
    undoes: str | None = None
    on_drift: str = "carry"
    carry_limit: int = 100_000
    checks: Sequence[str] = ()
    create: Sequence[str] = ()
    drop: Sequence[str] = ()
    patience: Patience = field(default_factory=Patience)

    @property
    def companions(self) -> list[tuple[str, str]]:
        """(schema, name) of the views that come and go with a new table: ``drop_<name>.sql`` names them."""
        schema = self.tables[0][0]
        return [(schema, Path(path).stem.removeprefix("drop_")) for path in self.drop]


@dataclass(frozen=True)
class Plan:
    """Everything decided before the lock."""

    scope: Scope
    names: inventory.Watched
    before: inventory.Inventory
    # the catalogue's state that ``before`` was read from; if it is the same in the lock, so is the inventory
    version: str
    locks: locks.LockOrder
    ahead: list[Statement]
    after: list[Statement]
    validate: list[str]
    # foreign keys of partitioned tables that come back after the lock, and what the inventory calls their parts
    attach: list[dict[str, Any]]
    later: list[str]


def read_scope(connection: psycopg.Connection, order: Order) -> Scope:
    """The scope of an order at this moment."""
    return scope.read(
        connection,
        order.tables,
        incoming_schema=order.incoming_schema,
        backup_schema=order.backup_schema,
        merged=order.merged,
        companions=order.companions,
    )


def plan(connection: psycopg.Connection, order: Order) -> Plan:
    """Read the catalogue, refuse what would not come out right, and write down every statement of the move."""
    found = read_scope(connection, order)
    refusals.require_none(connection, found)
    names = inventory.watched(connection, found)
    version = inventory.version(connection, names)
    before = inventory.take(connection, names)
    views = found.bound("materialized view", "direct")
    parameters = _parameters(connection, found, views)
    # Ahead of the carried writes: the tables stand still under their old names. After them: the move itself.
    ahead = _files("drop", order.drop) if found.disappearing else []
    ahead += _statements(connection, ["10_release", "20_identity"], parameters)
    after = _statements(
        connection,
        [
            "30_move_out",
            "40_move_in",
            "50_merged_foreign_keys",
            "55_functions",
            "60_views",
            "65_own_rules",
            "70_outside_foreign_keys",
            "75_outside_policies",
            "80_trigger_states",
            "90_publications",
            "95_drop_old_functions",
        ],
        parameters,
    )
    if found.arriving:
        after += _files("create", order.create)
    return Plan(
        scope=found,
        names=names,
        before=before,
        version=version,
        locks=locks.order(connection, found),
        ahead=ahead,
        after=after,
        validate=[row["object"] for row in catalog.rows(connection, "validated_keys", **parameters)],
        attach=catalog.rows(connection, "attached_keys", **parameters),
        later=parameters["later"],
    )


def _parameters(connection: psycopg.Connection, found: Scope, views: list[int]) -> dict[str, Any]:
    moved_in = [(t.incoming, t.schema) for t in found.tables if t.incoming is not None]
    for view in views:
        row = connection.execute(
            "select to_regclass(format('%%I.%%I', %s::text, c.relname))::oid, n.nspname from pg_catalog.pg_class as c "
            "join pg_catalog.pg_namespace as n on n.oid = c.relnamespace where c.oid = %s",
            (found.incoming_schema, view),
        ).fetchone()
        assert row is not None
        moved_in.append((row[0], row[1]))
    attached = found.bound("outside foreign key", "partition by partition")
    parts = catalog.rows(connection, "key_parts", keys=attached)
    return {
        "attached_keys": attached,
        "leaf_keys": [part["oid"] for part in parts if part["is_leaf"]],
        "later": [part["object"] for part in parts if not part["is_leaf"]],
        "outgoing": found.outgoing,
        "replaced": found.replaced,
        "merged": list(found.merged),
        "incoming_schema": found.incoming_schema,
        "backup_schema": found.backup_schema,
        "materialized_views": views,
        "incoming_relations": [oid for oid, _ in moved_in],
        "incoming_targets": [schema for _, schema in moved_in],
        "functions": found.bound("function"),
        "argument_functions": found.bound("function", "argument"),
        "result_functions": found.bound("function", "result"),
        "views": found.bound("view", "direct"),
        "names": [table.qualified for table in found.tables if table.incoming is not None],
        **refusals.outside_parameters(found),
    }


def _statements(connection: psycopg.Connection, steps: list[str], parameters: dict[str, Any]) -> list[Statement]:
    return [
        Statement(step, row["object"], row["statement"])
        for step in steps
        for row in catalog.rows(connection, f"move/{step}", **parameters)
    ]


def _files(step: str, paths: Sequence[str]) -> list[Statement]:
    return [Statement(step, Path(path).stem, files.text(path)) for path in paths]


class Observer:
    """Called at the boundaries of a swap. The default does nothing; tests stop or break the process there."""

    def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
        """Before a statement of the move. If overridden, statements are sent one by one."""

    def at(self, moment: str) -> None:
        """At a named moment: ``planned``, ``locking``, ``locked``, ``recorded``, ``committed``, ``finished``."""


def _run(connection: psycopg.Connection, statements: list[Statement], observer: Observer | None) -> None:
    if not statements:
        return
    if observer is None or type(observer).before_statement is Observer.before_statement:
        # One round trip for all of them: clients wait for every one saved. As a DO statement, because psycopg takes an
        # ALTER or DROP for a reason to forget prepared statements, and clients would wait for the proof to be planned.
        body = sql.Literal(";\n".join(s.text for s in statements))
        connection.execute(sql.SQL("do {}").format(sql.Literal(f"begin execute {body.as_string(connection)}; end")))
        return
    for statement in statements:
        observer.before_statement(connection, statement)
        connection.execute(statement.text.encode())


def swap(connect: Connect, order: Order, log: Log, observer: Observer | None = None) -> ledger.Entry:
    """Swap the tables of ``order``, or find that it has happened, and do what is left to do afterwards.

    Safe to run again after being killed at any instant. Raises SwapRefusedError before any work, CutoverError
    ``swap.not-approved``, ``swap.drift``, ``swap.locked-out``, ``swap.parity`` … from the transaction, each with
    production as it was.
    """
    watch = observer or Observer()
    with connect() as connection:
        connection.autocommit = True
        _tune(connection)
        _finish_earlier(connection, order, log)
        entry = ledger.find(connection, order.run)
        if entry is None:
            entry = _attempt_until_done(connection, order, log, observer)
        else:
            log(
                f"run {order.run} was recorded at {entry.recorded_at:%H:%M:%S}: nothing to swap, finishing what is left"
            )
        watch.at("committed")
        finish(connection, entry, log)
        watch.at("finished")
        return entry


def _tune(connection: psycopg.Connection) -> None:
    """Catalogue queries are short and run again inside the lock: their plans are made before it, and not compiled."""
    connection.execute("set plan_cache_mode = force_generic_plan")
    connection.execute("set jit = off")


def _finish_earlier(connection: psycopg.Connection, order: Order, log: Log) -> None:
    """Finish the entry before this one, if it was killed after its commit: its keys are to be carried on as valid."""
    entry = ledger.latest(connection, order.migration)
    if entry is None or entry.run == order.run:
        return
    done = connection.execute("select 1 from cutover.certificate where run = %s", (entry.run,)).fetchone()
    if done is None:
        log(f"{entry.action} {entry.run} was not finished: finishing it first")
        finish(connection, entry, log)


def _attempt_until_done(
    connection: psycopg.Connection, order: Order, log: Log, observer: Observer | None
) -> ledger.Entry:
    _prepare(connection, order, log)
    reason = ""
    for attempt in range(1, order.patience.attempts + 1):
        planned = plan(connection, order)
        if observer:
            observer.at("planned")
        try:
            _require_gap(connection, planned, order, attempt, order.patience.pause(attempt))
            return _transaction(connection, order, planned, attempt=attempt, log=log, observer=observer)
        except locks.GAVE_UP as error:
            pause = order.patience.pause(attempt)
            reason = str(error).splitlines()[0]
            log(f"attempt {attempt}: {reason}; nothing was changed, next attempt in {pause:.1f} s")
            for line in locks.describe_blockers(connection, planned.locks):
                log(f"  in the way: {line}")
            time.sleep(pause)
        except _CatalogueChangedError:
            reason = "somebody changed a swapped table between plan and lock"
            log(f"attempt {attempt}: {reason}; preparing again")
            _prepare(connection, order, log)
    raise CutoverError(
        "swap.locked-out",
        ", ".join(table.qualified for table in planned.scope.tables),
        f"none of {order.patience.attempts} attempts got through, the last because: {reason}; nothing was changed.",
        "end the sessions named above, or wait for a quieter hour, then clear the task swap.",
    )


def _prepare(connection: psycopg.Connection, order: Order, log: Log) -> None:
    """Bring the incoming tables to production's state of this moment; nothing here touches production's tables."""
    found = read_scope(connection, order)
    refusals.require_none(connection, found)
    connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(order.backup_schema)))
    _open_to_owners(connection, found, order.backup_schema)
    log(f"made the incoming tables equal to production's: {preparation.dress(connection, found, log)} statements")
    preparation.build_materialized_views(connection, found)


class _CatalogueChangedError(Exception):
    """Somebody changed a swapped table between the plan and the lock."""


def _open_to_owners(connection: psycopg.Connection, found: Scope, backup_schema: str) -> None:
    """A table keeps its owner, and PostgreSQL wants that owner to be allowed to create where the table is."""
    for row in catalog.rows(
        connection, "owner_grants", outgoing=found.outgoing, schemas=[backup_schema, found.incoming_schema]
    ):
        connection.execute(row["statement"])


def _require_gap(connection: psycopg.Connection, planned: Plan, order: Order, attempt: int, seconds: float) -> None:
    """Give up, before queueing, while a long transaction is in the way: all the clients would queue behind us."""
    if not locks.await_gap(connection, planned.locks, seconds) and attempt % order.patience.insist:
        raise psycopg.errors.LockNotAvailable("a long transaction is in the way; did not queue behind it")


def _transaction(
    connection: psycopg.Connection,
    order: Order,
    planned: Plan,
    *,
    attempt: int,
    log: Log,
    observer: Observer | None,
) -> ledger.Entry:
    with connection.transaction():
        connection.execute(
            "select set_config('idle_in_transaction_session_timeout', %s, true), "
            "set_config('check_function_bodies', 'off', true), set_config('row_security', 'off', true), "
            "set_config('timezone', 'UTC', true)",
            (f"{_IDLE_IN_TRANSACTION_MS}ms",),
        )
        _require_alone(connection)
        began = _now(connection)
        seen = _freeze_staged(connection, order)
        approved = approval.consume(connection, order.run, order.action, seen)
        _require_drift_allowed(connection, order, planned.scope)
        # First the accounts, so that a carried write finds its person under the id that the person has by now.
        _merge(connection, order)
        bulk, since = carry(connection, order.run, planned.scope, order.since, order.except_xid)
        orphans.require_none(connection, planned.scope)
        _require_checks(connection, order)
        # A snapshot older than the staged rows can end, but none can begin: it is enough to look before the lock.
        _require_no_older_transaction(connection, order)
        _require_gap(connection, planned, order, attempt, _LAST_LOOK_S)
        locked_at, since, late = _lock(connection, order, planned, since, attempt=attempt, observer=observer)
        if observer:
            observer.at("locked")
        if inventory.version(connection, planned.names) != planned.version:
            raise _CatalogueChangedError
        _run(connection, planned.ahead, observer)
        rest, _ = carry(connection, order.run, planned.scope, since, order.except_xid)
        _run(connection, planned.after, observer)
        proof.require_parity(planned.before, inventory.take(connection, planned.names), planned.later)
        proof.require_nothing_left_behind(connection, order.backup_schema)
        ledger.write(
            connection,
            run=order.run,
            migration=order.migration,
            action=order.action,
            undoes=order.undoes,
            backup_schema=order.backup_schema,
            fingerprint=seen,
            approval_id=approved.approval_id,
            approved_by=approved.approved_by,
            started_at=began,
            locked_at=locked_at,
            attempts=attempt,
            tables=_describe(planned.scope),
            carried=total(bulk, late, rest),
            report=_report(planned),
        )
        if observer:
            observer.at("recorded")
    entry = ledger.find(connection, order.run)
    assert entry is not None
    held = (entry.recorded_at - entry.locked_at).total_seconds() * 1000
    log(f"swapped {len(planned.scope.tables)} tables: clients waited at most {held:.0f} ms, attempt {attempt}")
    _log_carried(entry.carried, log)
    return entry


def _merge(connection: psycopg.Connection, order: Order) -> None:
    try:
        for path in order.merge:
            connection.execute(files.text(path).encode(), {"run": order.run})
    except psycopg.errors.UniqueViolation as error:
        raise psycopg.errors.LockNotAvailable(
            f"somebody signed up while the accounts were merged ({error.diag.message_detail})"
        ) from error


def _log_carried(carried: list[dict[str, Any]], log: Log) -> None:
    for count in carried:
        log(
            f"  {count['table_name']} {count['operation']}: {count['carried']} carried, "
            f"{count['already_gone']} already gone, {count['quarantined']} in quarantine"
        )


def _now(connection: psycopg.Connection) -> Any:
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    return row[0]


def _lock(
    connection: psycopg.Connection, order: Order, planned: Plan, since: str, *, attempt: int, observer: Observer | None
) -> tuple[datetime, str, list[Carried]]:
    """Take production's locks, at a moment when everything is ready and almost nothing is left to carry.

    Returns when it had them, the snapshot up to which writes are carried, and how many that were. Several short tries:
    one that meets a client half-way costs it milliseconds. Raises one of ``locks.GAVE_UP`` after the last.
    """
    late: list[Carried] = []
    quick = bool(attempt % order.patience.insist)
    for left in reversed(range(_QUICK_TRIES if quick else 1)):
        _warm(connection, order, planned)
        more, since = _catch_up(connection, order, planned, since, quick=quick)
        late += more
        if observer:
            observer.at("locking")
        try:
            with connection.transaction():
                return locks.take(connection, planned.locks, quick=quick), since, late
        except locks.GAVE_UP:
            if left == 0:
                raise
            time.sleep(order.patience.pause(1) / 4)
    raise AssertionError("the last try returns or raises")


def _catch_up(
    connection: psycopg.Connection, order: Order, planned: Plan, since: str, *, quick: bool
) -> tuple[list[Carried], str]:
    """Carry round after round, each what was written during the one before, until what is left takes no time.

    Raises LockNotAvailable when clients write faster than can be carried: the rest would be carried inside the lock.
    An attempt that is not ``quick`` insists: it accepts a rest that takes a while, so that clients who never pause do
    not keep a swap away for ever.
    """
    carried: list[Carried] = []
    for _ in range(_CATCH_UP_ROUNDS):
        began = time.monotonic()
        more, since = carry(connection, order.run, planned.scope, since, order.except_xid)
        carried += more
        took = time.monotonic() - began
        changes = sum(count.carried + count.already_gone + count.quarantined for count in more)
        if took < _CAUGHT_UP_S or changes <= _CAUGHT_UP_CHANGES:
            return carried, since
    if not quick and took < _NEARLY_CAUGHT_UP_S:
        return carried, since
    raise psycopg.errors.LockNotAvailable("clients write faster than their writes can be carried; did not lock")


def _warm(connection: psycopg.Connection, order: Order, planned: Plan) -> None:
    """Run what proves the swap once more before the lock, so that its plans and caches are there inside it."""
    inventory.take(connection, planned.names)
    proof.left_behind(connection, order.backup_schema)
    if inventory.version(connection, planned.names) != planned.version:
        raise _CatalogueChangedError


def _require_alone(connection: psycopg.Connection) -> None:
    row = connection.execute("select pg_try_advisory_xact_lock(%s)", (ledger.SWAP_LOCK,)).fetchone()
    if row != (True,):
        raise CutoverError(
            "swap.another-run",
            "this database",
            "another run is swapping or rolling back at this moment.",
            "wait for it to end, then clear the task.",
        )


def _freeze_staged(connection: psycopg.Connection, order: Order) -> str:
    """Lock the incoming tables against change and compute the fingerprint again. No production lock is held yet."""
    names = sql.SQL(", ").join(sql.Identifier(order.incoming_schema, name) for name in order.fingerprinted)
    if order.fingerprinted:
        connection.execute(sql.SQL("lock table {} in share row exclusive mode").format(names))
    staged = fingerprint.tables(connection, order.incoming_schema, order.fingerprinted, order.tables)
    return fingerprint.combine(staged, order.evidence)


def _require_drift_allowed(connection: psycopg.Connection, order: Order, found: Scope) -> None:
    waiting = capture.pending(connection, found.outgoing, order.since, order.except_xid)
    limit = 0 if order.on_drift == "refuse" else order.carry_limit
    if waiting > limit:
        raise CutoverError(
            "swap.drift",
            ", ".join(table.qualified for table in found.tables),
            f"{waiting} production writes were captured since the freeze, and at most {limit} may be carried "
            f"(on_drift={order.on_drift}, carry_limit={order.carry_limit}).",
            "start a new run, which freezes them in; or allow them with on_drift=carry and a higher carry_limit.",
        )


def _require_no_older_transaction(connection: psycopg.Connection, order: Order) -> None:
    if order.staged_xid is None:
        return
    older = catalog.rows(connection, "older_transactions", staged_xid=order.staged_xid)
    if older:
        first = older[0]
        raise psycopg.errors.LockNotAvailable(
            f"pid {first['pid']} of {first['user']} has a snapshot older than the staged rows and would read empty "
            f"tables ({first['age']}: {first['query']})"
        )


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


def _describe(found: Scope) -> list[dict[str, Any]]:
    return [{"schema": t.schema, "name": t.name, "outgoing": t.outgoing, "incoming": t.incoming} for t in found.tables]


def _report(planned: Plan) -> dict[str, Any]:
    return {
        "inventory": planned.before.hash,
        "facts": len(planned.before.facts),
        "validate": planned.validate,
        "attach": planned.attach,
        "refresh": [d.name for d in planned.scope.dependents if d.kind == "materialized view"],
        "statements": [[s.step, s.object, s.text] for s in planned.ahead + planned.after],
        "watched": {"relations": list(planned.names.relations), "functions": list(planned.names.functions)},
    }


def finish(connection: psycopg.Connection, entry: ledger.Entry, log: Log) -> None:
    """What may wait until after the lock, each step in its own transaction and safe to repeat.

    Validates the foreign keys, frees live tables from the backup's foreign keys, refreshes the materialized
    views that read through other views, and stores the certificate. ``connection`` is in autocommit.
    """
    connection.execute("set search_path = ''")
    done: list[str] = []
    for query, parameters in (
        ("to_validate", {"constraints": entry.report["validate"]}),
        ("to_attach", {"keys": Jsonb(entry.report.get("attach", []))}),
        ("backup_foreign_keys", {"backup_schema": entry.backup_schema}),
        ("to_refresh", {"views": entry.report["refresh"]}),
    ):
        for row in catalog.rows(connection, query, **parameters):
            _finish_one(connection, row, log)
            done.append(row["statement"])
    names = inventory.Watched(tuple(entry.report["watched"]["relations"]), tuple(entry.report["watched"]["functions"]))
    found = inventory.take(connection, names)
    certificate = proof.certify(connection, entry, found, done)
    if certificate["left_behind"] or certificate["not_validated"]:
        raise CutoverError(
            "verify.certificate",
            entry.run,
            f"after the {entry.action}, these still refer to the backup: {certificate['left_behind']}; these are "
            f"not validated: {certificate['not_validated']}.",
            "drop or re-create the objects named, then clear the task.",
        )
    log(f"certificate: nothing outside {entry.backup_schema} refers to an old table; {len(done)} steps after the lock")


def _finish_one(connection: psycopg.Connection, step: catalog.Row, log: Log) -> None:
    try:
        locks.patiently(connection, step["statement"], log)
    except psycopg.errors.ForeignKeyViolation as error:
        raise CutoverError(
            "verify.orphans",
            step["object"],
            f"while the tables were swapped, a row was written that refers to nothing now: {error.diag.message_detail}",
            "delete or re-point that row, then clear the task; or roll back.",
        ) from error
