"""What a task tells: names by connections, and a validation that does not hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cutover.lineage.graph import Dataset, Place
from cutover.migration import load
from cutover.migration.files import FileDrop
from cutover.operators import lineage
from cutover.operators.validate import ValidateOperator

SECRETS = "postgres://cutover:s3cret@db.example.com/app"


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of both migrations, each with a key in it."""
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", SECRETS)
    monkeypatch.setenv("AIRFLOW_CONN_DASHA", "postgres://reader:s3cret@[fd00::7]:5433/dasha")
    monkeypatch.setenv("AIRFLOW_CONN_XENDIT", "https://:s3cret@api.xendit.co/sandbox")


def test_datasets_are_named_by_their_connections_and_without_their_keys() -> None:
    names = lineage.Names(load("clean_launch"))
    assert names.of(Dataset(Place.DATABASE, "production", "public.leads")) == (
        "postgres://db.example.com:5432",
        "app.public.leads",
    )
    assert names.of(Dataset(Place.DATABASE, "dasha", "public.users"))[0] == "postgres://[fd00::7]:5433"
    assert names.of(Dataset(Place.API, "xendit", "/v2/invoices")) == ("https://api.xendit.co", "/sandbox/v2/invoices")
    drop = FileDrop(
        name="orders", migration="m", path="s3://key:s3cret@bucket/in", format="csv", columns={"id": "bigint"}
    )
    of_files = lineage.Names(SimpleNamespace(files={"orders": drop}))  # type: ignore[arg-type]
    assert of_files.of(Dataset(Place.FILES, "orders", "*.csv")) == ("s3://bucket", "in/*.csv")


def test_an_assertion_that_does_not_hold_is_told_without_what_was_found() -> None:
    suite = {"suite": "leads", "success": False, "evaluated": 9, "warned": []}
    failed = [{"expectation": "expect_column_values_to_be_unique of email", "observed": "found ann@example.com"}]
    result: dict[str, Any] = {"phase": "staging", "suites": [{**suite, "failed": failed}], "checks": []}
    task = ValidateOperator(task_id="suites", migration="clean_launch")
    task.lineage_of = ("r1", result)
    told = task.get_openlineage_facets_on_failure(None)
    assert told is not None
    [leads] = [one for one in told.inputs if one.name == "app.staging.leads"]
    assertions = leads.inputFacets["dataQualityAssertions"].assertions
    broken = [(one.assertion, one.column, one.severity) for one in assertions if not one.success]
    assert broken == [("expect_column_values_to_be_unique", "email", "error")] and len(assertions) > 5
    assert "ann@example.com" not in str(told)


def test_what_cannot_be_told_fails_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_PRODUCTION")
    task = ValidateOperator(task_id="suites", migration="clean_launch")
    task.lineage_of = ("r1", {"phase": "staging", "suites": [], "checks": []})
    for told in (task.get_openlineage_facets_on_failure, task.get_openlineage_facets_on_complete):
        assert told(None) is None
