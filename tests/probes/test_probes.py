"""Queries on today's tables and on the rehearsed ones: what would answer otherwise, fail, or take longer."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.probes import plan_words, report, require_asserted
from cutover.probes.file import read
from tests.swap.test_rehearsal import everything

from .conftest import APPLICATION, FEWER, Launch, Stage


def test_queries_are_compared_by_their_rows(launch: Launch) -> None:
    report = launch.ask(
        "-- Customers.\nselect * from public.customers",
        "-- Orders.\nselect id from public.orders",
        "-- Amounts and how many.\nselect sum(amount) as amount, min(status) as status, 7 as phone from orders",
        # by the primary key alone, which a view would not have
        "-- A join.\nselect c.id, c.email, sum(amount) from customers c join orders o on o.customer_id = c.id "
        "group by c.id -- no more\n;",
    )
    assert report.statements == "pg_stat_statements is not installed in this database"
    same, fewer, one, join = report.queries
    assert (same.verdict, same.rows_before, same.rows_after, same.why) == ("same answer", 50, 50, None)
    assert (fewer.verdict, fewer.only_before, fewer.only_after) == ("answers differently", 50, 0)
    assert one.values_before == {"amount": 20100, "status": "n•••", "phone": "•••"}
    assert one.values_after == {"amount": 11325, "status": "o•••", "phone": "•••"}
    assert (join.verdict, join.rows_before, join.only_after) == ("answers differently", 50, 50)
    assert same.ms_before and same.ms_after and same.runs == 3


def test_what_was_written_since_the_freeze_is_in_both(stage: Stage) -> None:
    launch = stage()
    with psycopg.connect(launch.production.app_dsn) as app:
        app.execute("insert into public.orders (customer_id, amount) values (1, 7)")
        app.execute("update public.customers set name = 'New' where id = 3")
    join = "-- Orders.\nselect o.id, c.name from orders o join customers c on c.id = o.customer_id"
    assert launch.one(join).verdict == "same answer"
    assert launch.one("-- Orders.\nselect count(*) from orders").rows_after == 1


def test_views_are_made_over_the_rehearsed_tables_however_deep(launch: Launch) -> None:
    for name in ("big_orders", "counted", "by_customer"):
        found = launch.one(f"-- Through a view.\nselect * from public.{name}")
        assert found.verdict == "answers differently", (name, found)
    assert launch.one("-- Counted.\nselect * from counted").values_after == {"how_many": 50}


def test_a_query_that_would_not_tell_of_the_rehearsed_tables_is_not_compared(launch: Launch) -> None:
    """None of these may be called the same answer: they read today's tables on either side."""
    for query in (
        "select public.how_many() from public.customers",
        "select public.more() from public.customers",
        "select * from public.how",
        "select public.bound() from public.customers",
    ):
        found = launch.one(f"-- Through a function.\n{query}")
        assert found.verdict == "not compared" and "reads today's tables" in (found.why or ""), query
    assert launch.one("-- Courses.\nselect * from public.courses").why == "it reads no table of the launch"


def test_code_that_others_can_change_is_not_run(launch: Launch) -> None:
    found = launch.one("-- By a function of others.\nselect public.spy(email) from public.customers")
    assert found.why == "it calls public.spy(text), which anon can change at any time"


def test_a_query_that_fails_after_the_launch_is_told(stage: Stage) -> None:
    """By what only the new rows have: a text where there were numbers."""
    launch = stage("update public.orders set status = '5'", orders=FEWER)
    found = launch.one("-- Numbers.\n-- assert: same rows\nselect status::integer from orders where id = 1")
    assert found.verdict == "fails" and "invalid input syntax" in (found.why or ""), found
    assert found.broken[0]["assertion"] == "same rows" and found.broken[0]["line"] == 2
    assert "old" not in (found.why or ""), "nothing of a row is told"
    gone = launch.one("-- Gone.\nselect nothing from orders")
    assert gone.verdict == "not compared" and 'column "nothing" does not exist' in (gone.why or "")


def test_what_is_asserted_stops_and_is_named_with_its_line(launch: Launch) -> None:
    probes = [
        read("test/probes/orders.sql", "-- Orders.\n-- Of all.\n-- assert: no fewer rows\nselect id from orders"),
        read("test/probes/people.sql", "-- People.\n-- assert: same rows, some rows\nselect id from customers"),
        read("test/probes/none.sql", "-- None.\n-- assert: some rows\nselect id from orders where id > 150"),
    ]
    found = launch.of(probes)
    assert [len(one.broken) for one in found.queries] == [1, 0, 1]
    with pytest.raises(CutoverError, match=r"200 rows before, 150 after.*none\.sql, line 2") as stopped:
        require_asserted(found, probes)
    assert stopped.value.code == "probes.assertion"
    assert stopped.value.obj == "include/sql/test/probes/orders.sql, line 3"
    require_asserted(launch.of(probes[1:2]), probes[1:2])


def test_a_query_that_takes_longer_is_told_with_the_factor(stage: Stage) -> None:
    launch = stage(
        "delete from public.invoices",
        "delete from public.orders where id > 1",
        orders="insert into staging.orders (id, status) select g, 'x' from generate_series(1, 9) as g",
    )
    text = "-- Slow.\n-- assert: not slower than 3x\nselect pg_sleep(0.01), id from orders"
    found = launch.one(text)
    assert found.slower and found.factor is not None and found.factor > 3
    assert "times as long" in found.broken[0]["why"]


