"""A small world for tests of clean_launch: rows that a test names, and the phases from freeze to transform.

Only what a test is about is said in it; everything else has a default that the business rules accept.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import count
from types import SimpleNamespace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover import migration, review
from cutover.database import statements as files
from cutover.migration import load_order
from cutover.records import ledger

MIGRATION = SimpleNamespace(migration="clean_launch", merge={"users": "auth.users"})
NAMESPACE = uuid.UUID("6f1c8f0e-3f0b-5a52-9a1b-0d7f6e6f3c11")
RUN = "r20251102_081500_1f0c9a"
SETTINGS = review.settings(migration.load("clean_launch"))

RAW_TABLES = ("xendit_invoices", "xendit_transactions", "systemeio_contacts", "systemeio_tags")

_PRODUCTION = """
create schema auth;
create table auth.users (
    instance_id uuid, id uuid primary key, aud text, role text, email text, encrypted_password text,
    email_confirmed_at timestamptz, confirmation_token text, recovery_token text, email_change_token_new text,
    email_change text, last_sign_in_at timestamptz, banned_until timestamptz,
    raw_app_meta_data jsonb, raw_user_meta_data jsonb,
    created_at timestamptz, updated_at timestamptz, is_sso_user boolean not null default false,
    deleted_at timestamptz, is_anonymous boolean not null default false,
    confirmed_at timestamptz generated always as (email_confirmed_at) stored
);
create unique index users_email_partial_key on auth.users (email) where is_sso_user = false;
create table auth.identities (
    id uuid primary key, provider_id text not null, user_id uuid not null references auth.users (id) on delete cascade,
    identity_data jsonb not null, provider text not null, created_at timestamptz, updated_at timestamptz,
    unique (provider_id, provider)
);
create table public.courses (id uuid primary key, title text, product_type text unique);
insert into public.courses values ('c0000000-0000-4000-8000-000000000001', 'Papers to Profits', 'p2p_course');
create table public.membership_levels (id uuid primary key, name text);
"""


def at(text: str) -> datetime:
    """An ISO date or date-time, in UTC where it says nothing else."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


