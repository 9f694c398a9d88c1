"""Bounded attempts to lock production: we always give up before a client does, and nobody is killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import psycopg
from psycopg import sql

from cutover import catalog
from cutover.swap.refusals import outside_parameters
from cutover.swap.scope import Scope

Log = Callable[[str], None]

LOCK_TIMEOUT_MS = 200
# lock_timeout counts per relation; this bounds the lock statement as a whole.
LOCK_STATEMENT_MS = 300
# A first try is shorter: clients come and go within milliseconds, and whoever does not would be waited for in vain.
QUICK_TIMEOUT_MS = 40
QUICK_STATEMENT_MS = 60
# Inside the lock every statement takes milliseconds; one that does not is broken off, and with it the attempt.
HELD_STATEMENT_MS = 5_000
# A session that has held its lock for longer than this is not queued behind: clients would queue behind us.
LONG_S = 0.1
_LOOK_EVERY_S = 0.05

GAVE_UP = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
)


@dataclass(frozen=True)
class Patience:
    """How often, and with what pauses in between, a swap tries to lock. The pauses grow and are jittered.

    An attempt that finds a long transaction in the way does not queue behind it; but one in ``insist`` does, so that
    a steady stream of long transactions does not keep a swap away for ever.
    """

    attempts: int = 40
    insist: int = 5
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the given attempt (counted from 1) has failed."""
        longest = min(self.longest_pause_s, self.first_pause_s * 1.6 ** (attempt - 1))
        return longest * self._random.uniform(0.6, 1.0)


@dataclass(frozen=True)
class LockOrder:
    """One statement that takes every production lock, in one fixed order, and the oids it is about."""

    statement: sql.Composed
    exclusive: tuple[int, ...]
    merged: tuple[int, ...]

    @property
    def relations(self) -> list[int]:
        """All of them."""
        return [*self.merged, *self.exclusive]


def order(connection: psycopg.Connection, scope: Scope) -> LockOrder:
    """Merged tables first, then views, then the tables parents first, then the outside tables that are re-bound.

    A reader locks a view before the tables under it, and a sign-up writes accounts before profiles: taking the
    locks in that order, too, means waiting for them and not deadlocking with them.
    """
    outside = catalog.rows(connection, "outside_tables", **outside_parameters(scope))
    views = [d for d in scope.dependents if d.kind in ("view", "materialized view") and d.binding == "direct"]
    merged = [row["name"] for row in _names(connection, list(scope.merged))]
    tables = [row["name"] for row in _names(connection, scope.outgoing)]
    body: list[str] = []
    if merged:
        body.append(f"lock table {', '.join(merged)} in share row exclusive mode;")
    # LOCK TABLE on a view would lock every table under it as well; a change of owner to the same owner locks it alone.
    for view in sorted(views, key=lambda d: -d.depth):
        owner = _owner(connection, view.oid)
        body.append(f"alter {view.kind} {view.name} owner to {owner};")
    exclusive = tables + [row["name"] for row in outside]
    if exclusive:
        body.append(f"lock table {', '.join(exclusive)} in access exclusive mode;")
    relations = [*[v.oid for v in views], *scope.outgoing, *[row["oid"] for row in outside]]
    # one statement, so that statement_timeout bounds all of it
    statement = sql.SQL("do {}").format(sql.Literal("begin\n" + "\n".join(body) + "\nend"))
    return LockOrder(statement, tuple(relations), scope.merged)


def take(connection: psycopg.Connection, locks: LockOrder, *, quick: bool = False) -> datetime:
    """Take every lock within the bounds, or raise one of ``GAVE_UP``. In a transaction. Returns when it had them."""
    bounds = (QUICK_TIMEOUT_MS, QUICK_STATEMENT_MS) if quick else (LOCK_TIMEOUT_MS, LOCK_STATEMENT_MS)
    connection.execute(
        "select set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
        tuple(f"{bound}ms" for bound in bounds),
    )
    # one message: a round trip that is saved here is saved for every client that waits
    done = connection.execute(
        sql.SQL("{}; set local statement_timeout = {}; select clock_timestamp()").format(
            locks.statement, HELD_STATEMENT_MS
        )
    )
    while done.nextset():
        pass
    row = done.fetchone()
    assert row is not None
    return cast(datetime, row[0])


def await_gap(connection: psycopg.Connection, locks: LockOrder, seconds: float) -> bool:
    """Wait, for at most so many seconds, until no session has held a lock for long. Returns whether that is so.

    Only looks: as long as we are not in the queue, no client waits behind us.
    """
    deadline = time.monotonic() + seconds
    while catalog.rows(
        connection, "in_the_way", exclusive=list(locks.exclusive), merged=list(locks.merged), seconds=LONG_S
    ):
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


def patiently(connection: psycopg.Connection, statement: str, log: Log, patience: Patience | None = None) -> None:
    """Run a statement that needs a lock on a live table, in autocommit, giving up its place in the queue early.

    Raises one of ``GAVE_UP`` after the last attempt.
    """
    patience = patience or Patience()
    connection.execute("select set_config('lock_timeout', %s, false)", (f"{LOCK_TIMEOUT_MS}ms",))
    for attempt in range(1, patience.attempts + 1):
        try:
            connection.execute(statement.encode())
            return
        except GAVE_UP as error:
            if attempt == patience.attempts:
                raise
            log(f"{statement}: {str(error).splitlines()[0]}, trying again")
            time.sleep(patience.pause(attempt))


def describe_blockers(connection: psycopg.Connection, locks: LockOrder) -> list[str]:
    """One line per session in the way: pid, user, application, how long, what it holds, its query."""
    return [
        f"pid {b['pid']} user {b['user']} ({b['application'] or 'no application name'}, {b['state']}, "
        f"open for {b['age']}) holds {b['locks']}: {b['query']}"
        for b in catalog.rows(connection, "blockers", relations=locks.relations)
    ]


def _names(connection: psycopg.Connection, oids: list[int]) -> list[catalog.Row]:
    return [
        {"oid": oid, "name": name}
        for oid, name in connection.execute(
            "select r, r::regclass::text from unnest(%s::oid[]) with ordinality as u (r, n) order by n", (oids,)
        ).fetchall()
    ]


def _owner(connection: psycopg.Connection, relation: int) -> str:
    found = connection.execute(
        "select quote_ident(pg_get_userbyid(relowner)) from pg_catalog.pg_class where oid = %s", (relation,)
    ).fetchone()
    assert found is not None
    return str(found[0])
