"""How a run stands, in one set of words for every page: by what the target database holds, and by what Airflow knows.

Neither is enough. A run that failed in preflight has left nothing in the target; one that was cleaned away in Airflow
is in the target alone; and one whose question was asked may have failed since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from cutover.swap.timing import lasting
from cutover.ui import progress

Key = tuple[str, str]
# Of a run that is approved to be swapped later.
WAITS_FOR_ITS_TIME = "waits for its time"
# Of one that a person is asked about.
WAITS_FOR_AN_ANSWER = "waits for an answer"


@dataclass(frozen=True)
class Standing:
    """A run as Airflow has it. ``failed`` is the task that failed first, ``now`` what a task of it does or waits for"""

    dag_id: str
    dag_run_id: str
    state: str
    started_at: datetime
    triggered_by: str | None
    failed: str | None = None
    waits: bool = False
    now: str | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing of it will happen any more."""
        return self.state in ("success", "failed")

    @cached_property
    def progress(self) -> progress.Progress | None:
        """How far it is, asked of Airflow when it is looked at; None unless its tasks are at work."""
        if self.state != "running" or self.waits:
            return None
        return progress.of_run(self.dag_id, self.dag_run_id, self.started_at)


# What a task does in each of Airflow's states in which it is at work or has to wait; the first of them is told.
_DOES = {
    "running": "is at work",
    "deferred": "waits",
    "up_for_reschedule": "waits, and looks again by itself",
    "up_for_retry": "has failed, and is tried again by itself",
    "queued": "waits for a worker",
}


def newest(dag_ids: Collection[str], before: datetime | None, limit: int) -> list[Standing]:
    """The newest runs of some DAGs, that have begun before a moment if one is given."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import func

    moment = func.coalesce(DagRun.start_date, DagRun.queued_at, DagRun.run_after)
    conditions = [DagRun.dag_id.in_(dag_ids)] + ([moment < before] if before else [])
    return _read(conditions, limit)


def of_runs(keys: Iterable[Key]) -> dict[Key, Standing]:
    """(DAG, run) → how it stands, for those that Airflow knows."""
    from airflow.models.dagrun import DagRun
    from sqlalchemy import tuple_

    wanted = list(keys)
    if not wanted:
        return {}
    standings = _read([tuple_(DagRun.dag_id, DagRun.run_id).in_(wanted)], len(wanted))
    return {(one.dag_id, one.dag_run_id): one for one in standings}


def under_way(dag_id: str) -> list[Standing]:
    """The runs of a DAG that have not ended, oldest first."""
    from airflow.models.dagrun import DagRun

    return _read([DagRun.dag_id == dag_id, DagRun.state.in_(("queued", "running"))], 10)[::-1]


def named(dag_id: str, prefix: str) -> list[Standing]:
    """The runs of a DAG whose id begins so, newest first."""
    from airflow.models.dagrun import DagRun

    return _read([DagRun.dag_id == dag_id, DagRun.run_id.startswith(prefix, autoescape=True)], 1000)


def _read(conditions: list[Any], limit: int) -> list[Standing]:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import func, select, tuple_

    moment = func.coalesce(DagRun.start_date, DagRun.queued_at, DagRun.run_after)
    runs = (
        select(DagRun.dag_id, DagRun.run_id, DagRun.state, moment, DagRun.triggering_user_name)
        .where(*conditions)
        .order_by(moment.desc())
        .limit(limit)
    )
    with create_session() as session:
        rows = session.execute(runs).all()
        tasks = (
            select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.state)
            .where(
                tuple_(TaskInstance.dag_id, TaskInstance.run_id).in_([(row[0], row[1]) for row in rows]),
                TaskInstance.state.in_(("failed", "awaiting_input", *_DOES)),
            )
            .order_by(TaskInstance.end_date.desc())
        )
        marked = session.execute(tasks).all() if rows else []
    # the one that ended first is read last, and stays
    failed = {(dag_id, run_id): task for dag_id, run_id, task, state in marked if state == "failed"}
    waiting = {(dag_id, run_id) for dag_id, run_id, _, state in marked if state == "awaiting_input"}
    doing: dict[Key, str] = {}
    for wanted, does in reversed(_DOES.items()):
        doing |= {(dag_id, run_id): f"{task} {does}" for dag_id, run_id, task, state in marked if state == wanted}
    return [
        Standing(
            dag_id,
            run_id,
            str(getattr(state, "value", state)),
            started,
            by,
            failed=failed.get((dag_id, run_id)),
            waits=(dag_id, run_id) in waiting,
            now=doing.get((dag_id, run_id)),
        )
        for dag_id, run_id, state, started, by in rows
    ]


def now(standing: Standing | None, doing: Sequence[str] = ()) -> str | None:
    """What a run that is under way does, or waits for, and how far it is.

    None of one that has ended, or that a person is asked about. ``doing`` is what its tasks themselves say of that.
    """
    if standing is None or standing.has_ended or standing.waits:
        return None
    does = "; ".join(doing) or standing.now
    if standing.progress is None:
        return does or "waits for its turn in Airflow"
    return "; ".join(filter(None, (does, standing.progress.words())))


def waits(wait: dict[str, Any] | None) -> str | None:
    """For what an approved run waits, of the newest look on record; None if for nothing, or if its time has come."""
    if not wait or wait["left_s"] <= 0:
        return None
    return f"{wait['label']} (in {lasting(timedelta(seconds=float(wait['left_s'])))})"


def words(state: str, standing: Standing | None, wait: dict[str, Any] | None = None) -> str:
    """How a run stands. ``state`` is what the target database alone would say, as ``ui/launches.sql`` does.

    ``wait`` is for what an approved one waits there.
    """
    failed = f" in {standing.failed}" if standing and standing.failed else ""
    if state in ("done", "taken back", "rejected", "changes requested"):
        return f"{state}, then failed{failed}" if failed and state == "done" else state
    if standing is None:
        return "not launched"
    if standing.state == "failed":
        return f"failed{failed}"
    if standing.state == "success":
        return "ended without a launch"
    if standing.waits:
        return WAITS_FOR_AN_ANSWER
    if state == "approved" and waits(wait):
        state = WAITS_FOR_ITS_TIME
    return state if state in ("approved", "approval void", WAITS_FOR_ITS_TIME) else "under way"
