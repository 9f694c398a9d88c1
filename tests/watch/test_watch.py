"""What a look at a launch shows: bounds, a baseline, and nothing said where there is nothing to say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowSkipException
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from cutover import freeze
from cutover.database.connect import connector, opened
from cutover.errors import CutoverError
from cutover.migration import declared, load
from cutover.operators.watch import LEAVE, TAKE_BACK, TroubleOperator, WatchSensor, fetch
from cutover.records import run
from cutover.watch import look
from cutover.watch.check import checks, parse, parse_service
from cutover.watch.service import measure


def nothing(connection: str, path: str, parameters: Mapping[str, str]) -> str:
    """A service that is not there."""
    raise CutoverError("watch.no-answer", f"connection {connection}", f"GET {path}: nobody.", "start it.")


CHECK = "-- Revenue\n-- unit: USD\n-- at_least: 0.9 of baseline\n-- at_most: 1000\nselect 1"
MIGRATION = load("mula_unification")


@pytest.mark.parametrize(
    ("value", "baseline", "verdict"),
    [
        (95, 100, "good"),
        (90, 100, "good"),
        (89, 100, "bad"),
        (1001, 100, "bad"),
        (None, 100, "inconclusive"),
        (95, None, "inconclusive"),
    ],
)
def test_a_value_is_judged_by_its_bounds(value: int | None, baseline: int | None, verdict: str) -> None:
    given, before = (None if number is None else Decimal(number) for number in (value, baseline))
    assert look.judge(parse(CHECK, "x.sql"), given, before).verdict == verdict


@pytest.mark.parametrize(
    "text",
    [
        "select 1",
        "-- A title\nselect 1",
        "-- A title\n-- at_least: many\nselect 1",
        "-- A title\n-- atleast: 1\nselect 1",
        "-- A title\n-- at_least: 1\n-- failure_limit: 0\nselect 1",
    ],
)
def test_a_check_that_says_no_bound_is_refused(text: str) -> None:
    with pytest.raises(CutoverError, match=r"watch\.bad-check"):
        parse(text, "mula_unification/watch/x.sql")


def test_every_check_of_this_deployment_is_good() -> None:
    assert all(checks(migration) for migration in declared())


def test_trouble_is_as_many_in_a_row_as_the_limit_says_and_inconclusive_looks_do_not_count() -> None:
    check = parse("-- Errors\n-- at_most: 1\n-- failure_limit: 2\nselect 1", "errors.sql")

    def trouble(*verdicts: str) -> list[str]:
        same = {"name": "errors", "moment": "watch", "detail": "5, and not at most 1"}
        looks = [same | {"verdict": one} for one in verdicts]
        return look.trouble([check], looks)

    assert trouble() == trouble("bad") == trouble("bad", "good") == trouble("bad", "good", "bad") == []
    assert trouble("inconclusive", "inconclusive") == []
    assert trouble("good", "bad", "inconclusive", "bad") == ["Errors: 5, and not at most 1, 2 times in a row"]


def test_a_launch_is_compared_with_what_was_before_it(database: str) -> None:
    connect = connector(database, "unified", "test")
    freeze.install(connect, MIGRATION)
    with opened(connect) as connection:
        run.begin(
            connection, run="r1", migration=MIGRATION.migration, dag_id=MIGRATION.migration, dag_run_id="r1",
            triggered_by="operator", parameters={},
        )  # fmt: skip
    lines: list[str] = []
    # before a first launch there is nothing to measure
    assert {one.verdict for one in look.sample(connect, MIGRATION, "r1", nothing, lines.append)} == {"inconclusive"}
    assert any("[watch.no-answer] GET /metrics: nobody." in line for line in lines)
    with psycopg.connect(database) as connection:
        connection.execute("create table public.users as select 1 as id")
        connection.execute("create table public.subscriptions as select 9.5 as monthly_amount, 'active' as status")
        connection.execute("create table public.activity_log as select now() as created_at, 'viewed' as action")
        # a first launch is compared with what was approved
        connection.execute("create schema staging")
        for table in ("users", "subscriptions"):
            connection.execute(f"create table staging.{table} as select * from public.{table}".encode())
    measured = {"activity", "people", "revenue"}
    for looks in (look.sample, look.look):
        values = {one.name: one.verdict for one in looks(connect, MIGRATION, "r1", nothing, lines.append)}
        assert {name for name, verdict in values.items() if verdict == "good"} == measured
    with psycopg.connect(database) as connection:
        connection.execute("update public.subscriptions set status = 'canceled'")
        connection.execute("delete from public.users")
    by_name = {one.name: one.verdict for one in look.look(connect, MIGRATION, "r1", nothing, lines.append)}
    assert {name: by_name[name] for name in measured} == {"activity": "good", "people": "bad", "revenue": "bad"}
    with opened(connect) as connection:
        stored = look.history(connection, "r1")
    assert len(stored) == 4 * len(checks(MIGRATION.migration))
    assert look.trouble(checks(MIGRATION.migration), stored) == [
        "People: 0, and not at least 1.0",
        "Monthly revenue of active subscriptions: 0 USD, and not at least 9.50",
    ]


# Services

SHARE = """
title: Failures
unit: "%"
at_most: 1
service: {connection: shop, share: {metric: asked_total, labels: {status: "5.."}}, of: {metric: asked_total}}
"""
QUANTILE = """
title: Patience
at_most: 500
service: {connection: shop, quantile: 0.95, histogram: {metric: took_seconds}}
"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("title: x\nat_most: 1", "no key service"),
        ("title: x\nat_most: 1\nservice: {connection: shop}", "say one of prometheus"),
        ("title: x\nat_most: 1\nservice: {connection: shop, share: {metric: a}}", "share goes with of"),
        ("title: x\nat_most: 1\nservice: {connection: shop, gauge: {metrics: a}}", "gauge.metric"),
        ("title: x\nservice: {connection: shop, gauge: {metric: a}}", "say at_least or at_most"),
        ("at_most: 1\nservice: {connection: shop, gauge: {metric: a}}", "no title"),
        ("title: [", "no YAML"),
    ],
)
def test_a_check_of_a_service_that_asks_nothing_is_refused(text: str, why: str) -> None:
    with pytest.raises(CutoverError, match=rf"watch\.bad-check.*{why}"):
        parse_service(text, "x.yaml")


