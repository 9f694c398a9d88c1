"""Taking a swap back by its revert window, from its page: whether one may, and the run that does it.

The run is triggered with nothing but the entry's number. Whether that is allowed is looked at again in the run, in the
target database: what is refused here is refused for people, not for safety.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import DagRunAlreadyExists
from airflow.models.dag import DagModel
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy.exc import IntegrityError

from cutover.migration import Migration
from cutover.revert import PARAMETER, Window, of_entry
from cutover.ui import access, shown, standing, store
from cutover.ui.standing import Standing
from cutover.watch import look


@dataclass(frozen=True)
class Offer:
    """What there is to say of taking an entry back by its window.

    ``attempt`` is the newest run that has tried it; ``obstacle`` says in words why nobody can now, or not this person.
    """

    entry: store.Row
    window: Window | None
    written: list[dict[str, Any]]
    attempt: Standing | None
    attempts: int
    failure: store.Row | None
    obstacle: str | None

    @property
    def is_under_way(self) -> bool:
        """Whether somebody takes it back at this moment."""
        return self.attempt is not None and not self.attempt.has_ended

    @property
    def run_id(self) -> str:
        """The id of the run that takes it back next: the same for all who ask at once, so that one run comes of it."""
        return f"{_prefix(self.entry['entry'])}{self.attempts + 1}"

    @property
    def conf(self) -> dict[str, Any]:
        """The parameters of that run. Nobody would read what a rehearsal finds, and each second counts."""
        return {PARAMETER: self.entry["entry"], "rehearse": False}


def offer(connection: psycopg.Connection, migration: Migration, number: int, user: Any) -> Offer | None:
    """What ``user`` is told of taking an entry back; None where the ledger has no such entry."""
    entry = store.entry_alone(connection, migration, number)
    if entry is None:
        return None
    window = of_entry(connection, migration.migration, number)
    dag_id = access.rollback_of(migration.migration)
    attempts = standing.named(dag_id, _prefix(number))
    attempt = attempts[0] if attempts else None
    return Offer(
        entry=entry,
        window=window,
        written=look.written_since(connection, entry["run"]),
        attempt=attempt,
        attempts=len(attempts),
        failure=store.failure(connection, dag_id, attempt.dag_run_id) if attempt and attempt.has_ended else None,
        obstacle=_obstacle(window, dag_id, migration, user),
    )


def trigger(migration: Migration, offered: Offer, user: Any) -> None:
    """Trigger the run that takes it back, unless somebody has at this moment."""
    try:
        trigger_dag(
            dag_id=access.rollback_of(migration.migration),
            run_id=offered.run_id,
            conf=offered.conf,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
        )
    except (DagRunAlreadyExists, IntegrityError):
        return


def figures(migration: Migration, offered: Offer) -> dict[str, Any]:
    """An offer for a terminal: the entry, what becomes of its tables, its window, and how to trigger the run."""
    entry, window, attempt = offered.entry, offered.window, offered.attempt
    counts = {table["name"]: table for table in entry["counts"] or []}
    return {
        "migration": migration.migration,
        "entry": entry["entry"],
        "run": entry["run"],
        "recorded_at": entry["recorded_at"],
        "taken_back_entry": entry["taken_back_entry"],
        "tables": [
            {
                "name": f"{table['schema']}.{table['name']}",
                "comes_back": table["outgoing"] is not None,
                **{moment: counts.get(table["name"], {}).get(moment) for moment in ("before", "after")},
            }
            for table in entry["tables"]
        ],
        "written": offered.written,
        "window": window
        and {
            "approved_by": window.approved_by,
            "minutes": window.minutes,
            "ends_at": window.ends_at,
            "seconds_left": window.seconds_left,
        },
        "obstacle": offered.obstacle,
        "attempt": attempt
        and {"run_id": attempt.dag_run_id, "person": attempt.triggered_by, "has_ended": attempt.has_ended},
        "failure": offered.failure,
        "dag_id": access.rollback_of(migration.migration),
        "run_id": offered.run_id,
        "conf": offered.conf,
    }


def _prefix(number: int) -> str:
    return f"revert__{number}__"


def _obstacle(window: Window | None, dag_id: str, migration: Migration, user: Any) -> str | None:
    """Why nobody, or not this person, can take it back by its window now; None if they can."""
    usual = f"{dag_id} takes it back with an approval of its own."
    if window is None:
        return f"Nobody has approved beforehand that it is taken back. {usual}"
    if window.newest != window.run:
        return f"Run {window.newest} came after it, and the window was for exactly what came before. {usual}"
    if window.seconds_left <= 0:
        return f"Its window of {window.minutes} minutes ended at {shown.moment(window.ends_at)}. {usual}"
    return _not_by(window, dag_id, migration, user) or _not_now(window, dag_id)


def _not_by(window: Window, dag_id: str, migration: Migration, user: Any) -> str | None:
    if user.get_name() == window.approved_by:
        return (
            f"{window.approved_by} has approved this beforehand: it takes another person to do it, for two people see "
            "each change of production."
        )
    if not access.may_roll_back(user, migration.migration):
        return f"You may not trigger {dag_id}. Whoever may, takes it back here until {shown.moment(window.ends_at)}."
    return None


def _not_now(window: Window, dag_id: str) -> str | None:
    others = [run for run in standing.under_way(dag_id) if not run.dag_run_id.startswith(_prefix(window.entry))]
    if others:
        waits = "waits for an answer" if others[0].waits else "is under way"
        return (
            f"Run {others[0].dag_run_id} of {dag_id}, triggered by {others[0].triggered_by or 'nobody in person'}, "
            f"{waits}: this one would have to wait behind it. Answer it, or mark it as failed."
        )
    model = DagModel.get_current(dag_id)
    if model is None or model.is_paused:
        return f"{dag_id} is {'not there' if model is None else 'paused'}: nothing would happen. Unpause it in Airflow."
    return None
