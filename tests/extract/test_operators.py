"""Extraction as Airflow runs it: the group, the tasks, the connections, the XComs."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from cutover import status
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.operators import metrics
from cutover.operators.base import reading
from cutover.operators.extract import ExtractOperator, SyncSummaryOperator, access, extract_group
from demo.credentials import SYSTEMEIO_API_KEY, XENDIT_API_KEY
from tests.extract.conftest import SOURCES, World
from tests.monitoring.conftest import Start, listener, start  # noqa: F401
from tests.monitoring.statsd import Listener, by_label


def connection(**parts: Any) -> str:
    """An Airflow connection as an environment variable holds it."""
    return json.dumps({"conn_type": "http", **parts})


@pytest.fixture
def airflow(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The simulated APIs and the database under the names that tasks know."""
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(host=world.simulator.xendit_url, login=XENDIT_API_KEY))
    monkeypatch.setenv(
        "AIRFLOW_CONN_SYSTEMEIO", connection(host=world.simulator.systemeio_url, password=SYSTEMEIO_API_KEY)
    )
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", world.dsn)
    return world


def context() -> Any:
    """As much of a task's context as these tasks use."""
    return {
        "dag_run": SimpleNamespace(dag_id="raw_sync", run_id="scheduled__2025-11-02T08:00:00+00:00"),
        "params": {},
        "outlet_events": defaultdict(SimpleNamespace),
    }


def task(source: str, **kwargs: Any) -> ExtractOperator:
    """The task of one source."""
    return ExtractOperator(task_id=source, migration="clean_launch", source=source, **kwargs)


def test_the_group_has_a_task_per_source_named_after_it_and_side_by_side() -> None:
    with DAG("d", schedule=None) as dag:
        group = extract_group("clean_launch")
    assert group.group_id == "extract"
    assert sorted(dag.task_ids) == sorted(f"extract.{name}" for name in SOURCES)
    assert all(not each.upstream_task_ids and not each.downstream_task_ids for each in dag.tasks)
    assert [asset.name for each in dag.tasks for asset in each.outlets] == [f"raw.{name}" for name in SOURCES]


@pytest.mark.parametrize("name", SOURCES)
def test_a_task_syncs_its_source_and_returns_a_small_report(airflow: World, name: str) -> None:
    given = context()
    rows = task(name).execute(given)
    assert airflow.content(name) == airflow.truth(name)
    assert (rows["source"], rows["total"]) == (name, len(airflow.truth(name)))
    text = json.dumps(rows)
    assert len(text) < 1500
    assert XENDIT_API_KEY not in text
    assert SYSTEMEIO_API_KEY not in text
    [event] = given["outlet_events"].values()
    assert event.extra == {"changed": rows["total"], "total": rows["total"]}


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("https://:key-of-mine@gateway.example/xendit", "https://gateway.example/xendit"),
        ("https://:key-of-mine@api.example.com:443/", "https://api.example.com:443"),
        ("http://:key-of-mine@[::1]:8101", "http://[::1]:8101"),
        ("http://:key-of-mine@127.0.0.1:8101/v1", "http://127.0.0.1:8101/v1"),
        (connection(host="https://api.example.com/", port=443, password="key-of-mine"), "https://api.example.com:443"),
        (connection(host="https://gateway.example/a/b/", password="key-of-mine"), "https://gateway.example/a/b"),
        (connection(host="2001:db8::1", port=8443, password="key-of-mine"), "https://[2001:db8::1]:8443"),
        (connection(host="https://[2001:db8::1]", password="key-of-mine"), "https://[2001:db8::1]"),
        (connection(host="api.example.com", password="key-of-mine"), "https://api.example.com"),
        (connection(host="api.example.com", schema="https", password="key-of-mine"), "https://api.example.com"),
        (connection(host="localhost", password="key-of-mine"), "http://localhost"),
    ],
)
def test_an_address_is_what_it_says(monkeypatch: pytest.MonkeyPatch, value: str, address: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", value)
    assert access("xendit").base_url == address


@pytest.mark.parametrize("value", ["http://:key-of-mine@api.example.com", "http://:key-of-mine@[2001:db8::1]:80"])
def test_a_key_does_not_travel_in_clear_text_beyond_this_machine_by_mistake(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", value)
    with pytest.raises(CutoverError, match=r"(?s)\[extract.bad-connection\].*plain http.*write https://") as raised:
        access("xendit")
    assert "key-of-mine" not in str(raised.value)


def test_a_key_pasted_raw_into_a_uri_is_told_how_to_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", "https://:ab/cd@api.xendit.co")
    with pytest.raises(CutoverError, match=r"(?s)AIRFLOW_CONN_XENDIT is set.*/ is %2F") as raised:
        access("xendit")
    assert "ab/cd" not in str(raised.value)
    monkeypatch.delenv("AIRFLOW_CONN_XENDIT")
    with pytest.raises(CutoverError, match=r"\[extract.no-connection\] connection xendit"):
        access("xendit")


def test_the_authorities_are_the_connections_or_else_the_environments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours.pem", tmp_path / "theirs.pem"
    ours.touch()
    theirs.touch()
    plain = {"host": "https://api.example.com", "password": "key-of-mine"}
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(**plain))
    assert access("xendit").authorities is None
    monkeypatch.setenv("SSL_CERT_FILE", str(theirs))
    assert access("xendit").authorities == str(theirs)
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(**plain, extra={"verify": str(ours)}))
    assert access("xendit").authorities == str(ours)
    for bad in (False, "/no/such.pem"):
        monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(**plain, extra={"verify": bad}))
        with pytest.raises(CutoverError, match=r"\[extract.bad-connection\] connection xendit, extra verify"):
            access("xendit")


