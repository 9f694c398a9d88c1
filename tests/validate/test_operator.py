"""The task: its result is in XCom and in the run's row before it fails, and its message names what does not hold."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cutover.migration import load
from cutover.records import ledger, run
from tests.clean_launch_world import World
from tests.phases import pass_over
from tests.validate.conftest import SMALL


class Pushed:
    """Takes what a task pushes to XCom."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.values[key] = value


@pytest.fixture
def context(world: World, database: str, docs: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a task is given, for a run that has begun."""
    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", database.replace("postgresql://", "postgres://"))
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(docs))
    run.begin(
        world.connection, run=ledger.run_key("clean_launch", "manual__1"), migration="clean_launch",
        dag_id="clean_launch", dag_run_id="manual__1", triggered_by="operator", parameters={},
    )  # fmt: skip
    world.connection.execute("update cutover.rejects set run = %s", (ledger.run_key("clean_launch", "manual__1"),))
    pass_over(world.connection, load("clean_launch"), ledger.run_key("clean_launch", "manual__1"), "validation")
    dag_run = SimpleNamespace(dag_id="clean_launch", run_id="manual__1")
    return {"ti": Pushed(), "dag_run": dag_run, "params": dict(SMALL)}


def test_a_run_that_fails_has_told_its_result_first(world: World, context: dict[str, Any]) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from cutover.operators.validate import ValidateOperator

    world.connection.execute("update staging.transactions set status = 'lost' where transaction_type = 'manual'")
    world.connection.commit()
    operator = ValidateOperator(task_id="suites", migration="clean_launch")
    with pytest.raises(AirflowFailException, match="expect_column_values_to_be_in_set of status"):
        operator.execute(context)
    returned = context["ti"].values["return_value"]
    assert returned["success"] is False
    assert returned["data_docs"].endswith("/1-staging")
    stored = run.get(world.connection, ledger.run_key("clean_launch", "manual__1"))
    assert stored.validation == returned


def test_a_run_that_passes_returns_its_result(world: World, context: dict[str, Any]) -> None:
    from cutover.operators.validate import ValidateOperator

    rows = ValidateOperator(task_id="suites", migration="clean_launch").execute(context)
    assert rows["success"] is True
    assert rows["digest"] == context["ti"].values["return_value"]["digest"]
    assert rows["parameters"]["minimum_profiles"] == 1
