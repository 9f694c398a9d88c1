"""When a task has ended: what happened is looked up in the target's records, and told.

The callbacks are called once Airflow knows the task's state: nothing that they meet fails a task, and what hangs keeps
nothing from going on. What they miss, the next look of the DAG ``outlook`` finds.
"""

from __future__ import annotations

import logging
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg

from cutover import notices
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import Migration, load
from cutover.notices import Event
from cutover.operators import notify
from cutover.operators.base import STATEMENT_TIMEOUT_MS, application, connect_to, run_of
from cutover.records import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import Context

_log = logging.getLogger(__name__)


def tell_failure(context: Context) -> None:
    """Write down that the task has failed for good, and tell it. Never raises."""
    _tell(context, failed=True)


def tell_success(context: Context) -> None:
    """Tell what the task has done. Never raises."""
    _tell(context, failed=False)


def look(
    connect: Connect, migration: Migration, log: Log, *, state_of: notices.StateOf, context: Mapping[str, Any]
) -> None:
    """Find whatever has happened, and tell what nobody was told yet. Raises for a database.

    Skipped where this version has not been installed.
    """
    with opened(connect) as connection:
        if not notices.is_there(connection):
            return
        _bound(connection)
        for event in notices.look(connection, migration, _limits(log), state_of):
            log(event.subject)

    notify.deliver(
        connect, migration, log, again=True, around=partial(_around, connect, context, log, lru_cache(_dags))
    )


def _tell(context: Context, *, failed: bool) -> None:
    task: Any = context["task"]
    dag_run = context["dag_run"]
    try:
        migration = load(task.migration)
        this_run = run_of(context, migration.target)
        connect = connect_to(migration.target, application(this_run, task.task_id))
        with opened(connect) as connection:
            if not notices.is_there(connection):
                _log.info("nobody is told: nothing has been installed in %s yet", migration.target)
                return
            _bound(connection)
            if failed:
                notices.fail(
                    connection,
                    getattr(context.get("exception"), "refusal", None),
                    migration=migration.migration,
                    run=this_run,
                    dag_id=dag_run.dag_id,
                    dag_run_id=dag_run.run_id,
                    task_id=task.task_id,
                    is_scheduled=getattr(dag_run, "run_type", None) == "scheduled",
                )
            notices.look(connection, migration, _limits(_log.warning))
        here = notify.Around(getattr(task, "notifiers", ()), context)
        notify.deliver(connect, migration, _log.info, run=this_run, patience=notify.AFTER_TASK_S, around=lambda _: here)
    except (CutoverError, psycopg.Error) as error:
        _log.warning("nobody is told now: %s", masked_text(" ".join(str(error).split())))
    except Exception as error:  # the task has ended, whatever is wrong with what comes after it
        _log.warning("nobody is told now: %s", type(error).__name__)


def _limits(log: Log) -> notices.Limits:
    """The configured limits; the usual ones where they cannot be read, which is told by itself."""
    try:
        return notify.settings().limits
    except CutoverError as error:
        log(str(error))
        return notices.Limits()


def _bound(connection: psycopg.Connection) -> None:
    connection.execute(files.statement("ui/bound.sql"), {"timeout": f"{STATEMENT_TIMEOUT_MS}ms"})


def _around(
    connect: Connect,
    context: Mapping[str, Any],
    log: Log,
    dags: Callable[[str], Mapping[str, Any]],
    event: Event,
) -> notify.Around:
    """The context of an event's run instead of the look's own, and the notifiers that its DAG's file passes to it."""
    if event.run is None or event.dag_run_id is None:
        return notify.Around((), context)
    with opened(connect) as connection:
        parameters = run.get(connection, event.run).parameters if run.has_begun(connection, event.run) else {}
    dag_run = SimpleNamespace(dag_id=event.dag_id, run_id=event.dag_run_id, conf=parameters)
    own = {**context, "dag_run": dag_run, "run_id": event.dag_run_id, "params": parameters}
    if event.dag_file is None:
        return notify.Around((), own)
    try:
        dag = dags(event.dag_file)[event.dag_id]
        task = dag.get_task(str(event.task_id))
    except Exception as error:  # whatever a DAG file may do
        log(f"the notifiers of {event.dag_id} cannot be read from {event.dag_file}: {type(error).__name__}")
        return notify.Around((), own)
    return notify.Around(getattr(task, "notifiers", ()), {**own, "dag": dag, "task": task})


def _dags(file: str) -> Mapping[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(file).dags