class Shop:
    """A service that counts, and says so as the unified platform does."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Start anew: everything counts from nothing."""
        self.registry = CollectorRegistry()
        self.asked = Counter("asked", "x", ["status"], registry=self.registry)
        self.took = Histogram("took_seconds", "x", ["route"], buckets=(0.1, 0.5, 1.0), registry=self.registry)

    def answer(self, status: int, seconds: float, times: int = 1) -> None:
        """So many requests."""
        for _ in range(times):
            self.asked.labels(str(status)).inc()
            self.took.labels("/").observe(seconds)

    def text(self, *_: object) -> str:
        """What ``/metrics`` says."""
        return generate_latest(self.registry).decode()


def test_a_share_and_a_quantile_are_of_what_was_counted_since_the_look_before() -> None:
    shop = Shop()
    share, quantile = (parse_service(text, "x.yaml").service for text in (SHARE, QUANTILE))
    assert share is not None and quantile is not None
    shop.answer(500, 9, times=100)  # long ago
    (no_share, failures), (no_quantile, patience) = (measure(one, shop.text, None) for one in (share, quantile))
    assert no_share is None and no_quantile is None
    shop.answer(200, 0.05, times=97)
    shop.answer(503, 0.7, times=3)
    value, failures = measure(share, shop.text, failures)
    assert value == Decimal("3.000")
    value, patience = measure(quantile, shop.text, patience)
    # 95 of 100 are among the 97 below 100 ms: at 95/97 of that bucket
    assert value == Decimal("97.9")
    shop.answer(500, 3, times=2)
    assert measure(share, shop.text, failures)[0] is None, "two requests are no rate"
    shop.begin()
    shop.answer(200, 2.0, times=20)
    assert measure(share, shop.text, failures)[0] == 0, "a service that was started anew counts from nothing"
    assert measure(quantile, shop.text, patience)[0] == 1000, "beyond the last bound: no less than that"


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A server that gives these texts by path, behind the connection ``shop``; the paths asked for are under ''."""
    texts: dict[str, str] = {"": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            texts[""] += self.path + "\n"
            text = texts.get(self.path.split("?")[0])
            self.send_response(404 if text is None else 200)
            self.end_headers()
            self.wfile.write((text or "no").encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", f"http://127.0.0.1:{server.server_port}")
    yield texts
    server.shutdown()
    server.server_close()


def of_prometheus(*values: str) -> str:
    """An answer to a query."""
    series = [{"metric": {"job": str(n)}, "value": [1.0, value]} for n, value in enumerate(values)]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": series}})


def test_prometheus_is_asked_through_the_connection_of_airflow(service: dict[str, str]) -> None:
    asked = parse_service(
        "title: x\nat_most: 1\nservice: {connection: shop, prometheus: 'sum(rate(errors_total[5m]))'}", "x.yaml"
    ).service
    assert asked is not None
    service["/api/v1/query"] = of_prometheus("0.25")
    assert measure(asked, fetch, None) == (Decimal("0.25"), {})
    assert "query=sum%28rate%28errors_total%5B5m%5D%29%29" in service[""]
    for answer in (of_prometheus(), of_prometheus("1", "2"), of_prometheus("NaN")):
        service["/api/v1/query"] = answer
        assert measure(asked, fetch, None)[0] is None
    service["/api/v1/query"] = "<html>"
    with pytest.raises(CutoverError, match=r"watch\.no-answer"):
        measure(asked, fetch, None)
    del service["/api/v1/query"]
    with pytest.raises(CutoverError, match=r"watch\.no-answer.*404"):
        measure(asked, fetch, None)


def test_a_connection_that_is_not_there_and_a_service_that_is_down_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CutoverError, match=r"watch\.no-connection.*nowhere"):
        fetch("nowhere", "/metrics", {})
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "http://127.0.0.1:1")
    with pytest.raises(CutoverError, match=r"watch\.no-answer.*ConnectionError"):
        fetch("shop", "/metrics", {})


@pytest.fixture
def launched(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A launch with a baseline, known to Airflow."""
    connect = connector(database, "unified", "test")
    freeze.install(connect, MIGRATION)
    with opened(connect) as connection:
        run.begin(
            connection, run="r1", migration=MIGRATION.migration, dag_id=MIGRATION.migration, dag_run_id="r1",
            triggered_by="operator", parameters={},
        )  # fmt: skip
    with psycopg.connect(database) as connection:
        connection.execute("create table public.users as select generate_series(1, 10) as id")
        connection.execute("create table public.subscriptions as select 9.5 as monthly_amount, 'active' as status")
        connection.execute("create table public.activity_log as select now() as created_at, 'viewed' as action")
        connection.execute("create schema staging")
        for table in ("users", "subscriptions"):
            connection.execute(f"create table staging.{table} as select * from public.{table}".encode())
    look.sample(connect, MIGRATION, "r1", nothing, lambda _: None)
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into cutover.ledger (run, migration, action, backup_schema, fingerprint, snapshot, xid, "
            "started_at, locked_at, attempts, tables, carried) values ('r1', 'mula_unification', 'swap', 'b', 'f', "
            "pg_current_snapshot(), pg_current_xact_id(), now(), now(), 1, '[]', '[]')"
        )
    monkeypatch.setenv("AIRFLOW_CONN_UNIFIED", database.replace("postgresql://", "postgres://"))
    return database


