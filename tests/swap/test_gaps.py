"""A write that was not recorded would be lost: the swap proves that there is none, or does not happen."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from cutover import rollback
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.swap import approach, capture, inventory
from cutover.swap.execution import Observer
from cutover.swap.order import read_scope, require_recorded
from cutover.swap.plan import plan
from cutover.swap.transaction import prepare, tune

from .conftest import Production, back

CAPTURE = "cutover_capture"
SWITCHED = {
    "all triggers off and on again, in one transaction": (
        "begin; alter table public.orders disable trigger all; "
        "update public.orders set amount = 1; alter table public.orders enable trigger all; commit",
        "does not fire for everybody",
    ),
    "a user's triggers off and on again": (
        "alter table public.orders disable trigger user; alter table public.orders enable trigger user",
        "does not fire for everybody",
    ),
    "off, and on again as it was": (
        f"begin; alter table public.orders disable trigger {CAPTURE}; "
        f"alter table public.orders enable always trigger {CAPTURE}; commit",
        "switched off and on",
    ),
    "dropped": (f"drop trigger {CAPTURE} on public.orders", "is gone"),
    "dropped, for TRUNCATE": (f"drop trigger {CAPTURE}_truncate on public.orders", "is gone"),
    "dropped and made again": (
        f"drop trigger {CAPTURE} on public.orders; create trigger {CAPTURE} after insert or update or delete "
        f"on public.orders for each row execute function cutover.capture(); "
        f"alter table public.orders enable always trigger {CAPTURE}",
        "switched off and on",
    ),
    "made again for one column": (
        f"create or replace trigger {CAPTURE} after insert or update of amount or delete on public.orders "
        f"for each row execute function cutover.capture(); "
        f"alter table public.orders enable always trigger {CAPTURE}",
        "is another one",
    ),
    "made again under a condition": (
        f"drop trigger {CAPTURE} on public.orders; create trigger {CAPTURE} after update on public.orders "
        f"for each row when (new.amount > 5) execute function cutover.capture()",
        "is another one",
    ),
    "made again with another function": (
        "create function public.nothing() returns trigger language plpgsql as 'begin return null; end'; "
        f"create or replace trigger {CAPTURE} after insert or update or delete on public.orders "
        f"for each row execute function public.nothing(); alter table public.orders enable always trigger {CAPTURE}",
        "is another one",
    ),
    "for replicas only": (f"alter table public.orders enable replica trigger {CAPTURE}", "does not fire for everybody"),
    "renamed": (f"alter trigger {CAPTURE} on public.orders rename to mine", "is gone"),
    "the table made anew": (
        "alter table public.orders rename to orders_before; create table public.orders (like public.orders_before "
        "including all); insert into public.orders select * from public.orders_before",
        "is gone",
    ),
    "its rows made anew as they are to be": (
        "alter table public.orders alter column number type integer using number + 1",
        "were written anew, by an ALTER TABLE of number",
    ),
    "its rows made anew beside others": (
        "alter table public.orders alter column tags type text[] using '{}', alter column amount set statistics 7",
        "were written anew, by an ALTER TABLE of",
    ),
    "a table that inherits": ("create table public.orders_2025 () inherits (public.orders)", "inherits from it"),
}


def run_all(production: Production, statements: str) -> None:
    """As a superuser, each committed by itself unless the text says otherwise."""
    with production.admin() as admin:
        admin.execute(statements.encode())


def test_whoever_switches_capture_off_stops_the_swap_and_the_next_run_goes_through(production: Production) -> None:
    order = production.prepare("r1")
    proved = production.value("select 'public.orders'::regclass::oid")
    for what, (statements, reason) in SWITCHED.items():
        with production.admin() as admin, admin.transaction(force_rollback=True):
            admin.execute(statements.replace("begin; ", "").replace("; commit", "").encode())
            match = capture.gaps(admin, [proved], order.since, filenodes=order.filenodes)
            # under the name there may be another table by now: that is the one which would be swapped
            named = admin.execute("select array['public.orders'::regclass::oid]").fetchone()
            assert named is not None
            now = capture.gaps(admin, named[0], order.since)
        assert any(reason in gap["difference"] for gap in match + now), what
    # none of it happened
    with production.connect() as connection:
        assert capture.gaps(connection, [proved], order.since, filenodes=order.filenodes) == []
    run_all(production, SWITCHED["all triggers off and on again, in one transaction"][0])
    with pytest.raises(CutoverError, match=r"(?s)swap\.capture-gap.*public\.orders") as refused:
        production.swap(order)
    assert "after the freeze" in str(refused.value)
    assert production.value("select count(*) from cutover.ledger") == 0
    # the next run's freeze mends it, and is no gap for itself; but for the first it is one
    entry = production.swap(production.prepare("r2"))
    assert entry.attempts == 1


def test_who_packs_a_table_or_changes_no_row_of_it_is_in_nobody_s_way(production: Production) -> None:
    order = production.prepare("r1")
    for statement in (
        "vacuum full public.orders",
        "cluster public.orders using orders_pkey",
        "alter table public.orders alter column amount set statistics 7",
        "reindex table public.orders",
        "alter table public.affiliates alter column code set statistics 7",
    ):
        run_all(production, statement)
    # both at once may have been anything
    with (
        production.connect() as connection,
        pytest.raises(CutoverError, match=r"orders: all its rows were written anew"),
    ):
        require_recorded(connection, order, read_scope(connection, order))
    order = production.prepare("r2")
    run_all(production, "vacuum full public.orders; ")
    production.swap(order)


def test_rows_that_were_written_anew_after_the_swap_stop_its_rollback(production: Production) -> None:
    production.swap(production.prepare("r1"))
    run_all(production, "vacuum full public.orders")
    assert back(production, "b1")
    run_all(production, "alter table public.orders alter column number type integer using number + 1")
    with pytest.raises(CutoverError, match=r"(?s)swap\.capture-gap.*written anew.*after the swap"):
        back(production, "b2")


def test_capture_that_is_there_is_not_touched_by_another_install(production: Production) -> None:
    order = production.prepare("r1")
    triggers = "select array_agg(xmin::text order by oid) from pg_trigger where tgname like 'cutover_capture%'"
    before = production.value(triggers)
    production.install()
    assert production.value(triggers) == before
    production.swap(order)


def test_a_gap_that_opens_between_the_last_look_and_the_lock_is_found_inside_it(production: Production) -> None:
    order = production.prepare("r1")
    switched = SWITCHED["off, and on again as it was"][0]

    class Meddler(Observer):
        def at(self, moment: str) -> None:
            if moment == "locking":
                run_all(production, switched)

    with pytest.raises(CutoverError, match=r"swap\.capture-gap"):
        production.swap(order, Meddler())
    assert production.value("select count(*) from cutover.ledger") == 0


def test_whatever_opens_a_gap_changes_the_one_value_that_is_asked_for_inside_the_lock(production: Production) -> None:
    """There it stands for the look at gaps, which is made just before."""
    order = production.prepare("r1")
    # PostgreSQL never takes back, in the row of the table itself, that it has had a child
    run_all(production, "create table public.once () inherits (public.orders); drop table public.once")
    with production.connect() as connection:
        scope = read_scope(connection, order)
        names = inventory.watched(connection, scope)
        gapless = inventory.version(connection, names)
    for name, (statements, _) in SWITCHED.items():
        with production.admin() as admin:
            admin.autocommit = False
            admin.execute(statements.removeprefix("begin; ").removesuffix("; commit").encode())
            assert inventory.version(admin, names) != gapless, name
            tables = read_scope(admin, order).replaced
            assert capture.gaps(admin, tables, order.since, filenodes=order.filenodes), name
            admin.rollback()
    with production.connect() as connection:
        assert inventory.version(connection, names) == gapless


def test_a_plan_of_tables_that_do_not_bear_their_names_is_made_again(production: Production) -> None:
    """Two that are alike in everything may have exchanged their names between two looks of one plan."""
    order = production.prepare("r1")
    with production.connect() as connection:
        tune(connection)
        prepare(connection, order, production.log)
        planned = plan(connection, order)
        approach.look(connection, order, planned)
        *others, orders = planned.scope.tables
        tables = (*others, replace(orders, outgoing=others[0].outgoing))
        with pytest.raises(approach.CatalogueChangedError):
            approach.look(connection, order, replace(planned, scope=replace(planned.scope, tables=tables)))


def test_replicas_writes_are_recorded_and_carried(production: Production) -> None:
    order = production.prepare("r1")
    with production.admin() as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("update public.orders set amount = 4711 where id = md5('o207')::uuid")
    production.swap(order)
    assert production.value("select amount::integer from public.orders where id = md5('o207')::uuid") == 4711


def test_a_gap_after_the_swap_stops_the_rollback_before_anybody_is_asked(production: Production) -> None:
    production.swap(production.prepare("r1"))
    run_all(production, SWITCHED["all triggers off and on again, in one transaction"][0])
    with pytest.raises(CutoverError, match=r"(?s)swap\.capture-gap.*after the swap") as refused:
        back(production, "b1")
    assert "launch corrected data" in refused.value.remedy


def test_a_table_made_anew_after_the_swap_is_not_rolled_back_over(production: Production) -> None:
    production.swap(production.prepare("r1"))
    run_all(production, SWITCHED["the table made anew"][0])
    with pytest.raises(CutoverError, match=r"rollback\.table-remade"):
        back(production, "b1")
    run_all(production, "drop table public.orders; alter table public.orders_before rename to orders")
    production.swap(back(production, "b2"))


def test_a_later_launch_of_another_migration_is_named_and_rolled_back_first(production: Production) -> None:
    """The sets overlap: what was written after the first launch went into the tables of the second."""
    production.swap(production.prepare("r1"))
    run_all(production, "update public.orders set amount = 7 where id = md5('o207')::uuid")
    tables = [("public", "orders")]
    load = {"orders": "insert into staging.orders select * from public.orders"}
    production.swap(production.prepare("r2", load, tables, migration="other"))
    with pytest.raises(CutoverError, match=r"rollback\.overtaken-by.*swap r2 of other"):
        back(production, "b1")
    with production.connect() as connection:
        second = rollback.order(
            rollback.undoable(connection, "other"), Migration(migration="other", merge={"users": "auth.users"}), "b2"
        )
    rollback.preview(production.connect, second)
    production.approve(second)
    production.swap(second)
    # what was written to the second's tables is in the first's by now, and recorded nowhere for them
    with pytest.raises(CutoverError, match=r"overtaken-by|capture-gap"):
        back(production, "b3")
    assert production.value("select amount::integer from public.orders where id = md5('o207')::uuid") == 7


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_the_default_isolation_of_the_role_loses_nothing(production: Production, level: str) -> None:
    database = psycopg.conninfo.conninfo_to_dict(production.admin_dsn)["dbname"]
    order = production.prepare("r1")
    writes = iter(range(1, 1000))

    class Writer(Observer):
        def at(self, moment: str) -> None:
            if moment in ("planned", "locking"):
                run_all(production, f"update public.orders set amount = {next(writes)} where id = md5('o207')::uuid")

    settings = {
        "default_transaction_isolation": f"'{level}'",
        "default_transaction_read_only": "on",
        "default_transaction_deferrable": "on",
        "datestyle": "'SQL, DMY'",
        "intervalstyle": "'sql_standard'",
        "extra_float_digits": "-3",
        "statement_timeout": "'20s'",
    }
    with production.admin() as admin:
        for name, value in settings.items():
            admin.execute(f"alter role cutover in database {database} set {name} = {value}".encode())
    entry = production.swap(order, Writer())
    amount = "select amount::integer from public.orders where id = md5('o207')::uuid"
    assert production.value(amount) == next(writes) - 1
    assert sum(c["carried"] for c in entry.carried) == 2


def test_a_rollback_carries_however_many_writes_there_are(production: Production) -> None:
    production.swap(production.prepare("r1"))
    order = back(production, "b1")
    assert order.carry_limit is None
    run_all(
        production,
        "insert into public.orders (profile_id, amount) select md5('u1')::uuid, 1 from generate_series(1, 100001)",
    )
    entry = production.swap(order)
    assert [(c["operation"], c["carried"]) for c in entry.carried] == [("insert", 100_001)]
