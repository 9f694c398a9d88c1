"""The pace of what is built beside production: replicas are waited for, and builds say how far they are.

What a launch stages and indexes is WAL, which replicas have to replay beside the application's. Before each statement
that writes much, where its session has no transaction open, ``Pace.wait`` looks how far they are behind, and waits.
What cannot be read is taken for too far: when a wait has lasted as long as it may, the task fails.
"""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import pq, sql
from psycopg.rows import dict_row

from cutover.database import answer
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.database.words import said
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.migration.pace import PaceLimit
from cutover.records import phase, progress

# Seconds between two looks while something is waited for or built; what is quicker shows no progress.
PAUSE_S = 1.0
# Seconds between two lines in the log about one thing.
_SAID_EVERY_S = 10.0
# Milliseconds for a look at the server's figures, and for a query of the operator's.
LOOK_MS = 5_000
# Seconds by which the operator's query is judged where migration.yaml says no other: whoever writes one wants a bound.
_QUERIED_LAG_S = 60.0
# kB: more memory than this hardly makes a sort quicker, and the application's cache has to do without it.
_MOST_MEMORY_KB = 1_048_576
# The part of the server's shared buffers that one build may take: these are a quarter of the machine where it is set up
# as recommended, and a launch builds one index at a time.
_PART_OF_BUFFERS = 4
_GONE = "it has disappeared while it was waited for"


@dataclass(frozen=True)
class Lag:
    """How far one replica is behind: ``bytes`` not replayed, ``seconds``; None where that is not known.

    ``unknown`` says why nothing is known at this moment. ``bound_s``: more seconds than this are too many.
    """

    replica: str
    bytes: int | None = None
    seconds: float | None = None
    bound_s: float | None = None
    unknown: str | None = None

    def reason(self, limit: PaceLimit) -> _Reason | None:
        """Why it is waited for; None if it is within its bounds."""
        most = limit.lag_megabytes
        if self.unknown is not None:
            return _Reason("pace.not-told", self.unknown)
        if most is not None and self.bytes is not None and self.bytes > most * 1_000_000:
            return _Reason("pace.behind", f"{self.bytes / 1e6:,.0f} MB behind, bound {most:,} MB")
        if self.bound_s is not None and self.seconds is not None and self.seconds > self.bound_s:
            return _Reason("pace.behind", f"{self.seconds:,.0f} s behind, bound {self.bound_s:,.0f} s")
        return None


@dataclass(frozen=True)
class _Reason:
    """Why a replica is waited for; ``code`` is that of the error if it stays so."""

    code: str
    words: str


class _Watch(ABC):
    """What a second session tells of a statement that another one runs, time and again."""

    def __init__(self, what: str, values: dict[str, Any]) -> None:
        self.what, self.values = what, values
        # where it stood when a part of it was first looked at: for its rate
        self._first: dict[str, tuple[float, int]] = {}

    @abstractmethod
    def line(self, connection: psycopg.Connection) -> str | None:
        """How far it is now; None if that cannot be seen."""

    def _share(self, part: str, done: int, total: int, unit: str, size: float = 1) -> str:
        """``done`` of ``total``, how fast, and how long that will take at this rate."""
        now = time.monotonic()
        began, before = self._first.setdefault(part, (now, done))
        rate = (done - before) / (now - began) if now > began else 0.0
        of = f" of {total / size:,.0f}" if total >= done and total else ""
        line = f"{done / size:,.0f}{of} {unit}"
        if rate > 0:
            line += f", {rate / size:,.0f} {unit} a second"
            if of:
                line += f", about {(total - done) / rate:,.0f} s left"
        return line


class _Build(_Watch):
    """The build of an index."""

    def line(self, connection: psycopg.Connection) -> str | None:
        with connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(files.statement("pace/builds.sql"), self.values).fetchone()
        if row is None or row["phase"] is None:
            return None
        line = f"builds {self.what}, {row['phase']}"
        if row["tuples_total"]:
            return f"{line}: {self._share(row['phase'], row['tuples_done'], row['tuples_total'], 'rows')}"
        if row["blocks_total"]:
            done, total = (row[name] * row["block_bytes"] for name in ("blocks_done", "blocks_total"))
            return f"{line}: {self._share(row['phase'], done, total, 'MB', 1e6)}"
        return line


class _Load(_Watch):
    """The load of a staging table, whose size shows before it is committed; it may come to as much as what is live."""

    def line(self, connection: psycopg.Connection) -> str | None:
        row = connection.execute(files.statement("pace/sizes.sql"), self.values).fetchone()
        if row is None or row[0] is None:
            return None
        return f"loads {self.what}: {self._share('load', row[0], row[1] or 0, 'MB', 1e6)}"


