"""The maintenance window as Airflow tasks. Without a window asked for they say so and do nothing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, TaskGroup

from cutover.connect import Connect, opened
from cutover.errors import CutoverError
from cutover.migration import load
from cutover.operators.base import CutoverOperator, connect_to, in_words
from cutover.operators.extract import CopyOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

_NONE = "no maintenance window was asked for: the sources stay open"


def asked_for(context: Context) -> bool:
    """Whether this run has a maintenance window."""
    return bool(context["params"].get("maintenance_window"))


def opening(context: Context) -> datetime:
    """When the window is to open: the parameter ``window_opens``, else as soon as the sources have been copied."""
    given = context["params"].get("window_opens")
    if not given:
        return datetime.now(timezone.utc)
    moment = datetime.fromisoformat(str(given).replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


class WindowOperator(CutoverOperator):
    """Base of the tasks that are about the sources as their owner."""

    def as_owner(self, context: Context, database: str) -> Connect:
        """Opens a source as the role that may fence it. Raises ``window.no-fence-connection``."""
        fence = self.declaration.databases[database].fence
        if fence is None:
            raise CutoverError(
                "window.no-fence-connection",
                f"database {database}",
                "migration.yaml names no connection of a role that may fence it.",
                f"add `fence` to databases.{database}, or run without a maintenance window.",
            )
        return connect_to(fence, f"cutover {self.this_run(context)} {self.task_id}"[:63])


class WindowCheckOperator(WindowOperator):
    """Finds before anything else what would go wrong in the window, which is no time for it."""

    def run_phase(self, context: Context) -> None:
        """Raises ``window.*``: no rights, fenced by somebody else, or an approval that may outlast the window."""
        from cutover import window

        if not asked_for(context):
            self.report(_NONE)
            return
        minutes, hours = context["params"]["window_minutes"], context["params"]["approval_hours"]
        if hours * 60 > minutes:
            raise CutoverError(
                "window.approval-too-long",
                "parameter approval_hours",
                f"an approval that may take {hours} h would keep the sources fenced longer than {minutes} minutes.",
                f"set approval_hours to {minutes / 60:g} or less, and have the approver stand by.",
            )
        for database in self.declaration.databases:
            window.require_fenceable(
                self.as_owner(context, database), self.declaration.tables_of(database), self.this_run(context)
            )
            self.report(f"{database} can be fenced")


class FenceSensor(WindowOperator, BaseSensorOperator):
    """Waits for the window to open and then fences the sources, which waits for everyone who is writing to them.

    The sources have been copied by then, so that little is left to do in the window.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=10, timeout=7 * 86_400, **kwargs)

    def execute(self, context: Context) -> Any:
        """Poke until it is done, freeing the worker in between."""
        return BaseSensorOperator.execute(self, context)

    def poke(self, context: Context) -> bool:
        """Whether the sources are fenced. Safe to repeat. Raises ``window.not-drained``."""
        if not asked_for(context):
            self.report(_NONE)
            return True
        opens = opening(context)
        if datetime.now(timezone.utc) < opens:
            self.report(f"the window opens at {opens.isoformat(timespec='seconds')}")
            return False
        with in_words(self.log, self.about):
            self._fence(context, opens)
        return True

    def _fence(self, context: Context, opens: datetime) -> None:
        from cutover import window

        declared = self.declaration
        connect, this_run = self.connect(context), self.this_run(context)
        began = datetime.now(timezone.utc)
        if declared.window:
            window.plan(connect, this_run, opens, declared.window)
        for database in declared.databases:
            window.fence(
                self.as_owner(context, database),
                declared.tables_of(database),
                this_run,
                patience=timedelta(minutes=context["params"]["drain_minutes"]),
                log=self.report,
            )
        window.note(connect, this_run, "fence", began, "writers out, nobody ended")


class DeltaOperator(CopyOperator):
    """Copies what was written between the copy and the fence."""

    def run_phase(self, context: Context) -> list[dict[str, Any]]:
        """Returns the report of the copy; of no table when there is no window."""
        from cutover import window

        if not asked_for(context):
            self.report(_NONE)
            return []
        began = datetime.now(timezone.utc)
        reports = super().run_phase(context)
        changed = sum(report[kind] for report in reports for kind in ("new", "changed", "returned", "gone"))
        window.note(self.connect(context), self.this_run(context), "delta", began, f"{changed:,} rows")
        return reports


class LateWritesOperator(CutoverOperator):
    """Compares the sources with what the run froze: ``moment`` is ``review`` or ``verify``."""

    def __init__(self, *, moment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.moment = moment

    def run_phase(self, context: Context) -> list[dict[str, Any]]:
        """Returns rows written and removed since, by source."""
        from cutover import window

        found = []
        for database in self.declaration.databases:
            found += window.late_writes(
                connect_to(database, f"cutover {self.this_run(context)} {self.task_id}"[:63]),
                self.connect(context),
                self.declaration.tables_of(database),
                this_run=self.this_run(context),
                moment=self.moment,
                log=self.report,
            )
        return [vars(late) for late in found]


class ReleaseOperator(WindowOperator):
    """Ends the window. Unless this run has swapped, the sources that it has fenced take writes again.

    After a swap they stay fenced: what an application wrote to them from then on would be lost to the people who
    use the new one. With ``undone``, in a rollback, those are released that the run taken back has fenced.
    """

    def __init__(self, *, undone: bool = False, **kwargs: Any) -> None:
        kwargs.setdefault("retries", 5)
        super().__init__(**kwargs)
        self.undone = undone

    def run_phase(self, context: Context) -> list[str]:
        """Returns the timeline, a line each."""
        from cutover import ledger, window

        connect, this_run = self.connect(context), self.this_run(context)
        if not self.undone and not asked_for(context):
            self.report(_NONE)
            return []
        with opened(connect) as connection:
            entry = ledger.find(connection, this_run)
        of_run = entry.undoes if entry else this_run
        if of_run is None:
            self.report("the swap has happened: the sources stay fenced")
        else:
            began = datetime.now(timezone.utc)
            released = [name for name in self.declaration.databases if self._release(context, name, of_run)]
            window.note(connect, this_run, "release", began, f"{', '.join(released) or 'nothing'} released")
        lines = [step.line() for step in window.timeline(connect, this_run)]
        for line in lines:
            self.report(line)
        return lines

    def _release(self, context: Context, database: str, of_run: str) -> bool:
        from cutover import window

        if self.declaration.databases[database].fence is None:
            return False
        return window.release(self.as_owner(context, database), of_run, self.report)


def window_group(migration: str) -> TaskGroup:
    """``window``: wait for it, fence the sources, copy what was written since the first copy."""
    with TaskGroup("window", tooltip="Maintenance window: the sources fenced, the last writes copied") as group:
        fence = FenceSensor(task_id="fence", migration=migration).as_setup()  # type: ignore[no-untyped-call]
        for database in load(migration).databases:
            fence >> DeltaOperator(task_id=f"delta_{database}", migration=migration, database=database)
    return group