def poke(hours: float = 6, watcher: str = "w1") -> Any:
    """One look of the DAG's task."""
    look = WatchSensor(task_id="look", migration=MIGRATION.migration, poke_interval=300)
    return look.poke({"params": {"hours": hours}, "run_id": watcher})  # type: ignore[typeddict-item]


def test_a_launch_is_watched_once_and_by_another_when_the_first_is_gone(launched: str) -> None:
    """A swap that is run again says again that it has happened."""
    assert not poke().is_done
    with pytest.raises(AirflowSkipException, match="is watched already"):
        poke(watcher="w2")
    assert not poke().is_done
    with psycopg.connect(launched) as connection:
        connection.execute("update cutover.watcher set looked_at = now() - interval '16 minutes'")
    assert not poke(watcher="w2").is_done
    with pytest.raises(AirflowSkipException, match="is watched already"):
        poke()


def test_what_a_launch_is_compared_with_is_not_measured_again_when_it_is_live(launched: str) -> None:
    with psycopg.connect(launched) as connection:
        connection.execute("delete from staging.users")
    assert look.sample(connector(launched, "unified", "test"), MIGRATION, "r1", nothing, lambda _: None) == []
    assert not poke().is_done


def test_the_task_looks_on_while_all_is_well_and_ends_with_the_trouble_and_a_preview(launched: str) -> None:
    assert not poke().is_done
    with psycopg.connect(launched) as connection:
        connection.execute("delete from public.users where id > 8")
    result = poke()
    assert result.is_done and result.xcom_value == {"run": "r1", "trouble": ["People: 8, and not at least 10.0"]}
    ask = TroubleOperator(task_id="ask", migration=MIGRATION.migration, look_task="look")
    shown = ask.shown(result.xcom_value)
    assert "People: 8, and not at least 10.0" in shown and "no write has been made since" in shown
    assert "mula_unification_rollback" in shown and ask.options == [LEAVE, TAKE_BACK] and ask.defaults is None
    assert ledger_entries(launched) == 1, "nothing is taken back"


