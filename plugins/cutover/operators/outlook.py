"""Looks, while a person is asked about a launch, whether anything has come into its way, and tells when it has.

And whether a step of an open maintenance window is late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from cutover.database.connect import opened
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.operators import notify
from cutover.operators.base import connect_to, in_words, reading
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

    def execute(self, context: Context) -> str:  # noqa: ARG002
        """Returns the outlook in one sentence. Raises ``database.*`` errors in words."""
        from cutover import outlook

        with in_words(self.log, f"the outlook of {self.migration}"):
            self._tell_late_steps()
            row, ahead = self._look()
            with opened(self._connect()) as connection:
                worth_telling = outlook.keep(connection, row.run, ahead)
            self.log.info("run %s: %s", row.run, ahead.told)
            for reason in ahead.reasons:
                self.log.warning("%s", reason)
            if worth_telling:
                notices = notify.tell(self._message(row, ahead), self.log.info)
                with opened(self._connect()) as connection:
                    notify.keep(connection, row.run, "outlook", notices)
        return ahead.told

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
        lines = (ahead.told, *ahead.codes) if not ahead.unknown else ("It cannot be said whether anything does.",)
        return notify.Message(
            f"{self.migration}: what stands in the way of run {row.run} has changed",
            lines,
            review_address(row.dag_id, row.dag_run_id),
            answer_address(row.dag_id, row.dag_run_id, "approve"),
        )
