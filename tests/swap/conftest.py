"""A production with every kind of dependent, and runs of the engine on it as an ordinary role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from cutover import ledger
from cutover.swap import capture, fingerprint, inventory, preparation
from cutover.swap.move import Observer, Order, swap
from stack.postgres import EmbeddedPostgres

TABLES = [("public", "profiles"), ("public", "affiliates"), ("public", "orders")]
HERE = Path(__file__).parent
PASSWORD = "only-for-this-test-server"


def make_roles(server: EmbeddedPostgres) -> None:
    """Cluster-wide roles, made once: the engine's own is no superuser."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for role, attributes in {
            "anon": "nologin",
            "authenticated": "nologin",
            "service_role": "nologin bypassrls",
            "app_owner": "nologin",
            "app": f"login bypassrls password '{PASSWORD}'",
            "cutover": f"login bypassrls password '{PASSWORD}'",
        }.items():
            if not admin.execute("select 1 from pg_roles where rolname = %s", (role,)).fetchone():
                admin.execute(sql.SQL("create role {} ").format(sql.Identifier(role)))
            admin.execute(sql.SQL("alter role {} " + attributes).format(sql.Identifier(role)))
        admin.execute("grant app_owner to cutover")
        admin.execute("grant pg_read_all_stats to cutover")


@dataclass
class Production:
    """One database, and the steps of a run on it."""

    admin_dsn: str
    dsn: str
    app_dsn: str
    messages: list[str] = field(default_factory=list)

    def connect(self) -> psycopg.Connection:
        """As the engine's role."""
        return psycopg.connect(self.dsn)

    def admin(self) -> psycopg.Connection:
        """As superuser, for looking."""
        return psycopg.connect(self.admin_dsn, autocommit=True)

    def value(self, query: str, *parameters: Any) -> Any:
        """The first value of a query run as superuser."""
        with self.admin() as connection:
            row = connection.execute(query.encode(), parameters or None).fetchone()
            return None if row is None else row[0]

    def freeze(self, tables: list[tuple[str, str]] = TABLES) -> str:
        """Install capture, then take a snapshot, as the freeze does. Returns the snapshot."""
        with self.connect() as connection:
            ledger.install(connection)
            connection.execute("create schema if not exists staging")
            capture.install(connection, tables)
        with self.connect() as connection:
            connection.execute("grant usage, create on schema staging to app_owner")
            return str(connection.execute("select pg_current_snapshot()::text").fetchone()[0])

    def stage(self, load: dict[str, str], tables: list[tuple[str, str]] = TABLES) -> str:
        """Create shells and load them with the given statements. Returns the xid of the load."""
        with self.connect() as connection:
            for schema, table in reversed(tables):
                preparation.create_shell(connection, schema, table, "staging")
            for statement in load.values():
                connection.execute(statement.encode())
            return str(connection.execute("select pg_current_xact_id()::text").fetchone()[0])

    def order(self, run: str, since: str, staged_xid: str, **changes: Any) -> Order:
        """The order of a swap of the standard tables, approved by ``reviewer`` as it is staged now."""
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
            staged = fingerprint.tables(connection, order.incoming_schema, order.fingerprinted)
            seen = fingerprint.combine(staged, order.evidence)
            connection.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) select %s, %s, 'approve', %s, 'approve', coalesce(max(try_number), 0) + 1, "
                "'reviewer', now(), now() + interval '1 hour' from cutover.approvals",
                (order.run, order.action, seen),
            )
            return seen

    def prepare(self, run: str, **changes: Any) -> Order:
        """Freeze, stage a copy of production, approve: everything up to the swap."""
        since = self.freeze()
        staged_xid = self.stage(COPY)
        order = self.order(run, since, staged_xid, **changes)
        self.approve(order)
        return order

    def swap(self, order: Order, observer: Observer | None = None) -> ledger.Entry:
        """Run the swap, keeping its messages."""
        return swap(self.connect, order, self.messages.append, observer)

    def inventory(self) -> inventory.Inventory:
        """Every fact about every relation and function of the application's schemas."""
        with self.connect() as connection:
            connection.execute("set search_path = ''")
            names = connection.execute(
                "select c.oid::regclass::text from pg_class as c where relkind in ('r', 'p', 'v', 'm') "
                "and relnamespace in ('public'::regnamespace, 'auth'::regnamespace)"
            ).fetchall()
            functions = connection.execute(
                "select oid::regprocedure::text from pg_proc where pronamespace = 'public'::regnamespace"
            ).fetchall()
            watched = inventory.Watched(tuple(row[0] for row in names), tuple(row[0] for row in functions))
            return inventory.take(connection, watched)


COPY = {
    "profiles": "insert into staging.profiles (id, email, name, level_id, affiliate_id, settings, updated_at) "
    "select id, email, name, level_id, affiliate_id, settings, updated_at from public.profiles",
    "affiliates": "insert into staging.affiliates select * from public.affiliates",
    "orders": "insert into staging.orders select * from public.orders",
}


@pytest.fixture
def empty_production(server: EmbeddedPostgres, database: str) -> Iterator[Production]:
    """The production schema without rows."""
    make_roles(server)
    name = database.rsplit("/", 1)[1]
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(sql.SQL("grant create on database {} to cutover").format(sql.Identifier(name)))
        admin.execute((HERE / "production.sql").read_bytes())
    yield Production(database, server.dsn(name, "cutover", PASSWORD), server.dsn(name, "app", PASSWORD))


@pytest.fixture
def fill() -> Callable[[Production, int], None]:
    """Fills a production with the given number of people, twice as many orders, and what hangs on them."""

    def filled(production: Production, people: int) -> None:
        with production.admin() as admin:
            admin.execute((HERE / "rows.sql").read_text().format(people=people).encode())

    return filled


@pytest.fixture
def production(empty_production: Production, fill: Callable[[Production, int], None]) -> Production:
    """A production of 200 people."""
    fill(empty_production, 200)
    return empty_production
