"""Each role can do its work, and no more. The swap itself runs as ``cutover`` in every test of this folder."""

from __future__ import annotations

import psycopg
import pytest

from bench.production import allow
from cutover import ledger

from .conftest import Production

MAY = {
    "cutover_extract": [
        "create table raw.things (id integer)",
        "insert into raw.things values (1)",
        "select * from cutover.sync",
    ],
    "cutover_transform": [
        "select count(*) from public.orders",
        "select count(*) from auth.users",
        "select * from raw.invoices",
        "create schema input",
        "create table input.orders as select * from public.orders",
        "create schema staging_of_mine",
        "select * from cutover.reconciliation",
    ],
}
MAY_NOT = {
    "cutover_extract": [
        "select 1 from public.orders",
        "select 1 from auth.users",
        "select 1 from cutover.approvals",
        "insert into cutover.approvals (run) values ('x')",
        "create table public.mine (id integer)",
        "set role app_owner",
    ],
    "cutover_transform": [
        "update public.orders set amount = 0",
        "delete from auth.users",
        "alter table public.orders set schema raw",
        "insert into raw.invoices values (1)",
        "insert into cutover.approvals (run) values ('x')",
        "select 1 from cutover.changelog",
        "truncate public.orders",
        "set role app_owner",
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
    return production


@pytest.mark.parametrize("role", MAY)
def test_a_role_can_do_its_work(installed: Production, role: str) -> None:
    with installed.admin() as admin:
        admin.execute(f"set session authorization {role}".encode())
        for statement in MAY[role]:
            admin.execute(statement.encode())


@pytest.mark.parametrize(("role", "statement"), [(role, s) for role in MAY_NOT for s in MAY_NOT[role]])
def test_a_role_can_do_no_more(installed: Production, role: str, statement: str) -> None:
    with installed.admin() as admin:
        admin.execute(f"set session authorization {role}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            admin.execute(statement.encode())


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