def test_another_plan_is_told_in_words(stage: Stage) -> None:
    launch = stage(
        "create index by_amount on public.orders (amount)",
        "insert into public.orders (customer_id, amount) select 1, g from generate_series(1, 20000) as g",
        "analyze public.orders",
        orders="insert into staging.orders (id, amount) select g, 7 from generate_series(1, 300) as g",
    )
    found = launch.one("-- By amount.\nselect id from orders where amount = 7")
    assert len(found.plan) == 1, found.plan
    assert "(by_amount)" in found.plan[0] and found.plan[0].endswith("→ sequential scan"), found.plan


def test_a_query_that_sleeps_is_ended_and_told(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutover.probes.asking.STATEMENT_MS", 100)
    found = launch.one("-- For ever.\nselect pg_sleep(60), id from orders")
    assert found.verdict == "not compared" and "it takes longer than 0.1 s" in (found.why or "")


@pytest.mark.parametrize(
    "query",
    [
        "select public.write() from orders",
        "select nextval('public.orders_id_seq') from orders",
        "select set_config('transaction_read_only', 'off', true), public.write() from orders",
    ],
)
def test_a_query_that_writes_is_refused(launch: Launch, query: str) -> None:
    before = everything(launch.production)
    found = launch.one(f"-- It writes.\n{query}")
    assert found.verdict == "not compared" and "read-only transaction" in (found.why or ""), found
    assert everything(launch.production) == before


@pytest.mark.parametrize(
    "become", ["set_config('role', 'cutover', true)", "set_config('session_authorization', 'x', true)"]
)
def test_a_query_cannot_become_another_role(launch: Launch, become: str) -> None:
    found = launch.one(f"-- Somebody else.\nselect {become}, (select count(*) from cutover.ledger) from orders")
    assert found.verdict == "not compared" and found.rows_before is None


def test_nothing_is_left_of_it(stage: Stage) -> None:
    launch = stage(*APPLICATION, orders=FEWER)
    with psycopg.connect(launch.production.app_dsn) as app:
        app.execute("update public.customers set name = 'New' where id = 3")
    before = everything(launch.production)
    assert launch.one("-- Counted.\nselect * from counted").verdict == "answers differently"
    assert everything(launch.production) == before
    launch.production.approve(launch.order)
    assert launch.production.swap(launch.order).entry == 1, "and the swap goes through as it would have"


def test_a_deploy_that_would_wait_goes_first(stage: Stage) -> None:
    """Who waits for a lock, and all who queue behind, wait for no query."""
    launch = stage()
    at_work = threading.Event()

    def deploy() -> None:
        with psycopg.connect(launch.production.admin_dsn) as admin:
            at_work.wait(30)
            admin.execute("alter table public.orders add column note text")

    launcher = threading.Thread(target=deploy)
    launcher.start()
    starter = threading.Thread(target=_when_asleep, args=(launch.production, at_work))
    starter.start()
    found = launch.ask("-- Slow.\nselect pg_sleep(4), id from orders limit 1")
    launcher.join()
    starter.join()
    assert found.reason == "somebody wanted to change a table meanwhile, and went first" and found.queries == []
    with pytest.raises(CutoverError, match="could be compared") as stopped:
        probe = read("test/probes/orders.sql", "-- Orders.\n-- assert: same rows\nselect id from orders")
        require_asserted(found, [probe])
    assert stopped.value.code == "probes.not-compared"


def _when_asleep(production: Any, at_work: threading.Event) -> None:
    asleep = "select count(*) from pg_stat_activity where usename = 'cutover' and wait_event = 'PgSleep'"
    while not production.value(asleep):
        pass
    at_work.set()


def test_readers_and_writers_are_not_kept_waiting(stage: Stage) -> None:
    """In the middle of a query: what our transaction holds is in the way of none of them."""
    launch = stage(*APPLICATION)
    found: list[str] = []

    def work() -> None:
        _when_asleep(launch.production, started)
        with psycopg.connect(launch.production.app_dsn, autocommit=True) as app:
            app.execute("set lock_timeout = '1ms'")
            app.execute("update public.orders set amount = 1 where id = 1")
            app.execute("insert into public.customers (name) values ('x')")
            app.execute("delete from public.orders where id = 200")
            app.execute("select * from public.counted")
        found.append("done")

    started = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    assert launch.one("-- Slow.\nselect pg_sleep(0.5), id from orders limit 1").verdict == "same answer"
    worker.join()
    assert found == ["done"]


def test_when_the_time_is_over_the_rest_is_told(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "ALL_S", -1.0)
    found = launch.one("-- Late.\n-- assert: same rows\nselect id from orders")
    assert found.verdict == "not compared" and "were over" in (found.why or "") and len(found.broken) == 1


def test_two_looks_at_once_do_not_meet(launch: Launch) -> None:
    with launch.production.connect() as other:
        other.execute(files.statement("turn/take.sql"), {"name": "rehearse"})
        assert launch.ask("-- Orders.\nselect id from orders").reason == "a rehearsal is under way in this database"
    assert launch.ask("-- Orders.\nselect id from orders").reason is None


def test_plans_are_told_by_relation() -> None:
    before = {"Node Type": "Nested Loop", "Plans": [
        {"Node Type": "Index Scan", "Relation Name": "a", "Alias": "x", "Index Name": "i"},
        {"Node Type": "Seq Scan", "Relation Name": "b", "Alias": "b"},
    ]}  # fmt: skip
    after = {"Node Type": "Hash Join", "Plans": [
        {"Node Type": "Seq Scan", "Relation Name": "a", "Alias": "x"},
        {"Node Type": "Hash", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "b", "Alias": "b"}]},
    ]}  # fmt: skip
    told = ["a x: index scan (i) → sequential scan", "nested loop → hash join"]
    assert plan_words.changes(before, after) == told
    assert plan_words.changes(before, before) == []
