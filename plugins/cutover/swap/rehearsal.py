"""The swap's whole transaction on production itself, to its last statement, and taken back.

Everything that a swap does is done, with its locks, its proofs and its entry: only no approval is used up, and none is
needed. Clients wait for as long as they would in the swap, and go on with the tables that they had.

It cannot commit. Its code leaves the transaction by an exception before the end of it; what the swap takes for its
transaction is a savepoint in another, which is rolled back in one place (``never_committed``); and PostgreSQL itself
refuses to commit that one. The preparation is done in it, too, so nothing of it stays on the incoming tables.

What PostgreSQL does not take back is found before (``acts_outside``), or is of no consequence: docs/review.md lists it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import answer, catalog, clock, patience
from cutover.database import statements as files
from cutover.database.blockers import blockers
from cutover.database.connect import Log
from cutover.database.patience import Patience
from cutover.masking import masked_text
from cutover.records import approval, ledger
from cutover.swap import approach, coverage, refusals, transaction
from cutover.swap.execution import Observer
from cutover.swap.order import Connect, Order, read_scope
from cutover.swap.plan import Plan, Statement, plan
from cutover.swap.scope import Scope

# A swap tries 40 times, because a person wants it to happen. Nobody has asked for a rehearsal yet: two attempts, both
# with the short bounds of a first try, and none that insists.
ATTEMPTS = 2
# Milliseconds for each statement while clients wait: a swap takes 5,000 for the worst that it may do to them.
HELD_STATEMENT_MS = 1_000
# A rehearsal's link in the chain, of which nothing stays, is signed as what it is: nobody who reads it in a log of the
# server could pass it off as a swap's.
KIND = "rehearsal"
# The number of a rehearsal's entry: no ledger has as many.
_ENTRY = 9_000_000_000_000_000_000


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal has found; times in milliseconds.

    ``reason`` says in words why it was given up, with nothing found; None if it went through. ``hold_ms`` is from all
    locks taken to the entry written, as the ledger has it of a swap, ``waited_ms`` to the locks let go; of the
    ``clients`` that waited then the longest had waited ``longest_ms``. ``facts`` of the catalogue were equal by name.
    """

    rehearsed_at: datetime
    reason: str | None
    attempts: int
    seconds: float
    hold_ms: float | None = None
    waited_ms: float | None = None
    clients: int = 0
    longest_ms: float = 0.0
    statements: int = 0
    facts: int = 0
    carried: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        return {**fields, "rehearsed_at": self.rehearsed_at.isoformat()}


class _DoneError(Exception):
    """Everything has been done, and is to be taken back."""


