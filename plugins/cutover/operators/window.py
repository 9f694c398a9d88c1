"""The maintenance window as Airflow tasks. Without a window asked for they say so and do nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, TaskGroup
from airflow.sdk.exceptions import AirflowNotFoundException

from cutover.errors import CutoverError
from cutover.migration import load
from cutover.migration.window import FARTHEST
from cutover.operators import notify
from cutover.operators.base import (
    CutoverOperator,
    asked_for,
    in_words,
    opened,
    require_known,
    run_of,
)
from cutover.operators.extract import CopyOperator
from cutover.operators.links import answer_address, review_address

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cutover.database.connect import Connect

_NONE = "no maintenance window was asked for, or it is a dry run: the sources stay open"
# Every so often at most it is tried again to open a source that cannot be reached, and it is tried for weeks: an
# application is shut out until it succeeds, or a person marks the task and opens the source by hand.
_RELEASE_RETRIES, _RELEASE_DELAY, _RELEASE_DELAY_AT_MOST = 5_000, timedelta(seconds=5), timedelta(minutes=5)
# How long the task waits for writers of a source, which had been open, when it is fenced again.
_DRAIN_AGAIN = timedelta(minutes=5)


def opening(context: Context) -> datetime | None:
    """When the window is to open by the parameter ``window_opens``; None: as soon as the sources have been copied."""
    given = context["params"].get("window_opens")
    if not given:
        return None
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
        return self.open(context, fence)

    def _owners(self, context: Context) -> tuple[dict[str, Connect], list[tuple[str, str]]]:
        """By name, what opens each source that a window fences; and those whose connection Airflow lacks, with why."""
        owners, lacking = {}, []
        for name, database in self.declaration.databases.items():
            if database.fence is not None:
                try:
                    owners[name] = self.as_owner(context, name)
                except AirflowNotFoundException as error:
                    lacking.append((name, _first_line(error)))
        return owners, lacking

    def _not_open(self, context: Context) -> list[tuple[str, str]]:
        """Each source of which it is not certain that it takes writes, by name and in words."""
        import psycopg

        from cutover import window

        owners, unknown = self._owners(context)
        reasons = [(name, f"{name} may still be fenced ({why})") for name, why in unknown]
        for name, owner in owners.items():
            try:
                with opened(owner) as connection:
                    by = window.fenced_by(connection)
            except (CutoverError, psycopg.Error) as error:
                reasons.append((name, f"{name} may still be fenced ({_first_line(error)})"))
            else:
                if by is not None:
                    reasons.append((name, f"{name} is {by}"))
        return reasons


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


class WindowCheckOperator(WindowOperator):
    """Finds before anything else what would go wrong in the window, which is no time for it."""

    def run_phase(self, context: Context) -> None:
        """Raises ``window.*``: no rights, fenced by somebody else, or bounds that cannot be kept."""
        from cutover import window

        if not asked_for(context):
            self.report(_NONE)
            return
        window.require_bounds(
            opening(context),
            timedelta(minutes=context["params"]["window_minutes"]),
            timedelta(hours=context["params"]["approval_hours"]),
            self.declaration.window,
            datetime.now(timezone.utc),
            drain=timedelta(minutes=context["params"]["drain_minutes"]) * len(self.declaration.databases),
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
        patience = (FARTHEST + timedelta(days=1)).total_seconds()
        super().__init__(mode="reschedule", poke_interval=10, timeout=patience, **kwargs)

    def execute(self, context: Context) -> Any:
        """Poke until it is done, freeing the worker in between."""
        return BaseSensorOperator.execute(self, context)

    def poke(self, context: Context) -> bool:
        """Whether the sources are fenced. Safe to repeat. Raises ``window.not-drained``."""
        from cutover.records import workspace

        if not asked_for(context):
            self.report(_NONE)
            return True
        opens, now = opening(context), datetime.now(timezone.utc)
        if opens is not None and now < opens:
            self.report(f"the window opens at {opens.isoformat(timespec='seconds')}")
            return False
        with in_words(self.log, self.about):
            require_known(context)
            with opened(self.connect(context)) as connection:
                taken = workspace.waits_for(connection, self.this_run(context))
            if taken is not None:
                # the sources stay open meanwhile
                self.report(str(taken))
                return False
            made_from = self.require(context, "fence")
            ends = now + timedelta(minutes=context["params"]["window_minutes"])
            self.record(context, "fence", made_from, marks=self._fence(context, opens or now), ends_at=ends.isoformat())
        return True

    def _fence(self, context: Context, opens: datetime) -> dict[str, Any]:
        """By source, the mark of its fence."""
        from cutover import window

        declared = self.declaration
        connect, this_run = self.connect(context), self.this_run(context)
        began = datetime.now(timezone.utc)
        if declared.window:
            window.plan(connect, this_run, opens, declared.window)
        marks = {
            database: window.fence(
                self.as_owner(context, database),
                declared.tables_of(database),
                this_run,
                patience=timedelta(minutes=context["params"]["drain_minutes"]),
                log=self.report,
            )
            for database in declared.databases
        }
        window.note(connect, this_run, "fence", began, "writers out, nobody ended")
        return marks


class DeltaOperator(CopyOperator):
    """Copies what was written between the copy and the fence.

    By content, whatever a row says of when it was modified: what this copy misses, nobody brings any more.
    """

    step = "delta"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"full": True})

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

        made_from = self.require(context, "late_writes") if self.moment == "review" else []
        writes = []
        for database in self.declaration.databases:
            writes += window.late_writes(
                self.open(context, database),
                self.connect(context),
                self.declaration.tables_of(database),
                this_run=self.this_run(context),
                moment=self.moment,
                log=self.report,
            )
        record = [vars(late) for late in writes]
        if self.moment == "review":
            self.record(context, "late_writes", made_from, tables=record)
        return record


class ReleaseOperator(WindowOperator):
    """Ends the window. Unless this run has swapped, the sources that it has fenced take writes again.

    After a swap they stay fenced: what an application wrote to them from then on would be lost to the people who
    use the new one. With ``undone``, in a rollback, the fence follows the state: those are released that the run taken
    back has fenced; and where a rollback is taken back, so that a launch is in force again that had fenced them, they
    are fenced again.

    Each source is released by itself, whatever becomes of the others, and the task tries again until none is left.
    """

    def __init__(self, *, undone: bool = False, **kwargs: Any) -> None:
        given: dict[str, Any] = {
            "retries": _RELEASE_RETRIES,
            "retry_delay": _RELEASE_DELAY,
            "retry_exponential_backoff": 2.0,
            "max_retry_delay": _RELEASE_DELAY_AT_MOST,
        } | kwargs
        super().__init__(**given)
        self.undone = undone

    def execute(self, context: Context) -> Any:
        """Open what is to be opened, whether or not the target can be asked about it."""
        import psycopg

        from cutover.records.ledger import run_key

        of, target = context["dag_run"], self.declaration.target
        try:
            run_of(context, target)
        except (CutoverError, psycopg.Error) as error:
            why = f"{target} cannot be asked: {_first_line(error)}"
            # what the engine calls the run wherever no older version has begun it
            context.setdefault("cutover_runs", {})[target] = run_key(of.dag_id, of.run_id)  # type: ignore[typeddict-item]
            with in_words(self.log, self.about):
                require_known(context)
                return self._release_without_target(context, why)
        return super().execute(context)

    def _release_without_target(self, context: Context, why: str) -> list[str]:
        """Open the sources of this run whose swap cannot have happened. Raises ``window.still-fenced``."""
        if not self.undone and not asked_for(context):
            self.report(_NONE)
            return []
        self.log.warning("%s", why)
        if self.undone:
            # only its ledger knows which launch was taken back, and whether it was
            shut = [(name, why) for name, _ in self._not_open(context)]
        else:
            released, shut = self._release_all(context, self.this_run(context), has_not_swapped=False)
            self.report(f"{', '.join(released) or 'nothing'} released; the timeline cannot be written")
        if shut:
            raise self._still_fenced(context, shut)
        return [why]

    def run_phase(self, context: Context) -> list[str]:
        """Returns the timeline, a line each. Raises ``window.still-fenced``, naming what is."""
        from cutover import window
        from cutover.records import ledger

        connect, this_run = self.connect(context), self.this_run(context)
        if not self.undone and not asked_for(context):
            self.report(_NONE)
            return []
        with opened(connect) as connection:
            entry = ledger.find(connection, this_run)
            again = self.undone and window.is_fenced_again(connection, this_run)
        if again:
            return self._fence_again(context)
        of_run = entry.undoes if entry else this_run
        if of_run is None:
            self.report("the swap has happened: the sources stay fenced")
        else:
            began = datetime.now(timezone.utc)
            released, shut = self._release_all(context, of_run)
            said = f"{', '.join(released) or 'nothing'} released"
            said += "".join(f"; {window.STILL_FENCED} {name}: {why}" for name, why in shut)
            window.note(connect, this_run, "release", began, said)
            if shut:
                raise self._still_fenced(context, shut)
            if not self._is_first_try(context):
                self._tell(context, "the sources take writes again", said)
        lines = [step.line() for step in window.timeline(connect, this_run)]
        for line in lines:
            self.report(line)
        return lines

    def _fence_again(self, context: Context) -> list[str]:
        """Fence the sources for a launch that is in force again. Raises ``window.not-drained``."""
        from cutover import window

        began, declared, this_run = datetime.now(timezone.utc), self.declaration, self.this_run(context)
        for name, database in declared.databases.items():
            if database.fence is not None:
                tables = declared.tables_of(name)
                connect = self.as_owner(context, name)
                window.fence(connect, tables, this_run, patience=_DRAIN_AGAIN, log=self.report)
        said = "fenced again: what was written to the sources meanwhile is not in the unified database yet"
        window.note(self.connect(context), this_run, "release", began, said)
        self.log.warning("%s; launch again: it compares the sources by content, and brings that", said)
        return [said]

    def _release_all(
        self, context: Context, of_run: str, *, has_not_swapped: bool = True
    ) -> tuple[list[str], list[tuple[str, str]]]:
        """The sources that were released, and those that may be fenced still, with the reason.

        All at once: one that does not answer, or whose readers are in the way, keeps no other shut.
        """
        import psycopg

        from cutover import window

        owners, shut = self._owners(context)
        with ThreadPoolExecutor(max(len(owners), 1)) as pool:
            asked = {
                name: pool.submit(window.release, owner, of_run, self.report, has_not_swapped=has_not_swapped)
                for name, owner in owners.items()
            }
        released = []
        for name, answer in asked.items():
            try:
                if answer.result():
                    released.append(name)
            except (CutoverError, psycopg.Error) as error:
                self.log.warning("%s: %s", name, error)
                shut.append((name, _first_line(error)))
        return released, shut

    def _still_fenced(self, context: Context, shut: list[tuple[str, str]]) -> CutoverError:
        """The error for sources that could not be opened; people are told at the first try of many."""
        names = ", ".join(name for name, _ in shut)
        if self._is_first_try(context):
            lines = [f"{name}: {why}" for name, why in shut]
            self._tell(context, f"{names} may still refuse writes", *lines, "It is tried again until it is open.")
        return CutoverError(
            "window.still-fenced",
            names,
            f"{'; '.join(f'{name}: {why}' for name, why in shut)}. Its application may be refused every write.",
            "it is tried again by itself, at least every five minutes; or run `drop schema cutover_fence cascade;` "
            "there by hand.",
        )

    def _is_first_try(self, context: Context) -> bool:
        """Whether nobody has been told yet: after a clear Airflow counts on, and it is the first try again."""
        ti = context["ti"]
        return int(ti.try_number) <= int(getattr(ti, "max_tries", 0)) - (self.retries or 0) + 1

    def _tell(self, context: Context, subject: str, *lines: str) -> None:
        of = context["dag_run"]
        links = (review_address(of.dag_id, of.run_id), answer_address(of.dag_id, of.run_id, self.task_id))
        notify.tell(notify.Message(f"{self.migration}: {subject}", lines, *links, kind="window"), self.report)


class OutcomeOperator(WindowOperator):
    """Fails the run when its window has ended without a swap: Airflow takes a teardown for the end of a good run."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(retries=0, **kwargs)

    def run_phase(self, context: Context) -> None:
        """Raises ``window.nothing-swapped``, which says of each source whether it is open."""
        from cutover.records import ledger

        if not asked_for(context):
            return
        with opened(self.connect(context)) as connection:
            entry = ledger.find(connection, self.this_run(context))
        if entry is None:
            shut = [said for _, said in self._not_open(context)]
            raise CutoverError(
                "window.nothing-swapped",
                f"run {self.this_run(context)}",
                f"its maintenance window has ended, {' and '.join(shut) or 'the sources are open'}, and nothing has "
                "gone live.",
                f"{'clear its task release, which opens them; ' if shut else ''}see which task of it failed, or who "
                "ended it; then trigger a new run.",
            )
        self.report(f"the swap of this window is entry {entry.entry} of the ledger")


