"""Today's tables and those of the launch side by side, in one transaction that is taken back.

The staged tables are prepared as the swap prepares them: keys, indexes, policies, statistics, materialized views, and
the writes captured so far carried. Then they go, with views like production's over them, into a schema that only this
transaction has. No table of production is locked by any of it in a way that a reader or writer would notice; and one
who waits all the same, such as a deploy, ends it (``Guard``).

All of it is of one moment (REPEATABLE READ). What the swap does beside the set itself is not done here: accounts are
not merged, and rows of other tables do not follow.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.connect import Connect, Log
from cutover.records import ledger
from cutover.swap import owner, preparation, rehearsal, transaction
from cutover.swap.carry import carry
from cutover.swap.order import Order, read_scope
from cutover.swap.scope import Scope

# Milliseconds that a query may take, on either side: whoever has to wait for it has left by then.
STATEMENT_MS = 5_000
# Milliseconds for a lock: whatever has one on a table that is read here is the application's, and goes first.
_LOCK_MS = 2_000
# Milliseconds after which the server ends a transaction of ours whose program hangs.
_IDLE_MS = 60_000
# Seconds between two looks whether somebody waits for a lock of ours: about so long a deploy waits at most.
_LOOK_S = 0.05


class GivenUpError(Exception):
    """Queries could not be run now, which says nothing about them."""


@dataclass(frozen=True)
class Tables:
    """The two sides: today's relations by oid, and the rehearsed ones in ``schema``.

    ``names`` are today's as written in full; ``counterparts`` lead from each of the set to its rehearsed one, and to
    None where it has none; ``moved`` are the (schema, name) that have a place in ``schema``. The swap adds rows to
    ``written``, and here nothing did.
    """

    schema: str
    owner: str
    scope: Scope
    names: Mapping[int, str]
    counterparts: Mapping[int, int | None]
    moved: frozenset[tuple[str, str]]
    written: frozenset[int]


@contextmanager
def rehearsed(connection: psycopg.Connection, order: Order, log: Log) -> Iterator[Tables]:
    """The tables of ``order`` on both sides, until the end of the block. ``connection`` is new, and in autocommit.

    Raises what the swap's own preparation does; ``GivenUpError`` while something else is at work in the database.
    """
    transaction.tune(connection)
    connection.execute("set plan_cache_mode = auto")
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    may, database, role = connection.execute(files.statement("swap/rehearsal_begins.sql")).fetchone() or (False, "", "")
    if not may:
        raise GivenUpError(
            f"the engine's role may not make temporary tables (grant temporary on database {database} to {role})"
        )
    if triggers := rehearsal.acts_outside(connection, read_scope(connection, order)):
        raise GivenUpError(f"what it sets off would not be taken back: {'; '.join(triggers)}")
    with rehearsal.never_committed(connection):
        bound(connection, statement_ms=0)
        if not ledger.take_turn(connection, "rehearse"):
            raise GivenUpError("a rehearsal is under way in this database")
        transaction.prepare(connection, order, log)
        scope = read_scope(connection, order)
        carry(connection, order.run, scope, order.since, order.except_xid)
        yield _side_by_side(connection, scope)


def bound(connection: psycopg.Connection, *, statement_ms: int) -> None:
    """For how long a statement of this transaction may take; 0 for however long."""
    milliseconds = {"statement": statement_ms, "lock": _LOCK_MS, "idle": _IDLE_MS}
    bounds = {name: f"{value}ms" for name, value in milliseconds.items()}
    connection.execute(files.statement("probes/bounds.sql"), bounds)


def _side_by_side(connection: psycopg.Connection, scope: Scope) -> Tables:
    """Move what is incoming into a schema of this transaction, and make the views over it."""
    schema = f"cutover_probes_{connection.info.backend_pid}"
    as_role = owner.owner_of(connection, next(t.outgoing or t.incoming or 0 for t in scope.tables))
    views = [d.oid for d in scope.dependents if d.kind == "view"]
    texts, schemas = preparation.view_definitions(connection, scope, views)
    connection.execute(files.statement("probes/begin.sql", schema=schema, owner=as_role))
    relations = [t.name for t in scope.tables if t.incoming is not None]
    for view in scope.rebuilt:
        name = connection.execute(files.statement("catalog/relation_name.sql"), {"relation": view}).fetchone()
        assert name is not None
        relations.append(name[0])
    for relation in relations:
        there, here = sql.Identifier(scope.incoming_schema, relation), sql.Identifier(schema)
        connection.execute(sql.SQL("alter table {} set schema {}").format(there, here))
    for view, text in zip(views, texts, strict=True):
        parameters = {"schema": schema, "owner": as_role, "definition": text, "view": view}
        (row,) = catalog.rows(connection, "probe_view", **parameters)
        try:
            with connection.transaction(), searching(connection, [schema, *schemas]):
                connection.execute(row["statement"])
        except psycopg.Error as error:
            # a view of that name is there already, or one below it could not be made: it has no counterpart
            if error.sqlstate is None or error.sqlstate.startswith(("08", "57")):
                raise
    parameters = {"relations": [*scope.outgoing, *scope.rebuilt, *views], "schema": schema}
    rows = catalog.rows(connection, "probe_counterparts", **parameters)
    arriving = {(t.schema, t.name) for t in scope.tables if t.outgoing is None and t.incoming is not None}
    return Tables(
        schema=schema,
        owner=as_role,
        scope=scope,
        names={row["oid"]: row["name"] for row in rows},
        counterparts={row["oid"]: row["counterpart"] for row in rows},
        moved=frozenset((row["nspname"], row["relname"]) for row in rows if row["counterpart"] is not None) | arriving,
        written=frozenset(scope.written),
    )


@contextmanager
def searching(connection: psycopg.Connection, schemas: Sequence[str]) -> Iterator[None]:
    """A search_path for a block that runs what is the application's; nothing else may be asked in it."""
    path = sql.SQL(", ").join(map(sql.Identifier, schemas))
    connection.execute(sql.SQL("set local search_path to {}").format(path))
    yield
    # after an error its savepoint is taken back, and the path with it
    connection.execute("set local search_path to ''")


class Guard:
    """Looks whether another session waits for a lock of ``connection``, and then cancels what that does.

    It looks within the block; ``require`` is asked between two queries, and where one was cancelled.
    """

    def __init__(self, connect: Connect, connection: psycopg.Connection) -> None:
        self._connect, self._connection = connect, connection
        self._over, self._is_waited_for = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._look, name="guard of the probes", daemon=True)

    def require(self) -> None:
        """Raise ``GivenUpError`` if somebody has to wait: the caller ends the transaction with it."""
        if self._is_waited_for.is_set():
            raise GivenUpError("somebody wanted to change a table meanwhile, and went first")

    def __enter__(self) -> Guard:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        pid = self._connection.info.backend_pid
        with suppress(psycopg.Error), self._connect() as other:
            other.autocommit = True
            while not self._over.wait(_LOOK_S):
                waits = other.execute(files.statement("probes/kept_waiting.sql"), {"pid": pid}).fetchone()
                if waits == (True,):
                    self._is_waited_for.set()
                    self._connection.cancel_safe()
