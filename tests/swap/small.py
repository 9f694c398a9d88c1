"""A small production of two tables in the set and three beside it, to which a test adds what it is about."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from bench.production import PASSWORD, Production, Table, allow, make_roles
from cutover import rollback
from cutover.migration import Migration
from cutover.records import ledger
from cutover.swap.execution import Observer
from cutover.swap.plan import Statement
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres
from tests import databases

from .kinds import ROWS, TABLES

MIGRATION = Migration(migration="test")
SET: list[Table] = [("public", "customers"), ("public", "orders")]

_BASE = """
grant create, usage on schema public to app_owner;
grant usage on schema public to anon, authenticated, service_role, app;
set role app_owner;
{tables}
{rows}
grant select, insert, update, delete on all tables in schema public to app;
grant usage on all sequences in schema public to app;
reset role;
""".format(tables="".join(f"create table public.{name} ({lines});\n" for name, lines in TABLES.items()), rows=ROWS)
_names = itertools.count(1)


@contextmanager
def small(server: EmbeddedPostgres, *statements: str) -> Iterator[Production]:
    """The small production with further statements, run as the tables' owner; its database is dropped at the end."""
    make_roles(server)
    name = f"small_{os.getpid()}_{next(_names)}"
    databases.create(server, name)
    production = Production(server.dsn(name), server.dsn(name, "cutover", PASSWORD), server.dsn(name, "app", PASSWORD))
    try:
        with production.admin() as admin:
            admin.execute(_BASE.encode())
            admin.execute("set role app_owner")
            for statement in statements:
                admin.execute(statement.encode())
        allow(production, merged="")
        yield production
    finally:
        databases.drop(server, name)


def copies(production: Production, tables: Sequence[Table] = tuple(SET)) -> dict[str, str]:
    """Statements that fill each staging table with production's rows."""
    made = {}
    for schema, name in tables:
        live = sql.Identifier(schema, name).as_string()
        columns = production.value(
            "select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
            live,
        )
        staged = sql.Identifier("staging", name).as_string()
        made[name] = f"insert into {staged} ({columns}) overriding system value select {columns} from {live}"
    return made


def swapped(
    production: Production, run: str, tables: Sequence[Table] = tuple(SET), observer: Observer | None = None
) -> ledger.Entry:
    """Freeze, stage, approve, swap."""
    order = production.prepare(run, copies(production, tables), tables, merged=())
    return swap(production.connect, order, production.log, observer)


class Locks(Observer):
    """What the move locks beside what it begins with: relation, mode and step; of what was there and clients use."""

    # what reads, writes and DDL need of the tables that stay is nobody's wait
    _HELD = (
        "select l.relation::bigint, l.mode from pg_locks as l where l.pid = pg_backend_pid() "
        "and l.locktype = 'relation' and l.granted and l.relation = any(%s) and l.mode = any(array["
        "'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'])"
    )
    _KNOWN = (
        "select array_agg(c.oid) from pg_class as c where c.relkind in ('r', 'p', 'v', 'm') and not exists (select "
        "from pg_locks as l where l.pid = pg_backend_pid() and l.relation = c.oid and l.mode = 'AccessExclusiveLock') "
        "and c.relnamespace in (select n.oid from pg_namespace as n where n.nspname not like all (array["
        "'cutover', 'staging', 'pg\\_%%', 'information\\_schema', 'backup\\_%%']))"
    )

    def __init__(self) -> None:
        self.further: set[tuple[str, str, str]] = set()
        self.statements: list[Statement] = []
        self._known: list[int] = []
        self._at_first: set[tuple[int, str]] = set()

    def at(self, moment: str) -> None:
        """A new attempt begins anew."""
        if moment == "planned":
            self.statements.clear()

    def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
        """Compare what is locked with what was before the first statement."""
        if not self.statements:
            row = connection.execute(self._KNOWN).fetchone()
            self._known = row[0] if row else []
        held = {(oid, mode) for oid, mode in connection.execute(self._HELD, (self._known,)).fetchall()}
        if not self.statements:
            self._at_first = held
        self.further |= {(str(oid), mode, self.statements[-1].step) for oid, mode in held - self._at_first}
        self.statements.append(statement)


def rolled_back(production: Production, run: str) -> ledger.Entry:
    """Preview, approve and run the rollback of the newest entry."""
    with production.connect() as connection:
        order = rollback.order(rollback.undoable(connection, "test"), MIGRATION, run)
    rollback.preview(production.connect, order)
    production.approve(order)
    return swap(production.connect, order, production.log)