def test_a_template_that_says_true_forces_a_full_read(airflow: World) -> None:
    assert task("xendit_transactions").execute(context())["mode"] == "full"
    assert task("xendit_transactions", full="False").execute(context())["mode"] == "incremental"
    assert task("xendit_transactions", full="True").execute(context())["mode"] == "full"


def test_the_summary_adds_up_what_the_tasks_found(airflow: World) -> None:
    for _ in range(2):
        reports = {name: task(name).execute(context()) for name in SOURCES}
    with DAG("d", schedule=None):
        summary = SyncSummaryOperator(task_id="summary")
        for name in SOURCES:
            task(name) >> summary
    ti = SimpleNamespace(xcom_pull=lambda task_ids: reports[task_ids])
    total = sum(len(airflow.truth(name)) for name in SOURCES)
    assert summary.execute({"ti": ti, **context()}) == f"0 changed of {total:,}"


def test_a_wrong_key_fails_the_task_for_good_with_the_message(airflow: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(host=airflow.simulator.xendit_url, login="wrong-key-123"))
    with pytest.raises(AirflowFailException, match=r"\[extract.unauthorized\].*GET /v2/invoices") as raised:
        task("xendit_invoices").execute(context())
    assert "put a valid key with the permission Invoice Read into connection xendit" in str(raised.value)
    assert "wrong-key-123" not in str(raised.value)


def test_an_api_that_is_down_is_worth_another_try(airflow: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_XENDIT", connection(host="http://127.0.0.1:9", login="key-of-xendit", extra={"patience": 0.5})
    )
    with pytest.raises(AirflowException, match=r"\[extract.gave-up\]") as raised:
        task("xendit_invoices").execute(context())
    assert not isinstance(raised.value, AirflowFailException)
    assert task("xendit_invoices").retries == 2


@pytest.mark.parametrize(
    ("parts", "address"),
    [
        ({"host": "https://api.example.com"}, "https://api.example.com"),
        ({"host": "api.example.com"}, "https://api.example.com"),
        ({"host": "api.example.com", "schema": "http"}, "http://api.example.com"),
        ({"host": "https://api.example.com", "port": 8443}, "https://api.example.com:8443"),
        ({"host": "127.0.0.1", "port": 8101}, "http://127.0.0.1:8101"),
    ],
)
def test_the_address_of_an_api_is_read_from_its_connection(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], address: str
) -> None:
    extra = {"ceiling": 120, "patience": 60, "timeout": 30, "limit_window": 10}
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(login="the-key", extra=extra, **parts))
    settings = access("xendit")
    assert (settings.base_url, settings.secret) == (address, "the-key")
    assert (settings.ceiling, settings.patience, settings.timeout, settings.limit_window) == (120, 60.0, 30.0, 10.0)


@pytest.mark.parametrize(
    ("parts", "code"),
    [({"host": "https://api.example.com"}, "extract.no-key"), ({"login": "the-key"}, "extract.no-address")],
)
def test_a_connection_that_lacks_something_is_told_what(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], code: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(**parts))
    with pytest.raises(CutoverError) as raised:
        access("xendit")
    assert raised.value.code == code


@pytest.mark.parametrize("name", ["ceiling", "patience", "timeout", "limit_window"])
@pytest.mark.parametrize("value", ["many", 0, -1, [60], "nan", "inf"])
def test_a_number_in_the_extra_that_is_none_is_told_by_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    parts = {"host": "https://api.example.com", "login": "the-key", "extra": {name: value}}
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(**parts))
    with pytest.raises(CutoverError, match=rf"\[extract.bad-connection\] connection xendit, extra {name}"):
        access("xendit")


def test_a_line_break_after_the_key_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", connection(host="https://api.example.com", login=" the-key\n"))
    assert access("xendit").secret == "the-key"


def test_nothing_secret_can_be_rendered() -> None:
    assert set(ExtractOperator.template_fields) == {"migration", "source", "full", "accept_gone"}


def test_a_sync_reports_its_pages_and_waits(airflow: World, start: Start, listener: Listener) -> None:  # noqa: F811
    start(statsd_on=True, statsd_host="127.0.0.1", statsd_port=listener.port, statsd_influxdb_enabled=True)
    report = task("systemeio_tags").execute(context())
    gauges = listener.gauges()
    values = {
        metric: by_label(gauges[f"airflow.{metric.name}"], "endpoint")["systemeio_tags"] for metric in metrics.BY_SYNC
    }
    assert values[metrics.EXTRACT_PAGES] == report["pages"] > 0
    assert values[metrics.EXTRACT_REQUESTS] == report["requests"] > 0
    assert values[metrics.EXTRACT_RETRIES] == report["retries"]
    assert values[metrics.EXTRACT_REJECTED] == report["rejected"]
    [waited] = airflow.query("select waited from cutover.sync")
    assert values[metrics.EXTRACT_WAIT_SECONDS] == pytest.approx(sum(map(float, waited["waited"].values())))
    assert by_label(gauges["airflow.cutover.task.rows"], "task") == {"systemeio_tags": report["rows"]}
    with reading(load("clean_launch")) as looking:
        standing = status.look(looking, load("clean_launch"))
    assert standing.extracted is not None and standing.extracted.keys() == {"systemeio_tags"}
    assert 0 <= standing.extracted["systemeio_tags"] < 60
    metrics.status("clean_launch", standing, {})
    assert by_label(listener.gauges()["airflow.cutover.extract.age_seconds"], "endpoint").keys() == {"systemeio_tags"}