@dataclass
class Pace:
    """Waits for replicas, and tells of builds, for one task of a run; by sessions of its own, which hold nothing.

    Without ``connect`` it does nothing.
    """

    connect: Connect | None
    migration: Migration
    limit: PaceLimit
    run: str
    log: Log
    pause_s: float = field(default_factory=lambda: PAUSE_S)
    task: str = field(default_factory=lambda: phase.task() or "")
    _looked_at: float = field(default=-math.inf, init=False)

    def wait(self, connection: psycopg.Connection) -> None:
        """Wait until no replica is above its bound, before ``connection`` runs a statement that writes much.

        Never within a transaction, which may hold locks: then this does nothing. Nor does it look twice in a second.

        Raises:
            CutoverError: ``pace.behind``, above its bound for as long as a wait may last; ``pace.replica-gone``, it has
                disappeared while it was waited for; ``pace.not-told``, its lag was not to be had for as long;
                ``pace.hidden`` and ``pace.query``, it cannot be read at all.
        """
        if self.connect is None or connection.info.transaction_status != pq.TransactionStatus.IDLE:
            return
        began, logged = time.monotonic(), -math.inf
        if began - self._looked_at < self.pause_s:
            return
        waited_for: set[str] = set()
        while reasons := self._reasons(waited_for):
            waited_for |= reasons.keys()
            seconds = time.monotonic() - began
            in_words = "; ".join(f"{replica}: {reason.words}" for replica, reason in reasons.items())
            line = f"waits for replica {in_words}, since {seconds:,.0f} s"
            self._note(line)
            if time.monotonic() - logged >= _SAID_EVERY_S:
                logged = time.monotonic()
                self.log(line)
            if seconds >= self.limit.longest_wait.total_seconds():
                self._end()
                raise _given_up(reasons, in_words, seconds)
            time.sleep(self.pause_s)
        self._looked_at = time.monotonic()
        if waited_for:
            self._end()
            self.log(f"replicas are within their bounds after {time.monotonic() - began:,.0f} s: going on")

    def _reasons(self, waited_for: set[str]) -> dict[str, _Reason]:
        """Replica → why it is waited for. One that was, and has disappeared, is not within its bounds."""
        assert self.connect is not None
        lags = look(self.connect, self.migration, self.limit)
        reasons = {lag.replica: reason for lag in lags if (reason := lag.reason(self.limit)) is not None}
        gone = waited_for - {lag.replica for lag in lags}
        return reasons | {replica: _Reason("pace.replica-gone", _GONE) for replica in sorted(gone)}

    @contextmanager
    def building(self, connection: psycopg.Connection, index: str) -> Iterator[None]:
        """Tell, while the block builds ``index`` by ``connection``, how far that is."""
        if self.connect is None:
            yield
            return
        with self._telling(self.connect, _Build(index, {"pid": _pid(connection)})):
            yield

    @contextmanager
    def loading(self, step: str, staged: str, live: str) -> Iterator[None]:
        """Tell, while the block fills the table ``staged``, how much that is of what is ``live``."""
        if self.connect is None:
            yield
            return
        with self._telling(self.connect, _Load(step, {"staged": staged, "live": live})):
            yield

    @contextmanager
    def _telling(self, connect: Connect, watch: _Watch) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._tell, args=(connect, watch, over), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(LOOK_MS / 1000)

    def _tell(self, connect: Connect, watch: _Watch, over: threading.Event) -> None:
        """Look until it is over. What cannot be seen is not told, and what is built does not depend on it."""
        if over.wait(self.pause_s):
            return
        try:
            with opened(connect, autocommit=True) as connection:
                connection.execute("select set_config('statement_timeout', %s, false)", (f"{LOOK_MS}ms",))
                logged = -math.inf
                while not over.is_set():
                    line = watch.line(connection)
                    if line is not None:
                        progress.note(connection, self.run, self.task, line)
                        if time.monotonic() - logged >= _SAID_EVERY_S:
                            logged = time.monotonic()
                            self.log(line)
                    over.wait(self.pause_s)
                progress.end(connection, self.run, self.task)
        except (CutoverError, psycopg.Error) as error:
            self.log(f"how far {watch.what} is cannot be told any more: {type(error).__name__}")

    def _note(self, line: str) -> None:
        assert self.connect is not None
        with opened(self.connect) as connection:
            progress.note(connection, self.run, self.task, line)

    def _end(self) -> None:
        assert self.connect is not None
        with opened(self.connect) as connection:
            progress.end(connection, self.run, self.task)

    def tune(self, connection: psycopg.Connection) -> None:
        """Give a session that builds indexes its memory and workers: as declared, or as the server's settings say.

        Never more than the server allows. Undeclared: a quarter of the shared buffers, at most 1 GiB and at least the
        server's own ``maintenance_work_mem``; and the server's own number of workers, which its administrator gives.
        """
        if self.connect is None:
            return
        with connection.cursor(row_factory=dict_row) as cursor:
            given = cursor.execute(files.statement("pace/allowance.sql")).fetchone()
        assert given is not None
        declared = self.limit.index_megabytes
        derived = max(given["memory"], min(given["buffers"] // _PART_OF_BUFFERS, _MOST_MEMORY_KB))
        memory = min(given["most_memory"], derived if declared is None else declared * 1024)
        number_of = self.limit.index_workers
        workers = min(given["most_workers"], given["workers"] if number_of is None else number_of)
        connection.execute("select set_config('maintenance_work_mem', %s, false)", (f"{memory}kB",))
        connection.execute("select set_config('max_parallel_maintenance_workers', %s, false)", (str(workers),))
        self.log(f"indexes are built with {memory / 1024:,.0f} MiB of memory and at most {workers} parallel workers")


# Waits for nothing and tells nothing: of what must not wait, such as a rollback.
UNPACED = Pace(None, Migration(migration="none"), PaceLimit(), "", lambda _: None)


def look(connect: Connect, migration: Migration, limit: PaceLimit) -> list[Lag]:
    """How far replicas are behind: those that PostgreSQL knows, and what the migration's ``pace/lag.sql`` answers.

    Raises CutoverError ``pace.hidden`` and ``pace.query``.
    """
    bound_s = None if limit.lag is None else limit.lag.total_seconds()
    lags = []
    if limit.lag_megabytes is not None or bound_s is not None:
        with opened(connect) as connection:
            lags = _known(connection, limit, bound_s)
    path = f"{migration.migration}/pace/lag.sql"
    if path in files.files(f"{migration.migration}/pace"):
        bound_s = _QUERIED_LAG_S if bound_s is None else bound_s
        try:
            seconds = number(connect, path)
            unknown = None if seconds is not None else "its query answers nothing"
        except psycopg.errors.QueryCanceled:
            seconds, unknown = None, f"its query has not answered within {LOOK_MS / 1000:g} s"
        lags.append(Lag(f"by {path}", seconds=seconds, bound_s=bound_s, unknown=unknown))
    return lags


def _known(connection: psycopg.Connection, limit: PaceLimit, bound_s: float | None) -> list[Lag]:
    connection.execute("select set_config('statement_timeout', %s, true)", (f"{LOOK_MS}ms",))
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(files.statement("pace/replicas.sql"), {"ignored": list(limit.ignored)}).fetchall()
    if any(row["is_hidden"] for row in rows):
        raise CutoverError(
            "pace.hidden",
            f"role {connection.info.user}",
            "replicas are connected, and PostgreSQL does not show it how far they are behind: it is no member of "
            "pg_read_all_stats.",
            f"grant pg_read_all_stats to {sql.Identifier(connection.info.user).as_string()}; then clear the task.",
        )
    return [
        Lag(
            row["replica"],
            row["bytes"],
            row["seconds"],
            bound_s,
            "it has not said yet how far it is" if row["bytes"] is None else None,
        )
        for row in rows
    ]


def number(connect: Connect, path: str) -> float | None:
    """The one number that a query of the operator's answers, 0 or more, by reading in bounded time; None if null.

    Raises CutoverError ``pace.query``, and psycopg's QueryCanceled where it takes too long.
    """
    try:
        with opened(connect) as connection:
            connection.read_only = True
            connection.execute("select set_config('statement_timeout', %s, true)", (f"{LOOK_MS}ms",))
            # as one prepared statement: a second one behind it could end the transaction, and with it what bounds this
            cursor = connection.execute(files.text(path).encode(), prepare=True)
            rows = cursor.fetchmany(2) if cursor.description else []
            columns = len(cursor.description or ())
    except psycopg.errors.QueryCanceled:
        raise
    except psycopg.Error as error:
        if answer.lost(error):
            raise
        raise _no_number(path, f"PostgreSQL does not accept it: {said(error)}") from error
    if len(rows) != 1 or columns != 1:
        many = "several" if len(rows) > 1 else str(len(rows))
        raise _no_number(path, f"it answers {many} rows of {columns} columns")
    value = rows[0][0]
    if value is None:
        return None
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        raise _no_number(path, f"it answers a value of type {type(value).__name__} that is no number of 0 or more")
    return float(value)


def _no_number(path: str, why: str) -> CutoverError:
    return CutoverError(
        "pace.query",
        f"include/sql/{path}",
        f"{why}.",
        "correct the query: one row of one column, a number that is 0 or more, by reading alone; then clear the task.",
    )


def _given_up(reasons: dict[str, _Reason], in_words: str, seconds: float) -> CutoverError:
    replica, first = next(iter(reasons.items()))
    obj = f"replica {replica}"
    why = f"{in_words}; it was waited for {seconds:,.0f} s, and that is as long as it may be (`pace.longest_wait`)."
    if first.code == "pace.replica-gone":
        return CutoverError(
            "pace.replica-gone",
            obj,
            why,
            "let it come back and catch up; or, if it has gone for good, clear the task, which then waits for those "
            "that are there.",
        )
    if first.code == "pace.not-told":
        return CutoverError(
            "pace.not-told",
            obj,
            why,
            "see what keeps it from telling (pg_stat_replication, or the query named); then clear the task.",
        )
    return CutoverError(
        "pace.behind",
        obj,
        why,
        "see what keeps it from replaying (pg_stat_replication here, its own log there), and clear the task when it "
        "has caught up; or, if it may lag, raise `pace` in migration.yaml, or name it under `pace.ignored`.",
    )


def _pid(connection: psycopg.Connection) -> int:
    """The server's process: a pooler in session mode names another one at the beginning."""
    row = connection.execute("select pg_catalog.pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