def test_the_trouble_names_the_revert_window_while_it_is_open(launched: str) -> None:
    """In the form and in the message: the minutes left, and the page; no link that acts by itself."""
    trouble = {"run": "r1", "trouble": ["People: 8, and not at least 10.0"]}
    ask = TroubleOperator(task_id="ask", migration=MIGRATION.migration, look_task="look")
    assert "/revert" not in ask.shown(trouble)
    with psycopg.connect(launched) as connection:
        connection.execute(
            "with a as (insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, "
            "approved_by, decided_at, expires_at, revert_minutes) values ('r1', 'swap', 'approve', 'f', 'approve', 1, "
            "'reviewer', now(), now(), 30) returning approval_id) "
            "select set_config('test.approval', approval_id::text, false) from a"
        )
        connection.execute("set session_replication_role = replica")
        connection.execute("update cutover.ledger set approval_id = current_setting('test.approval')::bigint")
    shown = ask.shown(trouble)
    assert "For 29 minutes more, until" in shown and "without asking a second person" in shown
    assert "/cutover/dags/mula_unification/ledger/1/revert" in shown
    told = ask.message(trouble, "https://airflow/answer").text
    assert "For 29 minutes more" in told and "/cutover/dags/mula_unification/ledger/1/revert" in told
    with psycopg.connect(launched) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("update cutover.ledger set recorded_at = recorded_at - interval '31 minutes'")
    assert "/revert" not in ask.shown(trouble)


def ledger_entries(dsn: str) -> int:
    """How many entries the ledger has."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from cutover.ledger").fetchone()
        assert row is not None
        return int(row[0])


def test_nobody_watches_a_launch_whose_time_is_over_or_that_was_taken_back(launched: str) -> None:
    with pytest.raises(AirflowSkipException, match="was watched until"):
        poke(hours=1e-9)
    with psycopg.connect(launched) as connection:
        connection.execute(
            "insert into cutover.ledger (run, migration, action, undoes, backup_schema, fingerprint, snapshot, xid, "
            "started_at, locked_at, attempts, tables, carried) values ('r2', 'mula_unification', 'rollback', 'r1', "
            "'b', 'f', pg_current_snapshot(), pg_current_xact_id(), now(), now(), 1, '[]', '[]')"
        )
    with pytest.raises(AirflowSkipException, match="no launch"):
        poke()
