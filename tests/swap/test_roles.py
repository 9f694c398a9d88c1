"""Each role can do its work, and no more. The swap itself runs as ``cutover`` in every test of this folder."""

from __future__ import annotations

import psycopg
import pytest

from bench.production import allow
from cutover.errors import CutoverError
from cutover.records import ledger

from .conftest import Production

# Evidence, the engine's own turn, and the tables that a launch is made in.
NOBODY_ELSE = [
    *(
        statement.format(table)
        for table in ("ledger", "approvals", "certificate", "run", "changelog", "quarantine")
        for statement in ("delete from cutover.{}", "truncate cutover.{}")
    ),
    "update cutover.reconciliation set read = 0",
    "delete from cutover.rejects",
    "update cutover.rejects set reason = ''",
    "insert into cutover.lineage values ('orders', 'm', 'select 1')",
    "update cutover.lineage set statement = 'select 1'",
    "select from cutover.turn for update",
    "create table cutover.mine (id integer)",
    "create function cutover.mine() returns integer language sql as 'select 1'",
    "drop schema staging cascade",
    "drop schema raw cascade",
    "drop table staging.things",
    "comment on schema cutover is 'Cutover ledger'",
]
MAY = {
    "cutover_extract": [
        "create table raw.things (id integer)",
        "insert into raw.things values (1)",
        "select * from cutover.sync",
        "select cutover.begin_source('things')",
        "insert into cutover.rejects (source, reason) values ('things', 'unreadable')",
    ],
    "cutover_transform": [
        "select count(*) from public.orders",
        "select count(*) from auth.users",
        "select * from raw.invoices",
        "create table workbench.orders as select * from public.orders",
        "select * from cutover.reconciliation",
    ],
}
MAY_NOT = {
    "cutover_extract": [
        "select 1 from public.orders",
        "select 1 from auth.users",
        "select 1 from cutover.approvals",
        "insert into cutover.approvals (run) values ('x')",
        "select 1 from cutover.chain",
        "create table public.mine (id integer)",
        "set role app_owner",
        "create schema mine",
        "insert into cutover.rejects (run, source, reason) values ('r1', 'things', 'unreadable')",
        *NOBODY_ELSE,
    ],
    "cutover_transform": [
        "update public.orders set amount = 0",
        "delete from auth.users",
        "alter table public.orders set schema raw",
        "insert into raw.invoices values (1)",
        "insert into cutover.approvals (run) values ('x')",
        "select 1 from cutover.chain",
        "select 1 from cutover.changelog",
        "truncate public.orders",
        "set role app_owner",
        "create schema input",
        "create table raw.mine (id integer)",
        "update cutover.sync_state set watermark = now()",
        "insert into cutover.rejects (source, reason) values ('things', 'unreadable')",
        *NOBODY_ELSE,
    ],
    "cutover": [
        "create role another",
        "alter system set fsync = off",
        "delete from auth.users",
        "set session_replication_role = replica",
        "alter table auth.users disable trigger all",
    ],
}


@pytest.fixture
def installed(production: Production) -> Production:
    """With the engine's tables, and the roles given what they need of them."""
    with production.connect() as connection:
        ledger.install(connection)
    allow(production)
    with production.admin() as admin:
        admin.execute("set role cutover_extract; create table raw.invoices (id integer)")
        admin.execute("reset role; set role cutover; create schema staging; create table staging.things (id integer)")
    return production


@pytest.mark.parametrize("role", MAY)
def test_a_role_can_do_its_work(installed: Production, role: str) -> None:
    with installed.admin() as admin:
        admin.execute(f"set session authorization {role}".encode())
        for statement in MAY[role]:
            admin.execute(statement.encode())


@pytest.mark.parametrize("role", MAY_NOT)
def test_a_role_can_do_no_more(installed: Production, role: str) -> None:
    with installed.admin() as admin:
        admin.execute(f"set session authorization {role}".encode())
        for statement in MAY_NOT[role]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                admin.execute(statement.encode())
                raise AssertionError(f"{role} may: {statement}")


def test_a_lock_that_a_stranger_holds_keeps_no_swap_away(installed: Production) -> None:
    order = installed.prepare("r1")
    with installed.admin() as stranger:
        stranger.execute("set session authorization app")
        for key in (0x6375746F01, 0x6375746F02):
            stranger.execute("select pg_advisory_lock(%s)", (key,))
        stranger.execute("select pg_advisory_lock(hashtext('cutover.extract'), hashtext('things'))")
        assert installed.swap(order).run == "r1"


def test_two_swaps_take_turns(installed: Production) -> None:
    order = installed.prepare("r1")
    with installed.connect() as other:
        assert ledger.take_turn(other, "swap")
        with pytest.raises(CutoverError, match=r"swap\.another-run"):
            installed.swap(order)
    assert installed.swap(order).run == "r1"


def test_what_is_being_built_is_closed_to_the_applications_roles(installed: Production) -> None:
    installed.swap(installed.prepare("r1"))
    installed.prepare("r2")
    for schema in ("staging", "raw", "cutover", "backup_r1"):
        for role in ("anon", "authenticated", "app"):
            assert installed.value("select has_schema_privilege(%s, %s, 'usage')", role, schema) is False, (
                schema,
                role,
            )


def test_the_engine_is_no_superuser_and_sees_every_row(installed: Production) -> None:
    assert (
        installed.value("select rolsuper or rolcreaterole or rolreplication from pg_roles where rolname = 'cutover'")
        is False
    )
    assert installed.value("select rolbypassrls from pg_roles where rolname = 'cutover'") is True
