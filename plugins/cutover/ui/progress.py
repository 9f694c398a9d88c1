"""How far a run is that is under way, and about how long until somebody is asked, or until it ends.

A launch is as long as its data is large: what tells best how long one takes is the one before it, task by task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from cutover.swap.timing import lasting

# Runs before it that are looked at for one that got as far: further back data was another.
EARLIER_RUNS = 5
# The task that asks a person, and the one that waits for the time of the swap: how long they take says nothing.
_ASKS = "approve"
_WAITS = "wait"
_OVER = ("success", "skipped")


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` tasks up to the question, or to the end where the answer is there (``is_answered``).

    ``left_s``: seconds until then by an earlier run, below 0 where it takes longer; None where none got there.
    """

    done: int
    total: int
    is_answered: bool
    left_s: float | None

    def words(self) -> str:
        """For whoever waits for it."""
        counted = f"{self.done} of {self.total} tasks"
        goal = "the end" if self.is_answered else "the question"
        if self.left_s is None:
            return counted
        if self.left_s <= 0:
            return f"{counted}, longer to {goal} than in the run before"
        return f"{counted}, about {lasting(timedelta(seconds=self.left_s))} to {goal}"


@dataclass(frozen=True)
class Task:
    """A task of a run as Airflow has it."""

    state: str | None
    began: datetime | None
    ended: datetime | None


# Task and its number where there are several of it → how it stands.
Tasks = Mapping[tuple[str, int], Task]


def of_run(dag_id: str, dag_run_id: str, began: datetime) -> Progress:
    """How far a run is that ``began`` then, measured by the newest earlier one of its DAG that got as far."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    earlier = (
        select(DagRun.run_id)
        .where(DagRun.dag_id == dag_id, DagRun.run_id != dag_run_id, DagRun.start_date < began)
        .order_by(DagRun.start_date.desc())
        .limit(EARLIER_RUNS)
    )
    with create_session() as session:
        tasks = _tasks(session, dag_id, dag_run_id)
        for run_id in session.scalars(earlier).all():
            measured = by(tasks, began, _tasks(session, dag_id, run_id), datetime.now(timezone.utc))
            if measured is not None:
                return measured
    return Progress(sum(task.state in _OVER for task in tasks.values()), len(tasks), _is_answered(tasks), None)


def by(tasks: Tasks, began: datetime, earlier: Tasks, now: datetime) -> Progress | None:
    """How far a run is that ``began`` then, by an ``earlier`` one; None if that one did not get as far."""
    is_answered = _is_answered(tasks)
    span = _after_the_answer(earlier) if is_answered else _before_the_question(earlier)
    if span is None:
        return None
    start, goal, names = span
    over = [name for name in names if name in tasks and tasks[name].state in _OVER]
    # what was done by then took so long there; what it takes since is counted from the same task here
    reached = max((ended for name in over if (ended := earlier[name].ended)), default=start)
    last = max((ended for name in over if (ended := tasks[name].ended)), default=_begin(tasks, began, is_answered))
    left = (goal - reached) - (now - last)
    return Progress(len(over), len(names), is_answered, left.total_seconds())


def _is_answered(tasks: Tasks) -> bool:
    return any(task.state in _OVER for (name, _), task in tasks.items() if name == _ASKS)


def _begin(tasks: Tasks, began: datetime, is_answered: bool) -> datetime:
    if not is_answered:
        return began
    return max(
        (task.ended for (name, _), task in tasks.items() if name in (_ASKS, _WAITS) and task.ended), default=began
    )


def _before_the_question(earlier: Tasks) -> tuple[datetime, datetime, list[tuple[str, int]]] | None:
    asked = next((task.began for (name, _), task in earlier.items() if name == _ASKS), None)
    if asked is None:
        return None
    names = [name for name, task in earlier.items() if task.ended and task.ended <= asked]
    begun = [began for name in names if (began := earlier[name].began)]
    return (min(begun), asked, names) if begun else None


def _after_the_answer(earlier: Tasks) -> tuple[datetime, datetime, list[tuple[str, int]]] | None:
    waited = [task for (name, _), task in earlier.items() if name in (_ASKS, _WAITS)]
    if not waited or any(task.state not in _OVER or task.ended is None for task in waited):
        return None
    start = max(task.ended for task in waited if task.ended)
    later = {name: task for name, task in earlier.items() if name[0] not in (_ASKS, _WAITS)}
    names = [name for name, task in later.items() if not (task.ended and task.ended <= start)]
    if not names or any(later[name].state not in _OVER or later[name].ended is None for name in names):
        return None
    return start, max(ended for name in names if (ended := later[name].ended)), names


def _tasks(session: Any, dag_id: str, dag_run_id: str) -> Tasks:
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    of = TaskInstance
    columns = (of.task_id, of.map_index, of.state, of.start_date, of.end_date)
    rows = session.execute(select(*columns).where(of.dag_id == dag_id, of.run_id == dag_run_id)).all()
    return {
        (name, place): Task(getattr(state, "value", state), began, ended) for name, place, state, began, ended in rows
    }
