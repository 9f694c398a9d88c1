"""Looks, while a person is asked about a launch, whether anything has come into its way, and tells when it has.

And whether a step of an open maintenance window is late. Whatever it finds, it reports how the migration stands.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError, AirflowSkipException

from cutover.errors import CutoverError
from cutover.migration import load
from cutover.operators import metrics, notify
from cutover.operators.base import (
    connect_to,
    has_ended,
    in_words,
    opened,
    reading,
)
from cutover.operators.links import answer_address, review_address

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cutover.outlook import Outlook
    from cutover.records.run import Run


class OutlookOperator(BaseOperator):
    """Looks at the launch of ``migration`` whose question waits. Skipped if none does, or its database is not there.

    It belongs to no run: it reads in bounded time, and writes one row where the outlook is another than before. Whether
    a question waits or not, it tells of steps of an open maintenance window that are late.
    """

    def __init__(self, *, migration: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.migration = migration

    def execute(self, context: Context) -> str:
        """Returns the outlook in one sentence. Raises ``database.*`` errors in words."""
        try:
            return self._tell(context)
        finally:
            self._measure(context)

    def _tell(self, context: Context) -> str:
        from cutover import outlook

        with in_words(self.log, f"the outlook of {self.migration}"):
            self._tell_news(context)
            self._tell_late_steps()
            row, ahead = self._look()
            with opened(self._connect()) as connection:
                worth_telling = outlook.keep(connection, row.run, ahead)
            self.log.info("run %s: %s", row.run, ahead.verdict)
            for reason in ahead.reasons:
                self.log.warning("%s", reason)
            if worth_telling:
                notices = notify.tell(self._message(row, ahead), self.log.info)
                with opened(self._connect()) as connection:
                    notify.keep(connection, row.run, "outlook", notices)
        return ahead.verdict

    def _measure(self, context: Context) -> None:
        """Report how the migration stands. Never raises: the outlook is told whether or not this can be measured."""
        import psycopg

        from cutover import outlook, status

        migration = load(self.migration)
        try:
            with reading(migration) as connection:
                if not outlook.has_records(connection):
                    return
                standing = status.look(connection, migration)
        except (CutoverError, psycopg.Error) as error:
            self.log.info("not measured: %s", str(error).splitlines()[0])
            return
        ti = context["ti"]
        try:
            # a run that was marked as failed while it waited takes no answer any more
            waiting = [one for one in standing.questions or () if not has_ended(ti, one.dag_id, one.dag_run_id)]
            failed = {dag_id: ti.get_dr_count(dag_id, states=["failed"]) for dag_id in standing.dags or ()}
        except AirflowRuntimeError as error:
            self.log.info("not measured: %s", error)
            return
        questions = None if standing.questions is None else waiting
        metrics.status(self.migration, replace(standing, questions=questions), failed)

    def _tell_news(self, context: Context) -> None:
        """Tell people of whatever has happened, each once, and of questions whose time is nearly over."""
        from cutover.operators import events

        ti: Any = context.get("ti")

        def state_of(dag_id: str, dag_run_id: str) -> str | None:
            if ti is None:
                return None
            try:
                return ti.get_dagrun_state(dag_id, dag_run_id)  # type: ignore[no-any-return]
            except AirflowRuntimeError:
                return None  # not a run of this deployment

        try:
            events.look(self._connect(), load(self.migration), self.log.info, state_of=state_of, context=context)
        except CutoverError as error:
            if not error.code.startswith("connect."):
                raise
        except AirflowNotFoundException:
            return

    def _tell_late_steps(self) -> None:
        """Tell people of each planned step of an open maintenance window that is overdue, once."""
        from cutover import window

        try:
            late = window.late_steps(self._connect(), load(self.migration))
        except CutoverError as error:
            if not error.code.startswith("connect."):
                raise
            return
        except AirflowNotFoundException:
            return
        for run in dict.fromkeys(step.run for step in late):
            steps = [step for step in late if step.run == run]
            names = ", ".join(step.step for step in steps)
            lines = [f"{step.step} was planned to have ended by {step.planned_at:%H:%M:%S %Z}" for step in steps]
            self.log.warning("run %s: %s", run, "; ".join(lines))
            of = steps[0]
            message = notify.Message(
                f"{self.migration}: {names} of the maintenance window of run {run} {'are' if steps[1:] else 'is'} late",
                (*lines, "The sources refuse writes meanwhile; after the window's end nothing is swapped."),
                review_address(of.dag_id, of.dag_run_id),
                answer_address(of.dag_id, of.dag_run_id, "approve"),
                kind="late",
            )
            notices = notify.tell(message, self.log.info)
            with opened(self._connect()) as connection:
                notify.keep(connection, run, "outlook", notices)

    def _look(self) -> tuple[Run, Outlook]:
        from cutover import outlook

        migration = load(self.migration)
        try:
            with reading(migration) as connection:
                row = outlook.waiting(connection, migration)
                if row is not None:
                    return row, outlook.look(connection, migration, row)
        except CutoverError as error:
            # a deployment need not have every migration's database, and one that is down is for others to tell
            if not error.code.startswith("connect."):
                raise
            raise AirflowSkipException(str(error)) from None
        raise AirflowSkipException(f"nobody is asked about a launch of {self.migration} at this moment")

    def _connect(self) -> Any:
        return connect_to(load(self.migration).target, f"cutover outlook {self.migration}")

    def _message(self, row: Run, ahead: Outlook) -> notify.Message:
        """Codes only: it leaves the deployment, and the sentences may hold names of objects and rows."""
        lines = (ahead.verdict, *ahead.codes) if not ahead.unknown else ("It cannot be said whether anything does.",)
        return notify.Message(
            f"{self.migration}: what stands in the way of run {row.run} has changed",
            lines,
            review_address(row.dag_id, row.dag_run_id),
            answer_address(row.dag_id, row.dag_run_id, "approve"),
        )
