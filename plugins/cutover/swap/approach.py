"""The way to the lock: the last writes carried, a gap found, and every lock taken at once."""

from __future__ import annotations

import time
from datetime import datetime

import psycopg
from psycopg import sql

from cutover.database import catalog, patience
from cutover.swap import inventory, locks, proof
from cutover.swap.carry import Carried, carry
from cutover.swap.execution import Observer
from cutover.swap.order import Order, require_recorded
from cutover.swap.plan import Plan

# A transaction that has everything ready asks for its locks at least so often before it gives up, and goes on for as
# long as its work took that another attempt would have to do again: else whoever writes much keeps a swap away, since
# every attempt has more to carry than the one before. Seconds at least, and at most: a sign-up with the address of an
# account that is being merged waits for it.
TRIES = 8
LAST_LOOK_S = 1.0
GOES_ON_S = 10.0
# Rounds of carrying before the lock, and how short (seconds, times the number of the attempt) or small (writes) a round
# must be for the rest to be carried inside it: clients then wait for about as long.
CATCH_UP_ROUNDS = 20
CAUGHT_UP_S = 0.1
CAUGHT_UP_CHANGES = 100
# How short the last round must be for an attempt that insists: clients then wait for about as long, once.
NEARLY_CAUGHT_UP_S = 1.0


class CatalogueChangedError(Exception):
    """Somebody changed a swapped table between the plan and the lock."""


def worth_waiting(work_began: float) -> float:
    """For how many seconds to wait rather than to do again what was done since the monotonic second ``work_began``."""
    return min(GOES_ON_S, max(LAST_LOOK_S, time.monotonic() - work_began))


def require_no_older_snapshot(connection: psycopg.Connection, order: Order, seconds: float) -> None:
    """Wait a moment for transactions that would read the incoming tables as of before the swap; then give up."""
    older = locks.await_no_older_snapshot(connection, order.staged_xid, seconds)
    if older is not None:
        raise psycopg.errors.LockNotAvailable(
            f"pid {older['pid']} of {older['user']} has a snapshot from before the swap and would not see all rows of "
            f"the new tables ({older['age']}: {older['query']})"
        )


def require_gap(connection: psycopg.Connection, planned: Plan, order: Order, attempt: int, seconds: float) -> None:
    """Give up, before queueing, while a long transaction is in the way: all the clients would queue behind us."""
    if not locks.await_gap(connection, planned.locks, seconds) and attempt % order.patience.insist:
        raise psycopg.errors.LockNotAvailable("a long transaction is in the way; did not queue behind it")


def lock(
    connection: psycopg.Connection,
    order: Order,
    planned: Plan,
    since: str,
    *,
    attempt: int,
    until: float,
    observer: Observer | None,
) -> tuple[datetime, str, list[Carried]]:
    """Take production's locks, at a moment when everything is ready and almost nothing is left to carry.

    Returns when it had them, the snapshot up to which writes are carried, and how many that were. Several short tries,
    at least ``TRIES`` and until the monotonic second ``until``: one that meets a client half-way costs it
    milliseconds, and none does again what is done. Raises one of ``patience.GAVE_UP`` after the last.
    """
    late: list[Carried] = []
    # one that insists is a longer wait for clients: once an attempt is enough
    quick = bool(attempt % order.patience.insist)
    tries = 0
    while True:
        tries += 1
        look(connection, order, planned)
        more, since, is_little = _catch_up(connection, order, planned, since, attempt=attempt)
        late += more
        if observer:
            observer.at("locking")
        try:
            require_gap(connection, planned, order, attempt, until - time.monotonic())
            if not is_little:
                raise psycopg.errors.LockNotAvailable("clients write faster than their writes can be carried")
            with connection.transaction():
                return locks.take(connection, planned.locks, quick=quick), since, late
        except patience.GAVE_UP:
            # clients who are faster than the carrying will be in the next try, too
            if not quick or (time.monotonic() > until and (tries >= TRIES or not is_little)):
                raise
            time.sleep(order.patience.pause(min(tries, TRIES)) / 4)


def _catch_up(
    connection: psycopg.Connection, order: Order, planned: Plan, since: str, *, attempt: int
) -> tuple[list[Carried], str, bool]:
    """Carry round after round, each what was written during the one before, until what is left takes no time.

    Returns what was carried, up to which snapshot, and whether little enough is left to be carried inside the lock.
    A later attempt accepts a longer rest, and one that insists the longest, so that clients who never pause do not
    keep a swap away for ever.
    """
    carried: list[Carried] = []
    insists = attempt % order.patience.insist == 0
    enough_s = NEARLY_CAUGHT_UP_S if insists else min(NEARLY_CAUGHT_UP_S, CAUGHT_UP_S * attempt)
    for _ in range(CATCH_UP_ROUNDS):
        began = time.monotonic()
        more, since = carry(connection, order.run, planned.scope, since, order.except_xid)
        carried += more
        took = time.monotonic() - began
        changes = sum(count.carried + count.already_gone + count.quarantined for count in more)
        if took < CAUGHT_UP_S or changes <= CAUGHT_UP_CHANGES:
            return carried, since, True
    return carried, since, took < enough_s


def look(connection: psycopg.Connection, order: Order, planned: Plan) -> None:
    """Look once more before the lock at what proves the swap, so that plans and caches of it are there inside.

    That every write is recorded, and that the tables of the plan are those which bear their names, is proved here for
    good: the lock asks only whether anything of all this was touched since. Raises CatalogueChangedError and what
    ``order.require_recorded`` does.
    """
    inventory.take(connection, planned.names)
    proof.left_behind(connection, order.backup_schema)
    require_recorded(connection, order, planned.scope)
    if inventory.version(connection, planned.names) != planned.version:
        raise CatalogueChangedError
    tables = planned.scope.tables
    named = catalog.oids(connection, [sql.Identifier(table.schema, table.name) for table in tables])
    if named != [table.outgoing for table in tables]:
        raise CatalogueChangedError
