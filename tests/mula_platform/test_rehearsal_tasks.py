"""The tasks of the rehearsal: waiting for the platform, writing down what was found, and asking when it is bad."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from cutover import rehearsal
from cutover.database.connect import opened
from cutover.operators import notify
from cutover.operators.rehearsal import GO_ON, TAKE_BACK, RehearseOperator, ServiceSensor, SignInGate
from stack.postgres import EmbeddedPostgres

from .conftest import Site, served
from .test_rehearsal import MIGRATION, RUN, House


@pytest.fixture
def house(
    make_site: Callable[..., Site], server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Iterator[House]:
    """The platform, and the launch that it is of, known to Airflow by their connections."""
    with served(make_site) as (site, url):
        house = House(site, url, server)
        monkeypatch.setenv("AIRFLOW_CONN_UNIFIED", house.engine.replace("postgresql://", "postgres://"))
        monkeypatch.setenv("AIRFLOW_CONN_MULA_PLATFORM", url)
        monkeypatch.setenv("AIRFLOW_VAR_CUTOVER_APPROVERS", "reviewer, operator")
        monkeypatch.setenv("CUTOVER_DATA_DOCS", str(tmp_path / "docs"))
        monkeypatch.delenv("AIRFLOW_CONN_MULA_TEST_PEOPLE", raising=False)
        yield house


def context(**params: Any) -> Any:
    """A run of the DAG, as its tasks see it."""
    given = {"rehearse_sign_ins": True, "sign_in_failures_percent": 2, "approval_hours": 1} | params
    dag_run = SimpleNamespace(dag_id=MIGRATION.migration, run_id=RUN, conf={}, triggering_user_name="operator")
    return {"params": given, "dag_run": dag_run, "cutover_runs": {MIGRATION.target: RUN}}


def task(kind: Any, name: str) -> Any:
    """A task of the group."""
    return kind(task_id=f"rehearse.{name}", migration=MIGRATION.migration)


def answered(option: str, person: str = "reviewer") -> dict[str, Any]:
    """What Airflow delivers of an answer."""
    return {
        "chosen_options": [option], "params_input": {}, "responded_at": datetime.now(timezone.utc),
        "responded_by_user": {"id": "7", "name": person},
    }  # fmt: skip


def test_without_a_platform_or_a_wish_it_is_said_and_skipped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowSkipException, match="no rehearsal"):
        task(ServiceSensor, "service").poke(context(rehearse_sign_ins=False))
    monkeypatch.delenv("AIRFLOW_CONN_MULA_PLATFORM")
    with pytest.raises(AirflowSkipException, match="no connection mula_platform"):
        task(ServiceSensor, "service").poke(context())
    with opened(house.connect) as connection:
        assert not rehearsal.is_due(connection, RUN), "nobody has to wait for what will not be"


def test_it_waits_until_the_platform_is_set_up_for_this_launch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    wait = task(ServiceSensor, "service")
    assert wait.poke(context())
    with opened(house.connect) as connection:
        assert rehearsal.is_due(connection, RUN)
    house.site.rows("update platform.launch set entry = 0")
    assert not wait.poke(context())
    house.site.rows("update platform.launch set entry = 1000")
    house.site.rows("update platform.signing_key set retired_at = now()")
    assert not wait.poke(context())
    monkeypatch.setenv("AIRFLOW_CONN_MULA_PLATFORM", "http://127.0.0.1:1")
    assert not wait.poke(context())
    house.site.rows("drop schema platform cascade")
    assert not wait.poke(context())


def test_good_sign_ins_ask_nobody_and_bad_ones_stop_until_an_approver_has_decided(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[notify.Message] = []
    asked: list[str] = []
    monkeypatch.setattr(notify, "tell", lambda message, _: lines.append(message))
    monkeypatch.setattr(HITLOperator, "execute", lambda operator, _: asked.append(operator.body))
    person = {"application": "dasha", "account": 5, "address": "ana@example.com", "password": "ana at dasha"}
    extra = json.dumps({"conn_type": "generic", "extra": {"people": [person]}})
    monkeypatch.setenv("AIRFLOW_CONN_MULA_TEST_PEOPLE", extra)
    rehearse, ask = task(RehearseOperator, "sign_ins"), task(SignInGate, "ask")
    with pytest.raises(AirflowException, match=r"rehearsal\.not-rehearsed"):
        ask.execute(context())
    # one password in six is an MD5
    assert rehearse.run_phase(context(sign_in_failures_percent=20))["trouble"] == []
    with pytest.raises(AirflowSkipException, match="nobody is asked"):
        ask.execute(context())
    (trouble,) = rehearse.run_phase(context())["trouble"]
    ask.execute(context())
    assert "/sign_ins.svg" in asked[0] and "mula_unification_rollback" in asked[0] and trouble not in asked[0]
    assert lines[0].lines == (trouble,)
    for event in (answered(GO_ON, "operator"), answered(GO_ON, "stranger"), {"error": "x", "error_type": "timeout"}):
        with pytest.raises(AirflowException, match=r"rehearsal\.not-answered"):
            ask.execute_complete(context(), event)
    before = answered(GO_ON) | {"responded_at": datetime.now(timezone.utc) - timedelta(minutes=1)}
    with pytest.raises(AirflowException, match=r"rehearsal\.rehearsed-since"):
        ask.execute_complete(context(), before)
    with pytest.raises(AirflowException, match=r"rehearsal\.refused.*reviewer"):
        ask.execute_complete(context(), answered(TAKE_BACK))
    # a decision stands when the task is cleared, and is about this rehearsal alone
    with pytest.raises(AirflowException, match=r"rehearsal\.refused.*reviewer"):
        ask.execute(context())
    rehearse.run_phase(context())
    ask.execute(context())
    assert len(asked) == 2
    ask.execute_complete(context(), answered(GO_ON))
    ask.execute(context())
    assert len(asked) == 2
    with opened(house.connect) as connection:
        record = rehearsal.of_run(connection, RUN)
    assert record is not None and record["answer"]["goes_on"] is True
    assert record["ways"]["a password typed, of test persons"]["tried"] == 1