class _GivenUpError(Exception):
    """It could not be rehearsed now, which says nothing about the swap."""

    def __init__(self, reason: str, attempts: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.attempts = reason, attempts


class _Watch(Observer):
    """Goes along with a rehearsal: bounds it once it has its locks, and ends it where a swap would go on to commit."""

    def __init__(self, connection: psycopg.Connection, order: Order, planned: Plan, observer: Observer | None) -> None:
        self.connection, self.order, self.planned = connection, order, planned
        self.observer = observer or Observer()
        self.locked = False
        self.counts: dict[str, Any] = {}

    def at(self, moment: str) -> None:
        """At ``recorded`` it raises ``_DoneError``."""
        if moment == "locked":
            self.locked = True
            bound = sql.Literal(f"{HELD_STATEMENT_MS}ms")
            text = files.statement("swap/rehearsal_locked.sql", bound=bound, entry=sql.Literal(_ENTRY))
            self.connection.execute(text)
        self.observer.at(moment)
        if moment == "recorded":
            # as a commit would: whatever is still to be checked then
            self.connection.execute("set constraints all immediate")
            parameters = {"run": self.order.run, "relations": self.planned.locks.relations}
            with self.connection.cursor(row_factory=dict_row) as cursor:
                text = files.statement("swap/rehearsal_done.sql")
                self.counts = cursor.execute(text, parameters).fetchone() or {}
            raise _DoneError

    def made(self, rehearsed_at: datetime, attempt: int, seconds: float, released: datetime) -> Rehearsal:
        """What has been found, once the locks have been let go, at the server's time ``released``."""
        counts = self.counts
        waits_since = counts["first_waits_at"] or released
        return Rehearsal(
            rehearsed_at=rehearsed_at,
            reason=None,
            attempts=attempt,
            seconds=round(seconds, 1),
            hold_ms=_ms(counts["locked_at"], counts["recorded_at"]),
            waited_ms=_ms(counts["locked_at"], released),
            clients=counts["clients"],
            longest_ms=_ms(waits_since, released),
            statements=len(self.planned.statements),
            facts=len(self.planned.before.facts),
            carried=tuple(counts["carried"]),
        )


class _Stepwise(_Watch):
    """The same, one statement after the other, for an observer that looks at each."""

    def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
        """Passed on."""
        self.observer.before_statement(connection, statement)


def rehearse(
    connect: Connect,
    order: Order,
    log: Log,
    observer: Observer | None = None,
    *,
    require: Callable[[], None] = lambda: None,
) -> Rehearsal:
    """Do what ``swap`` does with this order, and take it back; ``observer`` and ``require`` as there.

    What would keep the swap from happening later as well is raised as ``swap`` raises it, with production as it was.
    What may be otherwise in a moment (a lock not to be had, another run at work) is the ``reason`` of what it returns.
    """
    began, rehearsed_at = time.monotonic(), datetime.now(timezone.utc)
    order = replace(order, patience=Patience(attempts=ATTEMPTS, insist=ATTEMPTS + 1))
    try:
        with answer.as_error("swap.cannot-complete", _tables(order)), connect() as connection:
            transaction.tune(connection)
            _require_taken_back(connection, order)
            with never_committed(connection):
                watch, attempt, released = _attempt(connection, order, log, observer, require)
    except _GivenUpError as error:
        log(f"not rehearsed: {error.reason}; nothing was changed")
        took = round(time.monotonic() - began, 1)
        # who is in the way is named with a statement, which may quote a person
        return Rehearsal(rehearsed_at, masked_text(error.reason), error.attempts, took)
    made = watch.made(rehearsed_at, attempt, time.monotonic() - began, released)
    log(
        f"rehearsed: {made.statements} statements, {made.facts} facts of the catalogue equal, locks held for "
        f"{made.hold_ms:.0f} ms and let go after {made.waited_ms:.0f} ms, attempt {attempt}; everything was taken back"
    )
    return made


def _require_taken_back(connection: psycopg.Connection, order: Order) -> None:
    """Give up before anything is done that a ROLLBACK would not take back, or without what forbids the commit."""
    may, database, role = connection.execute(files.statement("swap/rehearsal_begins.sql")).fetchone() or (False, "", "")
    if not may:
        raise _GivenUpError(
            "the engine's role may not make the temporary tables that keep it from committing "
            f"(grant temporary on database {database} to {role})"
        )
    if acts := acts_outside(connection, read_scope(connection, order)):
        raise _GivenUpError(f"what it sets off would not be taken back: {'; '.join(acts)}")


def _attempt(
    connection: psycopg.Connection, order: Order, log: Log, observer: Observer | None, require: Callable[[], None]
) -> tuple[_Watch, int, datetime]:
    """Returns what went along with the attempt that went through, its number, and when the locks had been let go."""
    if not ledger.take_turn(connection, "rehearse"):
        raise _GivenUpError("another rehearsal is under way in this database")
    with answer.as_error("swap.cannot-prepare", _tables(order)):
        transaction.prepare(connection, order, log)
    leave = transaction.Leave(_require_no_swap, _at_any_time, _without_approval, KIND)
    attempt = 0
    while True:
        attempt += 1
        with answer.as_error("swap.cannot-plan", _tables(order)):
            planned = plan(connection, order)
        watch = _watch(connection, order, planned, observer)
        watch.at("planned")
        messages: list[str] = []
        try:
            approach.require_gap(connection, planned, order, attempt, order.patience.pause(attempt))
            transaction.transact(
                connection,
                order,
                planned,
                attempt=attempt,
                log=messages.append,
                observer=watch,
                require=require,
                leave=leave,
            )
        except _DoneError:
            return watch, attempt, clock.now(connection)
        except patience.GAVE_UP as error:
            reason = str(error).splitlines()[0]
            for line in blockers(connection, planned.locks.relations):
                log(f"  in the way: {line}")
            if watch.locked:
                # clients have waited once for nothing; they do not a second time
                reason = f"clients would have waited for a statement of more than {HELD_STATEMENT_MS} ms ({reason})"
                raise _GivenUpError(reason, attempt) from error
            if attempt == ATTEMPTS:
                raise _GivenUpError(reason, attempt) from error
            time.sleep(order.patience.pause(attempt))
        except approach.CatalogueChangedError as error:
            raise _GivenUpError("somebody changed a table of the set meanwhile", attempt) from error


def in_words(rehearsal: dict[str, Any] | None) -> str:
    """What a rehearsal has found, in a sentence without its full stop; empty where there was none."""
    if not rehearsal:
        return ""
    at = f"{datetime.fromisoformat(rehearsal['rehearsed_at']):%Y-%m-%d %H:%M:%S} UTC"
    if rehearsal["reason"] is not None:
        return f"**Not rehearsed** at {at}: {rehearsal['reason']}"
    clients = rehearsal["clients"]
    waited = (
        f"{clients} client{'s' if clients > 1 else ''} waited, the longest {rehearsal['longest_ms']:,.0f} ms"
        if clients
        else "no client waited"
    )
    carried = sum(count["carried"] for count in rehearsal["carried"])
    aside = sum(count["quarantined"] for count in rehearsal["carried"])
    return (
        f"**Rehearsed** at {at} and taken back: locks held for {rehearsal['waited_ms']:,.0f} ms, {waited}; "
        f"{rehearsal['statements']:,} statements, catalogue equal ({rehearsal['facts']:,} facts by name), 0 orphans, "
        f"{carried:,} writes carried, {aside:,} that could not be"
    )


@contextmanager
def never_committed(connection: psycopg.Connection) -> Iterator[None]:
    """A transaction that ends with ROLLBACK, whatever happens in it, and that the server would refuse to commit."""
    with connection.transaction(force_rollback=True):
        connection.execute(files.text("swap/never_committed.sql").encode())
        # a client that hangs keeps nothing from the first statement on
        idle = f"{transaction.IDLE_IN_TRANSACTION_MS}ms"
        connection.execute("select set_config('idle_in_transaction_session_timeout', %s, true)", (idle,))
        yield


def acts_outside(connection: psycopg.Connection, scope: Scope) -> list[str]:
    """What the application's triggers do that a ROLLBACK does not take back: function and reason, in words."""
    tables = [*scope.merged, *refusals.written(connection, scope)]
    return [f"{row['object']}: {row['why']}" for row in catalog.rows(connection, "acts_outside", tables=tables)]


def _watch(connection: psycopg.Connection, order: Order, planned: Plan, observer: Observer | None) -> _Watch:
    """A swap sends its statements in one message unless somebody looks at each: so does its rehearsal."""
    is_stepwise = observer is not None and type(observer).before_statement is not Observer.before_statement
    return (_Stepwise if is_stepwise else _Watch)(connection, order, planned, observer)


def _require_no_swap(connection: psycopg.Connection) -> None:
    """Give up while a swap is under way. A rehearsal does not take the turn: no swap is to be kept waiting by one."""
    if connection.execute(files.statement("turn/taken.sql"), {"name": "swap"}).fetchone() == (True,):
        raise psycopg.errors.LockNotAvailable("another run is swapping or rolling back at this moment")


def _at_any_time(order: Order, moment: datetime) -> None:
    """What is taken back is rehearsed before the time for it has come."""


def _without_approval(
    connection: psycopg.Connection, order: Order
) -> tuple[coverage.Coverage, approval.Approval | None]:
    """Nobody has been asked yet. What an answer will cover is read by the review, which comes next."""
    transaction.freeze_staged(connection, order)
    return coverage.Coverage((), {}), None


def _tables(order: Order) -> str:
    return ", ".join(f"{schema}.{name}" for schema, name in order.tables)


def _ms(since: datetime, until: datetime) -> float:
    return round((until - since).total_seconds() * 1000, 1)