@contextmanager
def hold_fences(operator: CutoverOperator, context: Context, *, swaps: bool = True) -> Iterator[Callable[[], None]]:
    """Keeps the fences of this run's window as they are while it swaps; yields a function that looks at them again.

    Unless it ``swaps`` but only rehearses that, nobody is told that the swap has begun.

    Does nothing for a run without a window. Both raise ``window.over`` and ``window.fence-broken``.
    """
    from cutover import window
    from cutover.records import phase

    if not asked_for(context):
        yield lambda: None
        return
    this_run = operator.this_run(context)
    with opened(operator.connect(context)) as connection:
        fenced = phase.newest(connection, this_run)["fence"].result
    ends_at = datetime.fromisoformat(fenced["ends_at"])
    window.require_open_for(ends_at, datetime.now(timezone.utc))
    sources = {
        name: (
            operator.open(context, str(operator.declaration.databases[name].fence)),
            operator.declaration.tables_of(name),
            mark,
        )
        for name, mark in fenced["marks"].items()
    }
    for owner, _, _ in sources.values() if swaps else ():
        window.note_swap(owner, this_run)
    with window.standing(sources, this_run) as require_standing:

        def require() -> None:
            # the attempts of a swap may take minutes
            window.require_open_for(ends_at, datetime.now(timezone.utc))
            require_standing()

        yield require


def window_group(migration: str) -> TaskGroup:
    """``window``: wait for it, fence the sources, copy what was written since the first copy."""
    with TaskGroup("window", tooltip="Maintenance window: the sources fenced, the last writes copied") as group:
        fence = FenceSensor(task_id="fence", migration=migration).as_setup()  # type: ignore[no-untyped-call]
        for database in load(migration).databases:
            fence >> DeltaOperator(task_id=f"delta_{database}", migration=migration, database=database)
    return group
