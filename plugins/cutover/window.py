"""The maintenance window: sources fenced off from writers, a timeline, and what was written when there was no fence.

A fence is a trigger on every migrated table of a source which refuses each write and says why. It holds for sessions
that are connected already, ends none of them, and is taken away by one statement. Creating it waits for whoever is
writing at that moment, so a source that is fenced is drained.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import psycopg
from psycopg import sql
from pydantic import Field

from cutover import catalog
from cutover import sql as files
from cutover.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.extract.source import Declared, Name, Span
from cutover.extract.tables import Table, count_differences
from cutover.swap.locks import GAVE_UP

# How long one attempt may hold up writers of a source while it waits for the others.
_LOCK_TIMEOUT = "1s"
_PAUSE_S = 0.5


class Plan(Declared):
    """When each step of a window is planned, counted from its opening."""

    steps: dict[Name, Span] = Field(min_length=1)


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
class LateWrites:
    """Rows of one source that differ by now from those a run is made from."""

    source: str
    written: int
    removed: int


def require_fenceable(connect: Connect, tables: Sequence[Table], this_run: str) -> None:
    """Raise CutoverError ``window.cannot-fence`` or ``window.fenced-by-another``, before anything is copied."""
    with opened(connect) as connection:
        names = [table.identifier.as_string() for table in tables]
        lacking = connection.execute(files.statement("window/rights.sql"), {"tables": names}).fetchall()
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


def fence(connect: Connect, tables: Sequence[Table], this_run: str, *, patience: timedelta, log: Log) -> None:
    """Keep writers out of the tables from here on. Waits for those who are writing, at most ``patience``.

    Safe to repeat. Raises CutoverError ``window.not-drained``, naming who was in the way, with nothing fenced.
    """
    deadline = time.monotonic() + patience.total_seconds()
    with opened(connect, autocommit=True) as connection:
        while True:
            try:
                _raise_fence(connection, tables, this_run)
            except GAVE_UP as error:
                for line in _in_the_way(connection, tables):
                    log(f"{connection.info.dbname}: waiting for {line}")
                if time.monotonic() >= deadline:
                    raise CutoverError(
                        "window.not-drained",
                        f"database {connection.info.dbname}",
                        f"somebody kept writing for {patience}: {'; '.join(_in_the_way(connection, tables)) or error}.",
                        "stop the application's workers, then start a new run; nothing was fenced here.",
                    ) from error
                time.sleep(_PAUSE_S)
            else:
                log(f"{connection.info.dbname}: {len(tables)} tables refuse writes, and nobody is writing to them")
                return


def _raise_fence(connection: psycopg.Connection, tables: Sequence[Table], this_run: str) -> None:
    with connection.transaction():
        connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
        connection.execute(files.text("window/fence.sql").encode())
        said = f"{_mark(this_run)} {datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
        connection.execute(sql.SQL("comment on schema cutover_fence is {}").format(sql.Literal(said)))
        for table in tables:
            connection.execute(files.statement("window/fence_table.sql", table=table.identifier))


def _in_the_way(connection: psycopg.Connection, tables: Sequence[Table]) -> list[str]:
    names = [table.identifier.as_string() for table in tables]
    oids = connection.execute("select to_regclass(n)::oid from unnest(%s::text[]) as n", (names,)).fetchall()
    return [
        f"pid {row['pid']} user {row['user']} ({row['state']}, open for {row['age']}): {row['query']}"
        for row in catalog.rows(connection, "blockers", relations=[row[0] for row in oids])
    ]


def _mark(run: str) -> str:
    return f"fenced by run {run} at"


def _is_of(fenced: str, run: str) -> bool:
    return fenced.startswith(_mark(run))


def release(connect: Connect, of_run: str, log: Log) -> bool:
    """Let writers in again, if it is this run that keeps them out. Returns whether it was. Safe to repeat."""
    with opened(connect, autocommit=True) as connection:
        by = fenced_by(connection)
        if by is None:
            return False
        if not _is_of(by, of_run):
            log(f"{connection.info.dbname}: stays {by}, which is not run {of_run}")
            return False
        while True:
            try:
                with connection.transaction():
                    connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
                    connection.execute(files.text("window/release.sql").encode())
            except GAVE_UP as error:
                # readers hold it up, and they end; giving up here would leave an application without its database
                log(f"{connection.info.dbname}: {str(error).splitlines()[0]}; trying again")
                time.sleep(_PAUSE_S)
            else:
                log(f"{connection.info.dbname}: released ({by})")
                return True


def plan(connect: Connect, this_run: str, opens_at: datetime, planned: Plan) -> None:
    """Write down when each step is planned, for a window that opens at ``opens_at``."""
    with opened(connect) as connection:
        for position, (step, offset) in enumerate(planned.steps.items()):
            connection.execute(
                files.statement("window/plan.sql"),
                {"run": this_run, "step": step, "position": position, "planned_at": opens_at + offset},
            )


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


def late_writes(
    source: Connect, target: Connect, tables: Sequence[Table], *, this_run: str, moment: str, log: Log
) -> list[LateWrites]:
    """Compare the tables of one source with what the run froze; keep and return what differs by now.

    ``moment`` is ``review`` or ``verify``. What is found here is not part of the run: a fence prevents it, a
    repeat of the launch brings it.
    """
    found = [LateWrites(*counted) for counted in count_differences(tables, source, target, schema="input")]
    with opened(target) as connection:
        for late in found:
            connection.execute(
                files.statement("window/late_write.sql"), {"run": this_run, "moment": moment, **vars(late)}
            )
            if late.written or late.removed:
                log(f"{late.source}: {late.written:,} rows written and {late.removed:,} removed since the copy")
    if not any(late.written or late.removed for late in found):
        log("no row was written in the sources since the copy")
    return found
