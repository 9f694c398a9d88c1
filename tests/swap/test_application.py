"""Nothing before the lock is in the application's way, and nothing beside it is taken for what it is not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from bench.production import Production
from cutover import preflight
from cutover.database import patience
from cutover.database.patience import Patience
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.records import workspace
from cutover.swap import preparation
from cutover.swap.execution import Observer
from cutover.swap.order import read_scope
from cutover.swap.transaction import swap
from stack.postgres import EmbeddedPostgres

from .small import SET, copies, rolled_back, small, swapped

_QUICK = Patience(attempts=2, first_pause_s=0.05)


@contextmanager
def running(work: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Do something over and over in a thread for the time of a block; what it raised is in the list."""
    stop, failed = threading.Event(), list[BaseException]()

    def loop() -> None:
        while not stop.is_set():
            try:
                work()
            except BaseException as error:
                failed.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join()


def staged(production: Production, run: str = "r1") -> None:
    """A run that waits for its approval: everything is staged and has its keys."""
    order = production.prepare(run, copies(production), SET, merged=())
    with production.connect() as connection:
        connection.autocommit = True
        preparation.dress(connection, read_scope(connection, order))


def test_the_application_deletes_what_staged_rows_refer_to_while_a_run_waits(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        staged(production)
        with psycopg.connect(production.app_dsn) as app:
            app.execute("update public.orders set course_id = 2 where course_id = 1")
            app.execute("delete from public.courses where id = 1")
        assert production.value("select count(*) from public.courses where id = 1") == 0
        assert production.value(
            "select count(*) from pg_constraint as k join pg_class as c on c.oid = k.conrelid "
            "join pg_class as f on f.oid = k.confrelid where c.relnamespace = 'staging'::regnamespace "
            "and f.relnamespace <> c.relnamespace"
        ) == 0  # fmt: skip
        entry = swapped(production, "r2")
        assert "public.orders:orders_course_id_fkey" in entry.report["validate"]
        assert production.value(
            "select convalidated from pg_constraint where conrelid = 'public.orders'::regclass "
            "and conname = 'orders_course_id_fkey'"
        )


def test_incoming_rows_that_refer_to_nothing_are_refused_before_the_lock(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        load = copies(production)
        load["late"] = "update staging.orders set course_id = 99 where id = 7"
        order = production.prepare("r1", load, SET, merged=())
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, production.log)
        assert raised.value.code == "swap.orphans"
        assert raised.value.obj == "public.orders:orders_course_id_fkey"
        assert "1 rows" in raised.value.why


def test_no_row_of_a_busy_application_is_taken_for_an_orphan(server: EmbeddedPostgres) -> None:
    with small(server) as production, psycopg.connect(production.app_dsn) as app:

        def order_and_invoice() -> None:
            with app.transaction():
                row = app.execute("insert into public.orders (customer_id) values (1) returning id").fetchone()
                assert row is not None
                # in a savepoint, as many libraries do
                with app.transaction():
                    app.execute("insert into public.invoices (order_id, n) values (%s, 1)", row)

        with running(order_and_invoice) as failed:
            for number in range(3):
                swapped(production, f"r{number}")
                rolled_back(production, f"b{number}")
        assert failed == []
        assert production.value("select count(*) from cutover.quarantine") == 0
        assert production.value(
            "select count(*) from public.invoices as i where not exists "
            "(select from public.orders as o where o.id = i.order_id)"
        ) == 0  # fmt: skip


def test_an_orphan_that_is_written_while_rows_are_carried_is_found(server: EmbeddedPostgres) -> None:
    class Writer(Observer):
        def at(self, moment: str) -> None:
            if moment == "planned":
                with psycopg.connect(production.app_dsn) as app:
                    app.execute("insert into public.invoices (order_id, n) values (7, 7)")

    with small(server, "delete from public.invoices where order_id = 7") as production:
        load = copies(production)
        load["orders"] += " where id <> 7"
        order = production.prepare("r1", load, SET, merged=())
        with pytest.raises(CutoverError) as raised:
            swap(production.connect, order, production.log, Writer())
        assert (raised.value.code, raised.value.obj) == ("swap.orphans", "public.invoices:invoices_order_id_fkey")


def test_a_swap_and_a_rollback_wait_for_transactions_that_keep_their_snapshot(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        order = production.prepare("r1", copies(production), SET, merged=(), patience=_QUICK)
        with psycopg.connect(production.app_dsn) as app:
            app.execute("insert into public.orders (customer_id, status) values (1, 'W1')")
        with psycopg.connect(production.app_dsn) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.execute("select 1 from pg_class limit 1")
            with pytest.raises(CutoverError, match=f"pid {reader.info.backend_pid} of app has a snapshot"):
                swap(production.connect, order, production.log)
            assert reader.execute("select count(*) from public.orders where status = 'W1'").fetchone() == (1,)
        swap(production.connect, order, production.log)
        with psycopg.connect(production.app_dsn) as reader:
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reader.execute("select 1 from pg_class limit 1")
            begun: list[object] = []
            thread = threading.Thread(target=lambda: begun.append(rolled_back(production, "b1")))
            thread.start()
            while not any("has a snapshot" in message for message in production.messages):
                assert thread.is_alive()
                time.sleep(0.05)
            assert reader.execute("select count(*) from public.orders where status = 'W1'").fetchone() == (1,)
            reader.rollback()
            thread.join()
        assert begun


def test_a_snapshot_taken_just_before_the_lock_makes_it_give_up(server: EmbeddedPostgres) -> None:
    readers: list[psycopg.Connection] = []

    class Late(Observer):
        def at(self, moment: str) -> None:
            if moment == "locking" and not readers:
                readers.append(psycopg.connect(production.app_dsn))
                readers[0].isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                readers[0].execute("select 1 from pg_class limit 1")
            elif moment == "locking":
                readers[0].close()

    with small(server) as production:
        order = production.prepare("r1", copies(production), SET, merged=())
        entry = swap(production.connect, order, production.log, Late())
        assert readers[0].closed
        assert entry.attempts == 1


def test_dropping_a_workspace_never_queues_in_front_of_clients(server: EmbeddedPostgres) -> None:
    with small(server) as production, psycopg.connect(production.app_dsn) as report:
        staged(production)
        # left by an earlier version: a key of staging's on a live table
        with production.admin() as admin:
            admin.execute("alter table staging.orders add foreign key (course_id) references public.courses")
        report.execute("select count(*) from public.courses")
        waited: list[float] = []

        def read() -> None:
            began = time.monotonic()
            with psycopg.connect(production.app_dsn) as app:
                app.execute("set statement_timeout = '1500ms'")
                app.execute("select count(*) from public.courses")
            waited.append(time.monotonic() - began)

        dropping = threading.Thread(target=lambda: workspace.empty(production.connect, ("staging",), production.log))
        with running(read) as failed:
            dropping.start()
            while sum("drop schema" in message for message in production.messages) < 3:
                assert dropping.is_alive()
                time.sleep(0.05)
            report.rollback()
            dropping.join()
        assert failed == []
        assert production.value("select to_regclass('staging.orders') is null")


def test_a_workspace_that_stays_locked_is_a_message(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "Patience", lambda: _QUICK)
    with small(server) as production, production.admin() as reader, production.connect() as connection:
        staged(production)
        connection.autocommit = True
        with reader.transaction():
            reader.execute("select count(*) from staging.orders")
            with pytest.raises(CutoverError) as raised:
                patience.drop_schema(connection, "staging", production.log)
        assert raised.value.code == "workspace.locked-out"
        assert production.value("select count(*) from staging.orders") == 200


def test_preflight_names_publications_of_all_tables_before_it_makes_one(server: EmbeddedPostgres) -> None:
    with small(server) as production:
        with production.admin() as admin:
            admin.execute("create publication everything for all tables")
        with pytest.raises(preflight.PreflightError) as raised:
            preflight.require_rights(production.connect, Migration(migration="test"))
        assert [reason.code for reason in raised.value.reasons] == ["preflight.publication-of-all-tables"]
        assert production.value("select to_regclass('cutover.run') is null")
        tolerant = Migration(migration="test", tolerated_publications=("everything",))
        preflight.require_rights(production.connect, tolerant)
        # without a key yet, a staged table can be updated all the same
        load = copies(production)
        load["later"] = "update staging.orders set status = 'x' where id = 1"
        order = production.prepare("r1", load, SET, merged=())
        before = production.inventory()
        swap(production.connect, order, production.log)
        assert before.compare(production.inventory()) == []
