"""Sources are opened again whatever else is down, unless the swap may have happened."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from cutover import window
from cutover.operators import notify
from cutover.operators.window import ReleaseOperator
from cutover.records.ledger import run_key
from tests.mula.world import MIGRATION, World

DAG_RUN = SimpleNamespace(dag_id="mula_unification", run_id="manual__2026-11-26T08:00:00+00:00", conf={})
RUN = run_key(DAG_RUN.dag_id, DAG_RUN.run_id)
APPLICATIONS = ("dasha", "compatibility")
# a server that is not there
NOBODY = "postgres://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def messages(world: World, monkeypatch: pytest.MonkeyPatch) -> list[notify.Message]:
    """Messages, of a deployment whose sources this run has fenced and whose unified database is down."""
    for name in ("dasha_owner", "compatibility_owner"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", world.dsn[name].replace("postgresql://", "postgres://"))
    monkeypatch.setenv("AIRFLOW_CONN_UNIFIED", NOBODY)
    for name in APPLICATIONS:
        world.user(name, 1, "ana@example.com")
        tables = MIGRATION.tables_of(name)
        window.fence(
            world.connect(f"{name}_owner"), tables, RUN, patience=timedelta(seconds=20), log=world.messages.append
        )
    messages: list[notify.Message] = []
    monkeypatch.setattr(notify, "tell", lambda message, log: messages.append(message))
    return messages


def release(attempt: int = 1, **given: Any) -> Any:
    """One try of the task, as Airflow would run it."""
    task = ReleaseOperator(task_id="release", migration="mula_unification", **given)
    params = {"maintenance_window": True, "dry_run": False}
    ti = SimpleNamespace(try_number=attempt, max_tries=task.retries)
    return task.execute({"params": params, "dag_run": DAG_RUN, "ti": ti})  # type: ignore[arg-type]


def is_open(world: World, application: str) -> bool:
    """Whether an application can write."""
    try:
        world.execute(application, "update public.users set username = 'in again'")
    except psycopg.errors.ReadOnlySqlTransaction:
        return False
    return True


def test_sources_are_opened_while_the_unified_database_cannot_be_reached(
    world: World, messages: list[notify.Message]
) -> None:
    release()
    assert [is_open(world, name) for name in APPLICATIONS] == [True, True]
    assert not messages


def test_a_source_that_is_down_with_the_unified_database_is_named_and_tried_again(
    world: World, messages: list[notify.Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_COMPATIBILITY_OWNER", NOBODY)
    for attempt in (1, 2, 3):
        with pytest.raises(
            AirflowException, match=r"window\.still-fenced.*compatibility: .*connect\.unreachable"
        ) as met:
            release(attempt)
        assert not isinstance(met.value, AirflowFailException)
    assert [is_open(world, name) for name in APPLICATIONS] == [True, False]
    assert [message.subject for message in messages] == ["mula_unification: compatibility may still refuse writes"]


def test_nothing_is_opened_when_the_swap_may_have_happened_and_nobody_can_say(
    world: World, messages: list[notify.Message]
) -> None:
    window.note_swap(world.connect("dasha_owner"), RUN)
    window.note_swap(world.connect("dasha_owner"), RUN)
    with pytest.raises(AirflowException, match=r"window\.still-fenced.*window\.may-have-swapped") as met:
        release()
    assert not isinstance(met.value, AirflowFailException)
    assert [is_open(world, name) for name in APPLICATIONS] == [False, True]
    assert "dasha may still refuse writes" in messages[0].subject
    # once it can be asked, it says that nothing was swapped
    assert window.release(world.connect("dasha_owner"), RUN, world.messages.append)
    assert is_open(world, "dasha")


def test_a_rollback_that_cannot_be_asked_for_names_what_is_fenced(world: World, messages: list[notify.Message]) -> None:
    """Only the ledger knows whose fence it is to open."""
    with pytest.raises(AirflowException, match=r"window\.still-fenced.*unified cannot be asked") as met:
        release(undone=True)
    assert not isinstance(met.value, AirflowFailException)
    assert [is_open(world, name) for name in APPLICATIONS] == [False, False]
    assert "dasha, compatibility may still refuse writes" in messages[0].subject