@dataclass
class World:
    """Raw rows and a production, in one database; ``prepare`` and ``transform`` do what a run does."""

    connection: psycopg.Connection
    numbers: Any = field(default_factory=lambda: count(1))

    def create(self) -> World:
        """Raw tables, production tables, the ledger and what the migration installs; all empty."""
        execute = self.connection.execute
        ledger.install(self.connection)
        for table in RAW_TABLES:
            execute(files.text(f"clean_launch/extract/{table}.create.sql"))
        execute(_PRODUCTION)
        later: list[str] = []
        for table in ("unified_profiles", "transactions", "enrollments", "affiliates"):
            ddl = files.text(f"clean_launch/staging/{table}.sql").replace("staging.", "public.")
            now, keys = load_order.split_foreign_keys(ddl)
            for statement in now:
                execute(statement)
            later.extend(keys)
        for statement in later:
            execute(statement)
        self.install()
        self.connection.commit()
        return self

    def install(self) -> None:
        """What the migration keeps between runs."""
        for path in files.files("clean_launch/install"):
            self.connection.execute(files.text(path))

    # rows

    def insert(self, table: str, **values: Any) -> None:
        """One row of ``schema.table``; dicts become jsonb."""
        self.connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(
                sql.Identifier(*table.split(".")),
                sql.SQL(", ").join(map(sql.Identifier, values)),
                sql.SQL(", ").join(sql.Placeholder() * len(values)),
            ),
            [Jsonb(value) if isinstance(value, dict) else value for value in values.values()],
        )

    def contact(self, email: str | None, tags: Sequence[str] = (), **values: Any) -> int:
        """A contact of Systeme.io; returns its id."""
        number = values.pop("id", None) or next(self.numbers)
        row = {"registered_at": at("2024-05-01"), "locale": "en", "unsubscribed": False, "bounced": False} | values
        response = {"id": number, "email": email}
        self._stored("systemeio_contacts", response, id=number, email=email, tags=list(tags), **row)
        return int(number)

    def invoice(self, email: str | None, status: str = "PAID", amount: Any = 1000, **values: Any) -> str:
        """An invoice of Xendit for the course, paid in full unless its status says otherwise; returns its id."""
        invoice = values.pop("id", None) or f"inv{next(self.numbers):05}"
        paid = status in ("PAID", "SETTLED")
        row = {
            "external_id": f"ext-{invoice}",
            "currency": "PHP",
            "description": "Papers to Profits course",
            "paid_amount": amount if paid else None,
            "payment_method": "EWALLET" if paid else None,
            "payment_channel": "GCASH" if paid else None,
            "created": at("2024-06-01"),
            "updated": at("2024-06-03"),
            "paid_at": at("2024-06-02") if paid else None,
            "expiry_date": at("2024-06-09"),
        } | values
        response = {"id": invoice, "payer_email": email, "status": status}
        identified = {"id": invoice, "payer_email": email, "status": status, "amount": amount}
        self._stored("xendit_invoices", response, **identified, **row)
        return invoice

    def movement(self, kind: str = "PAYMENT", amount: Any = 1000, **values: Any) -> str:
        """A transaction of Xendit; returns its id."""
        movement = values.pop("id", None) or f"txn_{next(self.numbers):05}"
        row = {
            "status": "SUCCESS",
            "currency": "PHP",
            "cashflow": "MONEY_IN" if kind == "PAYMENT" else "MONEY_OUT",
            "created": at("2024-06-02"),
            "updated": at("2024-06-04"),
        } | values
        self._stored("xendit_transactions", {"id": movement}, id=movement, type=kind, amount=amount, **row)
        return movement

    def tag(self, name: str) -> int:
        """A tag of Systeme.io; returns its id."""
        number = next(self.numbers)
        self._stored("systemeio_tags", {"id": number, "name": name}, id=number, name=name)
        return number

    def account(self, email: str | None, **values: Any) -> uuid.UUID:
        """An account in production, with its address confirmed; returns its id."""
        account = values.pop("id", None) or uuid.UUID(int=next(self.numbers))
        row = {"created_at": at("2024-01-01"), "encrypted_password": "secret"} | {
            "email_confirmed_at": at("2024-01-02")
        }
        row |= values
        self.insert("auth.users", id=account, email=email, **row)
        return account

    def profile(self, account: uuid.UUID, email: str, **values: Any) -> uuid.UUID:
        """A profile in production; returns its id."""
        row = {"created_at": at("2024-01-01"), "updated_at": at("2024-01-01")} | values
        self.insert("public.unified_profiles", id=account, email=email, **row)
        return account

    def current(self, table: str, **values: Any) -> uuid.UUID:
        """A row of a production table, with an id of its own; returns the id."""
        row = {"id": uuid.UUID(int=next(self.numbers) + 10**6)} | values
        self.insert(f"public.{table}", **row)
        return uuid.UUID(str(row["id"]))

    def product(self, product_type: str, **values: Any) -> None:
        """A new product of the catalogue."""
        self.insert("cutover.product", product_type=product_type, **values)

    def _stored(self, table: str, response: dict[str, Any], **values: Any) -> None:
        """A row of a raw table, with what extraction keeps beside the typed columns."""
        by_name = {
            "api_response": response,
            "content_hash": str(response).encode(),
            "sync_id": 1,
            "page_no": 1,
            "api_synced_at": at("2025-09-30"),
        }
        self.insert(f"raw.{table}", **by_name | values)

    # phases

    def freeze(self) -> None:
        """Copy raw and production into ``input``, and derive the ids of those who may become customers."""
        execute = self.connection.execute
        execute("drop schema if exists input cascade")
        execute("create schema input")
        for path in files.files("clean_launch/freeze"):
            if not path.endswith(".keys.sql"):
                execute(files.text(path))
        execute("create table input.identity (email_key text primary key, id uuid not null)")
        keys = execute(files.text("clean_launch/freeze/identity.keys.sql")).fetchall()
        with self.connection.cursor().copy("copy input.identity from stdin") as copy:
            for (key,) in keys:
                copy.write_row((key, uuid.uuid5(NAMESPACE, key)))

    def transform(self) -> World:
        """Freeze, prepare, and load every staging table in order; foreign keys are added, so orphans fail."""
        execute = self.connection.execute
        self.freeze()
        for path in files.files("clean_launch/prepare"):
            self.run_file(path)
        execute("drop schema if exists staging cascade")
        execute("create schema staging")
        later: list[str] = []
        for path in files.files("clean_launch/staging"):
            now, keys = load_order.split_foreign_keys(files.text(path))
            for statement in now:
                execute(statement)
            later.extend(keys)
        for step in load_order.steps(MIGRATION):
            self.run_file(f"clean_launch/transform/{step}.sql")
        for statement in later:
            # new accounts are merged into auth.users at the swap, not before
            if "REFERENCES auth.users" not in statement:
                execute(statement)
        execute("analyze")
        self.connection.commit()
        return self

    def unprotected(self) -> World:
        """Take every constraint off the staging tables, so that a test can break them."""
        rows = self.rows(
            "select conrelid::regclass::text as name, conname from pg_constraint "
            "where connamespace = 'staging'::regnamespace and contype <> 'n'"
        )
        for row in rows:
            self.connection.execute(
                sql.SQL("alter table {} drop constraint if exists {} cascade").format(
                    sql.Identifier(*row["name"].split(".")), sql.Identifier(row["conname"])
                )
            )
        for row in self.rows(
            "select attrelid::regclass::text as name, attname from pg_attribute "
            "where attrelid in (select oid from pg_class where relnamespace = 'staging'::regnamespace) "
            "and attrelid in (select oid from pg_class where relkind = 'r') "
            "and attnotnull and attnum > 0 and attidentity = ''"
        ):
            self.connection.execute(
                sql.SQL("alter table {} alter {} drop not null").format(
                    sql.Identifier(*row["name"].split(".")), sql.Identifier(row["attname"])
                )
            )
        return self

    def reconcile(self) -> dict[str, dict[str, Any]]:
        """Fill cutover.reconciliation; its rows of this run by source."""
        self.run_file("clean_launch/validate/reconciliation.sql")
        rows = self.rows("select * from cutover.reconciliation where run = %s", RUN)
        return {row["source"]: row for row in rows}

    def run_file(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement file as the engine does; its rows, if it returns any."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(files.text(path).encode(), {"run": RUN, **SETTINGS, **parameters})
            return cursor.fetchall() if cursor.description else []

    # questions

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query, as dicts."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()  # type: ignore[arg-type]

    def row(self, query: str, *values: Any) -> dict[str, Any]:
        """The one row of a query."""
        (row,) = self.rows(query, *values)
        return row

    def staged(self, table: str, order: str = "id") -> list[dict[str, Any]]:
        """All rows of a staging table."""
        return self.rows(f"select * from staging.{table} order by {order}")

    def only(self, table: str) -> dict[str, Any]:
        """The one row of a staging table."""
        (result,) = self.staged(table)
        return result


def fill_with_some_of_everything(world: World) -> None:
    """A few people of every kind, some known to production and some not."""
    account = world.account("Ana@example.com")
    world.profile(account, "ana@example.com", phone="1")
    world.current("affiliates", user_id=account, total_earned=5)
    world.current("enrollments", user_id=account, product_type="canva_ebook", metadata={"page": 3})
    world.contact("ana@example.com", ["PaidP2P", "Canva", "Affiliate"], first_name="Ana")
    world.contact("ANA@example.com", ["VIP"], registered_at=at("2024-08-01"))
    world.contact("ben@example.com", ["Affiliate", "PaidP2P"])
    world.contact("lead@example.com")
    invoice = world.invoice("ana@example.com", "SETTLED")
    world.movement(payment_link_id=invoice, fee_amount=25)
    world.movement("REFUND", 300, payment_link_id=invoice)
    world.invoice("cleo@example.com", description="Canva")
    world.invoice("cleo@example.com", description="Coaching call")
    world.current("transactions", xendit_invoice_id=invoice, amount=1, status="x", metadata={"note": "kept"})
    member = world.account("member@example.com")
    world.profile(member, "member@example.com", phone="1", tags=None, acquisition_source="signup")
    world.current("enrollments", user_id=member, product_type="webinar", status="paused")
    tester = world.account("qa.1@learn.example.com")
    world.profile(tester, "qa.1@learn.example.com")


def launch(world: World) -> None:
    """Put the staged rows into production, without the swap's care: there is nobody in these tables."""
    execute = world.connection.execute
    execute("set constraints all deferred")
    execute("truncate public.unified_profiles, public.transactions, public.enrollments, public.affiliates cascade")
    execute(
        "insert into auth.users (id, email, created_at) select id, email, created_at from staging.users where is_new"
    )
    execute("alter table public.unified_profiles drop constraint if exists fk_unified_profiles_affiliate_id")
    for table in ("unified_profiles", "transactions", "enrollments", "affiliates"):
        columns = world.row(
            "select string_agg(quote_ident(column_name), ', ' order by ordinal_position) as names "
            "from information_schema.columns where table_schema = 'public' and table_name = %s "
            "and is_generated = 'NEVER'",
            table,
        )["names"]
        execute(f"insert into public.{table} ({columns}) select {columns} from staging.{table}")
