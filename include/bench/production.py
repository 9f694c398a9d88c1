"""A production in which every kind of dependent occurs, and the steps of a run on it: for tests and measurements.

Its schema is ``include/bench/sql/production.sql``. The engine works as the role ``cutover``, which is no superuser;
clients as the role ``app``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg import sql

from cutover.database import statements as files
from cutover.database.connect import session
from cutover.records import chain, ledger, run
from cutover.swap import capture, coverage, inventory, preparation
from cutover.swap.execution import Observer
from cutover.swap.order import Order
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres

Table = tuple[str, str]

TABLES: list[Table] = [("public", "profiles"), ("public", "affiliates"), ("public", "orders")]
PASSWORD = "only-for-this-server"

# Staging is a copy of production: what a run changes is not the point here.
COPY = {
    "profiles": "insert into staging.profiles (id, email, name, level_id, affiliate_id, settings, updated_at) "
    "select id, email, name, level_id, affiliate_id, settings, updated_at from public.profiles",
    "affiliates": "insert into staging.affiliates select * from public.affiliates",
    "orders": "insert into staging.orders select * from public.orders",
}

# the schemas that are neither PostgreSQL's nor the engine's
_APPLICATION = (
    "select oid from pg_namespace where nspname !~ '^(pg_|backup_)' "
    "and nspname not in ('information_schema', 'staging', 'cutover')"
)


def make_roles(server: EmbeddedPostgres) -> None:
    """Cluster-wide roles, made once: the engine's own is no superuser."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for role, attributes in {
            "anon": "nologin",
            "authenticated": "nologin",
            "service_role": "nologin bypassrls",
            "app_owner": "nologin",
            "app": f"login bypassrls password '{PASSWORD}'",
        }.items():
            if not admin.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone():
                admin.execute(sql.SQL("create role {}").format(sql.Identifier(role)))
            admin.execute(sql.SQL("alter role {} " + attributes).format(sql.Identifier(role)))


def lay(server: EmbeddedPostgres, database: str) -> Production:
    """The schema, without rows, in an empty database of the server."""
    make_roles(server)
    production = Production(
        server.dsn(database), server.dsn(database, "cutover", PASSWORD), server.dsn(database, "app", PASSWORD)
    )
    allow(production)
    with production.admin() as admin:
        admin.execute(files.text("bench/production.sql").encode())
    allow(production)
    return production


def allow(production: Production, merged: str = "auth.users") -> None:
    """Give the engine's roles what ``roles.sql`` says, and nothing else."""
    with production.admin() as admin, admin.transaction():
        # roles are the cluster's: two databases at once would be in each other's way
        admin.execute("select pg_advisory_xact_lock(hashtext('roles'))")
        admin.execute("select set_config('cutover.owner', 'app_owner', true)")
        admin.execute("select set_config('cutover.merged', %s, true)", (merged,))
        admin.execute(files.text("roles.sql").encode())
        admin.execute(f"alter role cutover login password '{PASSWORD}'".encode())


