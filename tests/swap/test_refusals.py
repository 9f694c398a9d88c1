"""Each refusal, with the message that a person reads."""

from __future__ import annotations

import psycopg
import pytest

from cutover.records import ledger
from cutover.swap import refusals, scope

from .conftest import TABLES, Production

CASES = {
    "not-a-plain-table": (
        "create table public.orders_child () inherits (public.orders)",
        "public.orders: it takes part in inheritance",
    ),
    "no-primary-key": (
        "alter table public.affiliates drop constraint affiliates_pkey cascade",
        "public.affiliates: it has no primary key",
    ),
    "row-type-column": (
        "create table public.profile_audit (id integer, old_row public.profiles)",
        "public.profile_audit.old_row: its type is the row type of public.profiles",
    ),
    "row-type-domain": (
        "create domain public.a_profile as public.profiles check ((value).email is not null)",
        "public.a_profile: it is a domain or range over the row type of public.profiles",
    ),
    "shared-identity-sequence": (
        "create table public.numbers (n bigint default nextval('public.affiliate_numbers'))",
        "public.numbers: its default draws from public.affiliate_numbers",
    ),
    "function-has-dependents": (
        "create policy named on public.profiles using (public.display_name(profiles) <> '')",
        "public.display_name(public.profiles): it has a swapped row type in its signature, and policy named on table",
    ),
    "not-owner": (
        "create view public.foreign_view as select count(*) from public.orders",
        "public.foreign_view: cutover is not a member of its owner postgres",
    ),
    "unknown-dependent": (
        "create aggregate public.people_in(public.profiles) (sfunc = int8inc_any, stype = bigint, initcond = '0')",
        "function public.people_in(public.profiles): it depends on public.profiles in a way that the swap does not",
    ),
}


@pytest.fixture(autouse=True)
def _installed(production: Production) -> None:
    """The engine's functions, which every run installs first."""
    with production.connect() as connection:
        ledger.install(connection)


@pytest.mark.parametrize("code", CASES)
def test_the_swap_refuses_and_names_the_object(production: Production, code: str) -> None:
    statement, message = CASES[code]
    with production.admin() as admin:
        admin.execute(statement.encode())
    with production.connect() as connection:
        tables = scope.read(connection, TABLES, incoming_schema="staging", backup_schema="backup_r1")
        reasons = refusals.find(connection, tables, retired=())
        assert code in {reason.code for reason in reasons}, reasons
        with pytest.raises(refusals.SwapRefusedError) as raised:
            refusals.require_none(
                connection, scope.Scope(tables.tables, (), (), "staging", "backup_r1", tables.dependents)
            )
    assert f"[swap.{code}] {message}" in str(raised.value)
    assert str(raised.value).count("To clear it: ") == len(raised.value.refusals)


@pytest.mark.parametrize("view", ["view public.seen", "materialized view public.seen"])
def test_a_view_that_would_list_a_later_column_is_refused_until_it_is_restated(
    production: Production, view: str
) -> None:
    """PostgreSQL keeps the columns of an alias as they were when the view was made; made anew, it lists them all."""
    with production.admin() as admin:
        admin.execute(
            "create function public.all_orders() returns setof public.orders language sql as 'table public.orders'"
        )
        admin.execute(f"create {view} as select f.id from public.all_orders() as f".encode())
        admin.execute("alter function public.all_orders() owner to app_owner")
        admin.execute("alter table public.seen owner to app_owner")
        admin.execute("alter table public.orders add column remark text")

    def restated() -> list[refusals.Refusal]:
        with production.connect() as connection:
            tables = scope.read(connection, TABLES, incoming_schema="staging", backup_schema="backup_r1")
            reasons = refusals.find(connection, tables, retired=())
            assert connection.execute("select to_regclass('cutover.restated_' || pg_backend_pid())").fetchone() == (
                None,
            )
        with production.connect() as connection:
            connection.read_only = True
            refusals.find(connection, tables, retired=())
        return [reason for reason in reasons if reason.code == "view-restated"]

    (reason,) = restated()
    assert reason.object == "public.seen"
    with production.admin() as admin:
        if "materialized" in view:
            assert reason.remedy.startswith("drop it and create it again")
            return
        admin.execute(reason.remedy.partition(": ")[2].encode())
    assert restated() == []


def test_an_extensions_own_table_is_refused(production: Production) -> None:
    with production.admin() as admin:
        admin.execute("alter extension plpgsql add table public.orders")
    assert "[swap.extension-member] public.orders: it belongs to the extension plpgsql" in refused(production)


def test_a_table_that_a_subscription_fills_is_refused(production: Production) -> None:
    with production.admin() as admin:
        # without a publisher; what the first synchronisation would write is written by hand
        admin.execute("create subscription elsewhere connection '' publication p with (connect = false)")
        admin.execute("set allow_system_table_mods = on")
        admin.execute(
            "insert into pg_subscription_rel (srsubid, srrelid, srsubstate) "
            "select oid, 'public.orders'::regclass, 'r' from pg_subscription where subname = 'elsewhere'"
        )
        try:
            message = "[swap.subscription-target] public.orders: a logical replication subscription writes into it"
            assert message in refused(production)
        finally:
            # it has no slot anywhere, and would keep the database from being dropped
            admin.execute("alter subscription elsewhere set (slot_name = none)")
            admin.execute("drop subscription elsewhere")


def refused(production: Production) -> str:
    """What the swap of the standard tables says instead of beginning."""
    with production.connect() as connection:
        tables = scope.read(connection, TABLES, incoming_schema="staging", backup_schema="backup_r1")
        with pytest.raises(refusals.SwapRefusedError) as raised:
            refusals.require_none(connection, tables)
    return str(raised.value)


def test_a_security_label_is_refused_or_impossible(production: Production) -> None:
    """No label provider is loaded here: PostgreSQL itself refuses the label, so the check is run for its syntax."""
    with production.admin() as admin, pytest.raises(psycopg.errors.InvalidParameterValue):
        admin.execute("security label on table public.orders is 'secret'")
    with production.connect() as connection:
        tables = scope.read(connection, TABLES, incoming_schema="staging", backup_schema="backup_r1")
        assert refusals.find(connection, tables, retired=()) == []


def test_a_table_without_a_successor_must_not_be_in_use(production: Production) -> None:
    with production.connect() as connection:
        tables = scope.read(connection, TABLES, incoming_schema="staging", backup_schema="backup_r1")
        reasons = refusals.find(connection, tables, retired=("affiliates",))
    assert {reason.code for reason in reasons} == {"disappearing-table-in-use"}
    assert any("commissions" in reason.object for reason in reasons)
