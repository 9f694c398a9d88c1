"""The maintenance window: sources fenced off from writers, a timeline, and what was written when there was no fence.

A fence is a trigger on every migrated table of a source, and on whatever inherits from one, which refuses each write
and says why. It holds for sessions that are connected already and ends none of them. Creating it waits for whoever is
writing at that moment, so a source that is fenced is drained. Opening it waits for nobody: the function that refuses
becomes one that does not, and the triggers go when no reader is in the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.blockers import blockers
from cutover.database.connect import Connect, Log, opened
from cutover.database.patience import GAVE_UP
from cutover.errors import CutoverError
from cutover.extract.tables import count_differences
from cutover.migration import Migration
from cutover.migration.tables import Table
from cutover.migration.window import FARTHEST, Plan
from cutover.records import phase

# How long one attempt may hold up writers of a source while it waits for the others.
_LOCK_TIMEOUT = "1s"
_PAUSE_S = 0.5
# A writer that goes on for longer is waited for without a lock; one that does not is waited for in the queue.
_MOMENT_S = 0.2
# So often the triggers of a fence that is open already are tried to be taken away. They refuse nothing: what is in
# the way (a dump that reads the tables) may go on for hours, and the next fence or release finds them.
_TIDY_TRIES = 3
# How a source that could not be opened is named in the timeline.
STILL_FENCED = "may still be fenced:"
# What stands at a fence from the moment on in which its run's swap may happen.
_SWAP_BEGUN = "its swap has begun"
# An opening may lie so far back: a run that was triggered for now is not refused for the time its form was open.
_GRACE = timedelta(minutes=10)

# table → which transactions made its fence (window/standing.sql); what a run has noted when it had fenced a source
Mark = dict[str, str]


@dataclass(frozen=True)
class Step:
    """One line of a timeline: what was planned for when, and when it was. None where it was not planned or not done."""

    step: str
    planned_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    note: str | None

    def line(self) -> str:
        """For a log: planned beside actual, in UTC."""
        planned, ended = (
            f"{moment.astimezone(timezone.utc):%H:%M:%S}" if moment else "   -    "
            for moment in (self.planned_at, self.ended_at)
        )
        late = ""
        if self.planned_at and self.ended_at:
            seconds = (self.ended_at - self.planned_at).total_seconds()
            late = f"  {abs(seconds):,.0f} s {'late' if seconds > 0 else 'early'}"
        return f"{self.step:<10} planned {planned}  actual {ended}{late}{f'  {self.note}' if self.note else ''}"


@dataclass(frozen=True)
class LateStep:
    """A planned step of an open window that should have ended."""

    run: str
    dag_id: str
    dag_run_id: str
    step: str
    planned_at: datetime


@dataclass(frozen=True)
class LateWrites:
    """Rows of one source that differ by now from those a run is made from."""

    source: str
    written: int
    removed: int


def require_fenceable(connect: Connect, tables: Sequence[Table], this_run: str) -> None:
    """Raise CutoverError ``window.cannot-fence`` or ``window.fenced-by-another``, before anything is copied."""
    with opened(connect) as connection:
        lacking = connection.execute(files.statement("window/rights.sql"), _members(connection, tables)).fetchall()
        by = fenced_by(connection)
        if lacking:
            raise CutoverError(
                "window.cannot-fence",
                f"database {connection.info.dbname}, role {connection.info.user}",
                f"it may not put the fence on {', '.join(row[0] for row in lacking)}.",
                " ".join(dict.fromkeys(row[1] for row in lacking)),
            )
        if by is not None and not _is_of(by, this_run):
            raise CutoverError(
                "window.fenced-by-another",
                f"database {connection.info.dbname}",
                f"it is fenced already: {by}.",
                "if that run has swapped, nobody writes here any more: start this one without a maintenance window. "
                "If it has failed, clear its task release, or drop schema cutover_fence cascade; in this database.",
            )


def fenced_by(connection: psycopg.Connection) -> str | None:
    """Who has fenced the database, in words; None when nobody has."""
    row = connection.execute(files.statement("window/state.sql")).fetchone()
    return None if row is None else str(row[0])


def require_bounds(
    opens_at: datetime | None,
    length: timedelta,
    approval: timedelta,
    planned: Plan | None,
    now: datetime,
    *,
    drain: timedelta,
) -> None:
    """Raise CutoverError unless the window can be kept to, before anything is copied.

    ``opens_at`` is None for a window that opens as soon as the sources are copied; ``drain`` is the wait for the
    writers of all sources, one after the other. Raises ``window.bad-opening``, ``window.approval-too-long``,
    ``window.drain-too-long``, ``window.plan-too-long``.
    """
    if opens_at is not None and not now - _GRACE <= opens_at <= now + FARTHEST:
        raise CutoverError(
            "window.bad-opening",
            "parameter window_opens",
            f"{opens_at:%Y-%m-%d %H:%M %Z} is {'past' if opens_at < now else f'more than {FARTHEST.days} days ahead'}.",
            "leave it empty for a window that opens as soon as the sources are copied, or name a time to come.",
        )
    if approval > length:
        raise CutoverError(
            "window.approval-too-long",
            "parameter approval_hours",
            f"an approval that may take {approval} would keep the sources fenced longer than {length}.",
            f"set approval_hours to {length / timedelta(hours=1):g} or less, and have the approver stand by.",
        )
    if drain >= length:
        raise CutoverError(
            "window.drain-too-long",
            "parameter drain_minutes",
            f"waiting for the writers of all sources may take {drain}, and the window is over after {length}.",
            "set drain_minutes to less, or window_minutes to more.",
        )
    last = max(planned.steps.items(), key=lambda step: step[1]) if planned else None
    if last is not None and last[1] > length:
        raise CutoverError(
            "window.plan-too-long",
            "parameter window_minutes",
            f"{last[0]} is planned {last[1]} after the opening, and the window is over after {length}.",
            f"set window_minutes to {last[1] / timedelta(minutes=1):g} or more, or plan shorter steps in "
            "migration.yaml (window.steps).",
        )


def end_of(connection: psycopg.Connection, this_run: str) -> datetime | None:
    """When the window of a run ends; None if it has fenced nothing."""
    fenced = phase.newest(connection, this_run).get("fence")
    return None if fenced is None else datetime.fromisoformat(fenced.result["ends_at"])


def require_open_for(ends_at: datetime, now: datetime) -> None:
    """Raise CutoverError ``window.over`` when the window has ended: nothing goes live after it."""
    if now > ends_at:
        raise CutoverError(
            "window.over",
            "the maintenance window",
            f"it ended at {ends_at:%H:%M:%S %Z}, and it is {now:%H:%M:%S %Z}.",
            "the task release opens the sources now; plan a longer window, and trigger a new run.",
        )


def fence(connect: Connect, tables: Sequence[Table], this_run: str, *, patience: timedelta, log: Log) -> Mark:
    """Keep writers out of the tables from here on. Waits for those who are writing, at most ``patience``.

    Returns the mark by which ``standing`` knows this fence again. Safe to repeat: a fence of this run that stands
    stays as it is. Raises CutoverError ``window.not-drained``, naming who was in the way, with nothing fenced.
    """
    deadline = time.monotonic() + patience.total_seconds()
    with opened(connect, autocommit=True) as connection:
        while True:
            by, mark = fenced_by(connection), _mark_of(connection, tables)
            if by is not None and _is_of(by, this_run) and None not in mark.values():
                log(f"{connection.info.dbname}: {by}")
                return {table: str(made) for table, made in mark.items()}
            why = "a transaction that has written to it does not end"
            if not _stays_written(connection, tables):
                try:
                    _raise_fence(connection, tables, this_run)
                except GAVE_UP as error:
                    why = str(error).splitlines()[0]
                else:
                    log(f"{connection.info.dbname}: {len(tables)} tables refuse writes, and nobody is writing to them")
                    continue
            for line in _in_the_way(connection, tables):
                log(f"{connection.info.dbname}: waiting for {line}")
            if time.monotonic() >= deadline:
                raise CutoverError(
                    "window.not-drained",
                    f"database {connection.info.dbname}",
                    f"somebody kept writing for {patience}: {'; '.join(_in_the_way(connection, tables)) or why}.",
                    "stop the application's workers, then start a new run; nothing was fenced here.",
                )
            time.sleep(_PAUSE_S)


def _stays_written(connection: psycopg.Connection, tables: Sequence[Table]) -> bool:
    """Whether a transaction that writes to a table goes on for longer than a moment.

    The fence is not tried then: what it has locked already would be closed to everybody until that one ends.
    """
    members = _members(connection, tables)

    def writers() -> set[tuple[str]]:
        return set(connection.execute(files.statement("window/writers.sql"), members).fetchall())

    before = writers()
    if not before:
        return False
    time.sleep(_MOMENT_S)
    return bool(before & writers())


def _raise_fence(connection: psycopg.Connection, tables: Sequence[Table], this_run: str) -> None:
    with connection.transaction():
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
        connection.execute(files.text("window/fence.sql").encode())
        said = f"{_mark(this_run)} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        connection.execute(sql.SQL("comment on schema cutover_fence is {}").format(sql.Literal(said)))
        for name in _members(connection, tables)["tables"]:
            # quoted by PostgreSQL itself, or by us
            connection.execute(files.statement("window/fence_table.sql", table=sql.SQL(name)))


def _members(connection: psycopg.Connection, tables: Sequence[Table]) -> dict[str, list[str]]:
    """The declared tables and whatever holds rows of theirs, quoted and with their schema: parameters of a query."""
    names = [table.identifier.as_string() for table in tables]
    rows = connection.execute(files.statement("window/members.sql"), {"tables": names}).fetchall()
    return {"tables": names + [row[0] for row in rows]}


def _mark_of(connection: psycopg.Connection, tables: Sequence[Table]) -> dict[str, str | None]:
    return dict(connection.execute(files.statement("window/standing.sql"), _members(connection, tables)).fetchall())


@contextmanager
def standing(
    sources: Mapping[str, tuple[Connect, Sequence[Table], Mark]], this_run: str
) -> Iterator[Callable[[], None]]:
    """Keep the fences as they are for as long as this lasts; ``sources`` are by name.

    A lock that any writer would take keeps whoever wants to drop, disable or re-make a trigger waiting, and disturbs
    nobody else. Yields a function that looks again. Both raise CutoverError ``window.fence-broken`` unless every fence
    is the one that was put up, on every table, without a moment in between in which it was gone.
    """
    with ExitStack() as stack:
        open_sources = {}
        for name, (connect, tables, mark) in sources.items():
            connection = stack.enter_context(opened(connect))
            connection.execute("set local idle_in_transaction_session_timeout = 0")
            connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
            open_sources[name] = (connection, tables, mark)

        def require() -> None:
            for name, (connection, tables, mark) in open_sources.items():
                try:
                    by, current = fenced_by(connection), _mark_of(connection, tables)
                except psycopg.OperationalError as error:
                    raise _broken(name, f"it cannot be asked any more ({str(error).splitlines()[0]}).") from error
                if by is None or not _is_of(by, this_run):
                    raise _broken(name, f"it is {by}." if by else "it stands open.")
                bare = [table for table, made in current.items() if made is None]
                if bare:
                    raise _broken(name, f"{', '.join(bare)} can be written to.")
                other = sorted(table for table in mark.keys() | current.keys() if mark.get(table) != current.get(table))
                if other:
                    raise _broken(
                        name, f"on {', '.join(other)} it is not the one that was put up, or the table is not."
                    )

        # a table that is another by now, or is gone, is told before it is locked
        require()
        for connection, tables, _ in open_sources.values():
            for table in tables:
                connection.execute(files.statement("window/keep_fence.sql", table=table.identifier))
        require()
        yield require


def _broken(database: str, why: str) -> CutoverError:
    return CutoverError(
        "window.fence-broken",
        f"the fence of {database}",
        f"{why} What was written there since the last copy would be lost.",
        "nothing was swapped, and the task release opens the sources; trigger a new run, which copies them again.",
    )


def _in_the_way(connection: psycopg.Connection, tables: Sequence[Table]) -> list[str]:
    return blockers(connection, catalog.oids(connection, (table.identifier for table in tables)))


def _mark(run: str) -> str:
    return f"fenced by run {run} at"


def _is_of(fenced: str, run: str) -> bool:
    return fenced.startswith(_mark(run))


def note_swap(connect: Connect, this_run: str) -> None:
    """Write down at the fence that the swap of its run begins: whoever cannot ask the target sees it here."""
    with opened(connect, autocommit=True) as connection:
        by = fenced_by(connection)
        if by is not None and _is_of(by, this_run) and _SWAP_BEGUN not in by:
            said = f"{by}; {_SWAP_BEGUN}"
            connection.execute(sql.SQL("comment on schema cutover_fence is {}").format(sql.Literal(said)))


def release(connect: Connect, of_run: str, log: Log, *, has_not_swapped: bool = True) -> bool:
    """Let writers in again, if it is this run that keeps them out. Returns whether it was. Safe to repeat.

    Waits for nobody: who reads the tables keeps the triggers there, which refuse nothing any more. Where the target
    could not say whether the run has swapped (``has_not_swapped`` is false), the fence has to say that its swap never
    began; raises CutoverError ``window.may-have-swapped`` where it did.
    """
    with opened(connect, autocommit=True) as connection:
        by = fenced_by(connection)
        if by is not None and not _is_of(by, of_run):
            log(f"{connection.info.dbname}: stays {by}, which is not run {of_run}")
            return False
        if by is not None and not has_not_swapped and _SWAP_BEGUN in by:
            raise CutoverError(
                "window.may-have-swapped",
                f"database {connection.info.dbname}",
                f"the swap of run {of_run} has begun, and the target cannot be asked whether it went through: what is "
                "written here after a swap is lost to those who use the new tables.",
                "let the target be reachable again; or, where it is certain that nothing was swapped, drop schema "
                "cutover_fence cascade; in this database.",
            )
        if by is not None:
            said = f"opened by run {of_run} at {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
            with connection.transaction():
                connection.execute(files.text("window/open.sql").encode())
                connection.execute(sql.SQL("comment on schema cutover_fence is {}").format(sql.Literal(said)))
            log(f"{connection.info.dbname}: released ({by})")
        _tidy(connection, log)
        return by is not None


def _tidy(connection: psycopg.Connection, log: Log) -> None:
    """Take away the triggers of a fence that is open, unless somebody is in the way."""
    for _ in range(_TIDY_TRIES):
        try:
            with connection.transaction():
                connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
                connection.execute(files.text("window/release.sql").encode())
        except GAVE_UP:
            time.sleep(_PAUSE_S)
        else:
            return
    log(
        f"{connection.info.dbname}: somebody reads the tables, so the triggers of the fence are still there. They "
        "refuse nothing, and go with `drop schema cutover_fence cascade` when you like"
    )


def plan(connect: Connect, this_run: str, opens_at: datetime, planned: Plan) -> None:
    """Write down when each step is planned, for a window that opens at ``opens_at``."""
    with opened(connect) as connection:
        for position, (step, offset) in enumerate(planned.steps.items()):
            connection.execute(
                files.statement("window/plan.sql"),
                {"run": this_run, "step": step, "position": position, "planned_at": opens_at + offset},
            )


def is_fenced_again(connection: psycopg.Connection, this_run: str) -> bool:
    """Whether this run has put a launch in force again, by taking its rollback back, that had fenced the sources."""
    row = connection.execute(files.statement("window/fenced_again.sql"), {"run": this_run}).fetchone()
    return row == (True,)


def note(connect: Connect, this_run: str, step: str, began: datetime, said: str | None = None) -> None:
    """Write down that a step, begun at ``began``, has ended now."""
    with opened(connect) as connection:
        connection.execute(
            files.statement("window/note.sql"),
            {
                "run": this_run,
                "step": step,
                "started_at": began,
                "ended_at": datetime.now(timezone.utc),
                "note": said,
            },
        )


def timeline(connect: Connect, this_run: str) -> list[Step]:
    """The window of a run, step by step; empty when it had none. Fills in what other tasks have written down."""
    with opened(connect) as connection:
        connection.execute(files.statement("window/fill_in.sql"), {"run": this_run})
        rows = connection.execute(files.statement("window/timeline.sql"), {"run": this_run}).fetchall()
    return [Step(*row) for row in rows]


def late_steps(connect: Connect, migration: Migration) -> list[LateStep]:
    """The planned steps of this migration's open windows that are overdue and have not been returned before."""
    with opened(connect) as connection:
        if not _has_alarm(connection):
            return []
        asked = {"migration": migration.migration}
        for (run,) in connection.execute(files.statement("window/under_way.sql"), asked).fetchall():
            connection.execute(files.statement("window/fill_in.sql"), {"run": run})
        rows = connection.execute(files.statement("window/tell_late.sql"), asked).fetchall()
    return sorted((LateStep(*row) for row in rows), key=lambda late: late.planned_at)


def _has_alarm(connection: psycopg.Connection) -> bool:
    """Whether this version has been installed: an earlier one has no place for what was told."""
    return connection.execute(files.statement("window/has_alarm.sql")).fetchone() == (True,)


def late_writes(
    source: Connect, target: Connect, tables: Sequence[Table], *, this_run: str, moment: str, log: Log
) -> list[LateWrites]:
    """Compare the tables of one source with what the run froze; keep and return what differs by now.

    ``moment`` is ``review`` or ``verify``. What is found here is not part of the run: a fence prevents it, a
    repeat of the launch, which compares by content where something was found, brings it.
    """
    writes = [LateWrites(*counted) for counted in count_differences(tables, source, target, schema="input")]
    with opened(target) as connection:
        for late in writes:
            connection.execute(
                files.statement("window/late_write.sql"), {"run": this_run, "moment": moment, **vars(late)}
            )
            if late.written or late.removed:
                log(f"{late.source}: {late.written:,} rows written and {late.removed:,} removed since the copy")
    if not any(late.written or late.removed for late in writes):
        log("no row was written in the sources since the copy")
    return writes