@dataclass
class Production:
    """One database, and the steps of a run on it."""

    admin_dsn: str
    dsn: str
    app_dsn: str
    messages: list[str] = field(default_factory=list)
    owner: str = "app_owner"

    def connect(self) -> psycopg.Connection:
        """As the engine's role."""
        return session(self.dsn, "cutover")

    def admin(self) -> psycopg.Connection:
        """As superuser, for looking."""
        return psycopg.connect(self.admin_dsn, autocommit=True)

    def value(self, query: str, *parameters: Any) -> Any:
        """The first value of a query run as superuser."""
        with self.admin() as connection:
            row = connection.execute(query.encode(), parameters or None).fetchone()
            return None if row is None else row[0]

    def fill(self, people: int) -> None:
        """Rows: so many people, twice as many orders, and what hangs on them."""
        with self.admin() as admin:
            admin.execute(files.text("bench/rows.sql").format(people=people).encode())

    def install(self, tables: Sequence[Table] = TABLES) -> None:
        """Install the engine's tables and write capture."""
        with self.connect() as connection:
            ledger.install(connection)
            connection.execute("create schema if not exists staging")
            connection.execute(
                sql.SQL("grant usage, create on schema staging to {}").format(sql.Identifier(self.owner))
            )
        for table in tables:
            with self.connect() as connection:
                capture.install(connection, [table])

    def freeze(self, tables: Sequence[Table] = TABLES) -> str:
        """Install capture, then take a snapshot. Returns the snapshot."""
        self.install(tables)
        with self.connect() as connection:
            row = connection.execute("select pg_current_snapshot()::text").fetchone()
            assert row is not None
            return str(row[0])

    def stage(self, load: Mapping[str, str], tables: Sequence[Table] = TABLES) -> str:
        """Create shells and load them with the given statements. Returns the xid of the load."""
        with self.connect() as connection:
            for schema, table in reversed(tables):
                preparation.create_shell(connection, schema, table, "staging")
            for statement in load.values():
                connection.execute(statement.encode())
            row = connection.execute("select pg_current_xact_id()::text").fetchone()
            assert row is not None
            return str(row[0])

    def order(self, run: str, since: str, staged_xid: str, **changes: Any) -> Order:
        """The order of a swap of the standard tables."""
        order = Order(
            run=run,
            migration="test",
            action="swap",
            tables=TABLES,
            incoming_schema="staging",
            backup_schema=f"backup_{run}",
            since=since,
            staged_xid=staged_xid,
            fingerprinted=[name for _, name in TABLES],
            evidence={"validation": "passed"},
            merged=[("auth", "users")],
        )
        return replace(order, **changes)

    def approve(self, order: Order) -> str:
        """Record an approval of exactly what is staged. Returns the fingerprint."""
        with self.connect() as connection:
            connection.execute(
                "insert into cutover.run (run, migration, dag_id, dag_run_id) values (%s, %s, 'test', %s) "
                "on conflict do nothing",
                (order.run, order.migration, order.run),
            )
        with self.connect() as connection:
            coverage.one_moment(connection, order)
            covered = coverage.take(connection, order)
        fingerprint = covered.fingerprint
        with self.connect() as connection:
            run.note(connection, order.run, coverage=covered.as_dict(), fingerprint=fingerprint)
            written = connection.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) select %s, %s, 'approve', %s, 'approve', coalesce(max(try_number), 0) + 1, "
                "'reviewer', now(), now() + interval '1 hour' from cutover.approvals returning approval_id",
                (order.run, order.action, fingerprint),
            ).fetchone()
            assert written is not None
            chain.cover(connection, "approval", order.run, ("approvals", written[0]))
            return fingerprint

    def prepare(
        self, run: str, load: Mapping[str, str] = COPY, tables: Sequence[Table] = TABLES, **changes: Any
    ) -> Order:
        """Freeze, stage, approve: everything up to the swap. What is staged is production as one snapshot has it."""
        self.install(tables)
        with self.connect() as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            row = connection.execute("select pg_current_snapshot()::text, pg_current_xact_id()::text").fetchone()
            assert row is not None
            since, staged_xid = row
            named = [sql.Identifier(*table).as_string() for table in tables]
            oids = connection.execute("select array_agg(to_regclass(n)::oid) from unnest(%s::text[]) as n", (named,))
            filenodes = capture.filenodes(connection, (oids.fetchone() or [[]])[0])
            for schema, table in reversed(tables):
                preparation.create_shell(connection, schema, table, "staging")
            for statement in load.values():
                connection.execute(statement.encode())
        given = {"tables": tables, "filenodes": filenodes, "fingerprinted": [name for _, name in tables]}
        order = self.order(run, since, staged_xid, **{**given, **changes})
        self.approve(order)
        return order

    def swap(self, order: Order, observer: Observer | None = None) -> ledger.Entry:
        """Run the swap, keeping its messages."""
        return swap(self.connect, order, self.log, observer)

    def log(self, message: str) -> None:
        """Keep a message of the engine, and print it: a test that fails shows what was said before."""
        self.messages.append(message)
        print(message)

    def inventory(self) -> inventory.Inventory:
        """Every fact about every relation and function of the application's schemas."""
        with self.connect() as connection:
            connection.execute("set search_path = ''")
            names = connection.execute(
                "select c.oid::regclass::text from pg_class as c where relkind in ('r', 'p', 'v', 'm') "
                f"and relnamespace in ({_APPLICATION})"
            ).fetchall()
            functions = connection.execute(
                "select oid::regprocedure::text from pg_proc "
                f"where prokind in ('f', 'p') and pronamespace in ({_APPLICATION})"
            ).fetchall()
            watched = inventory.Watched(tuple(row[0] for row in names), tuple(row[0] for row in functions))
            return inventory.take(connection, watched)
