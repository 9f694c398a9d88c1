"""Bounded attempts to lock production: we always give up before a client does, and nobody is killed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import cast

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.patience import LOCK_TIMEOUT_MS
from cutover.swap.refusals import outside_parameters
from cutover.swap.scope import Scope

# lock_timeout counts per relation (``LOCK_TIMEOUT_MS``); this bounds the lock statement as a whole.
LOCK_STATEMENT_MS = 300
# A first try is shorter: clients come and go within milliseconds, and whoever does not would be waited for in vain.
QUICK_TIMEOUT_MS = 40
QUICK_STATEMENT_MS = 60
# Inside the lock every statement takes milliseconds; one that does not is broken off, and with it the attempt.
HELD_STATEMENT_MS = 5_000
# A session that has held its lock for longer than this is not queued behind: clients would queue behind us.
LONG_S = 0.1
_LOOK_EVERY_S = 0.05
# A transaction that works on other tables for longer than this may have a snapshot that it will read ours with.
OLD_SNAPSHOT_S = 1.0


@dataclass(frozen=True)
class LockOrder:
    """One statement that takes every production lock, in one fixed order, and the oids it is about.

    ``shared`` are locked against writers only: merged tables, and those that foreign keys of the set refer to.
    """

    statement: sql.Composed
    exclusive: tuple[int, ...]
    shared: tuple[int, ...]
    # as people read it, a line for each kind of lock
    text: tuple[str, ...]

    @property
    def relations(self) -> list[int]:
        """All of them."""
        return [*self.shared, *self.exclusive]


def order(connection: psycopg.Connection, scope: Scope) -> LockOrder:
    """Tables that stay first, then views, then the tables parents first, then the outside tables that are re-bound.

    A reader locks a view before the tables under it, and a sign-up writes accounts before profiles: taking the
    locks in that order, too, means waiting for them and not deadlocking with them.
    """
    outside = catalog.rows(connection, "outside_tables", **outside_parameters(scope))
    views = [d for d in scope.dependents if d.kind in ("view", "materialized view") and d.binding == "direct"]
    referenced = catalog.rows(
        connection,
        "referenced_tables",
        replaced=scope.replaced,
        outgoing=scope.outgoing,
        incoming_schema=scope.incoming_schema,
        arriving=[t.name for t in scope.tables if t.outgoing is None and t.incoming is not None],
    )
    exclusively = {row["oid"] for row in outside}
    staying = [row["oid"] for row in referenced if row["oid"] not in scope.merged and row["oid"] not in exclusively]
    shared = (*scope.merged, *staying)
    tables = [row["name"] for row in _names(connection, scope.outgoing)]
    body: list[str] = []
    text: list[str] = []
    if shared:
        names = ", ".join(row["name"] for row in _names(connection, list(shared)))
        body.append(f"lock table {names} in share row exclusive mode;")
        text.append(f"SHARE ROW EXCLUSIVE (readers go on): {names}")
    # LOCK TABLE on a view would lock every table under it as well; a change of owner to the same owner locks it alone.
    for view in sorted(views, key=lambda d: -d.depth):
        owner = _owner(connection, view.oid)
        body.append(f"alter {view.kind} {view.name} owner to {owner};")
    exclusive = tables + [row["name"] for row in outside]
    if exclusive:
        body.append(f"lock table {', '.join(exclusive)} in access exclusive mode;")
    text.append(f"ACCESS EXCLUSIVE: {', '.join([*(view.name for view in views), *exclusive])}")
    relations = [*[v.oid for v in views], *scope.outgoing, *[row["oid"] for row in outside]]
    # one statement, so that statement_timeout bounds all of it
    statement = sql.SQL("do {}").format(sql.Literal("begin\n" + "\n".join(body) + "\nend"))
    return LockOrder(statement, tuple(relations), shared, tuple(text))


def take(connection: psycopg.Connection, locks: LockOrder, *, quick: bool = False) -> datetime:
    """Take every lock within the bounds, or raise one of ``GAVE_UP``. In a transaction. Returns when it had them."""
    bounds = (QUICK_TIMEOUT_MS, QUICK_STATEMENT_MS) if quick else (LOCK_TIMEOUT_MS, LOCK_STATEMENT_MS)
    connection.execute(
        "select set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
        tuple(f"{bound}ms" for bound in bounds),
    )
    # one message: a round trip that is saved here is saved for every client that waits
    done = connection.execute(
        sql.SQL("{}; set local statement_timeout = {}; select pg_stat_clear_snapshot(); {}").format(
            locks.statement, HELD_STATEMENT_MS, files.statement("catalog/locked.sql")
        )
    )
    while done.nextset():
        pass
    row = done.fetchone()
    assert row is not None
    if row[1]:
        raise psycopg.errors.LockNotAvailable(
            f"pid {row[1]} has taken a snapshot meanwhile that is older than the swap"
        )
    return cast(datetime, row[0])


def await_gap(connection: psycopg.Connection, locks: LockOrder, seconds: float) -> bool:
    """Wait, for at most so many seconds, until no session has held a lock for long. Returns whether that is so.

    Only looks: as long as we are not in the queue, no client waits behind us.
    """
    deadline = time.monotonic() + seconds
    while True:
        # within a transaction, what others do is looked up once and then remembered
        connection.execute("select pg_stat_clear_snapshot()")
        if not catalog.rows(
            connection, "in_the_way", exclusive=list(locks.exclusive), shared=list(locks.shared), seconds=LONG_S
        ):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY_S)


def await_no_older_snapshot(
    connection: psycopg.Connection, staged_xid: str | None, seconds: float
) -> catalog.Row | None:
    """Wait, for at most so many seconds, until no session can read later with a snapshot of now; or return one."""
    deadline = time.monotonic() + seconds
    while True:
        # within a transaction, what others do is looked up once and then remembered
        connection.execute("select pg_stat_clear_snapshot()")
        older = catalog.rows(connection, "older_snapshots", staged_xid=staged_xid, seconds=OLD_SNAPSHOT_S)
        if not older:
            return None
        if time.monotonic() > deadline:
            return older[0]
        time.sleep(_LOOK_EVERY_S)


def _names(connection: psycopg.Connection, oids: list[int]) -> list[catalog.Row]:
    return catalog.rows(connection, "names", relations=oids)


def _owner(connection: psycopg.Connection, relation: int) -> str:
    row = connection.execute(files.statement("catalog/quoted_owner.sql"), {"relation": relation}).fetchone()
    assert row is not None
    return str(row[0])
