"""What a user can get wrong stops the launch at the task it concerns, with a message, and production untouched."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from demo import credentials
from demo.simulators import Simulator

from .conftest import SMALL, World, answer, run
from .test_clean_launch import checksum

pytestmark = pytest.mark.timeout(240)


def failed(tasks: dict[str, str]) -> set[str]:
    """The tasks that failed by themselves."""
    return {task for task, state in tasks.items() if state == "failed"}


def test_a_wrong_api_key_stops_at_the_endpoints_it_is_for(
    world: World, simulators: Simulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = simulators.systemeio_url.removeprefix("http://")
    monkeypatch.setenv("AIRFLOW_CONN_SYSTEMEIO", f"http://:{quote('a-wrong-key')}@{address}")
    before = checksum(world)
    state, tasks = run("clean_launch", **SMALL)
    output = capsys.readouterr().out
    assert state == "failed"
    assert failed(tasks) == {"extract.systemeio_contacts", "extract.systemeio_tags"}
    assert tasks["extract.xendit_invoices"] == "success"
    assert tasks["freeze.capture"] == tasks["approve"] == tasks["swap"] == "upstream_failed"
    assert "connection systemeio" in output
    assert "a-wrong-key" not in output and credentials.SYSTEMEIO_API_KEY not in output
    assert checksum(world) == before


def test_a_role_that_may_not_make_schemas_is_told_so_before_anything_is_made(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    database = world.value("select current_database()")
    with psycopg.connect(world.dsn, autocommit=True) as admin:
        admin.execute(f"revoke create on database {database} from cutover, app_owner".encode())
    state, tasks = run("clean_launch", **SMALL)
    output = capsys.readouterr().out
    assert (state, failed(tasks)) == ("failed", {"preflight.check"})
    assert f"grant create on database {database} to cutover;" in output
    assert world.value("select to_regnamespace('cutover') is null")


def test_a_folder_that_takes_no_data_docs_stops_it_before_anything_is_made(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("CUTOVER_DATA_DOCS", str(tmp_path / "a file" / "docs"))
    state, tasks = run("clean_launch", **SMALL)
    output = capsys.readouterr().out
    assert (state, failed(tasks)) == ("failed", {"preflight.check"})
    assert "[storage.unavailable]" in output and "Not a directory" in output
    assert world.value("select to_regnamespace('cutover') is null")


def test_a_database_that_does_not_answer_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    from cutover.operators.phases import PreflightOperator

    monkeypatch.setenv("AIRFLOW_CONN_PRODUCTION", "postgres://cutover:a-secret@127.0.0.1:1/production")
    context = {"dag_run": SimpleNamespace(dag_id="clean_launch", run_id="manual__1"), "params": {}}
    with pytest.raises(AirflowException, match=r"\[connect.unreachable\] connection production") as raised:
        PreflightOperator(task_id="check", migration="clean_launch").execute(context)  # type: ignore[arg-type]
    assert not isinstance(raised.value, AirflowFailException), "another try may find it up"
    assert "a-secret" not in str(raised.value)


def test_an_earlier_launch_that_was_not_finished_stops_the_next_one(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    answer("clean_launch", "Approve")
    assert run("clean_launch", **SMALL)[0] == "success"
    with psycopg.connect(world.dsn, autocommit=True) as admin:
        admin.execute("set session_replication_role = replica")
        admin.execute("delete from cutover.certificate")
    before = checksum(world)
    state, tasks = run("clean_launch", **SMALL)
    output = capsys.readouterr().out
    assert (state, failed(tasks)) == ("failed", {"preflight.check"})
    assert "[preflight.unfinished-run] swap r" in output
    assert "clear its task swap" in output
    assert checksum(world) == before


def test_a_staging_table_without_a_row_stops_its_task(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cutover.operators.phases import LoadOperator

    def nobody(operator: LoadOperator, context: object) -> None:
        if operator.step == "affiliates":
            operator.sql = operator.sql.rstrip().rstrip(";") + " limit 0"

    monkeypatch.setattr(LoadOperator, "pre_execute", nobody)
    before = checksum(world)
    state, tasks = run("clean_launch", **SMALL)
    output = capsys.readouterr().out
    assert (state, failed(tasks)) == ("failed", {"transform.affiliates"})
    assert tasks["approve"] == "upstream_failed"
    assert "[transform.empty] staging.affiliates" in output
    assert checksum(world) == before
