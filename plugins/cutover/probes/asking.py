"""One query, asked on either side: what it answers, how long that takes, how PostgreSQL goes about it; or why not.

It runs as the tables' owner, in a transaction that is read only by then, under a bound, and with what it is to be told
from the catalogue first: which tables PostgreSQL takes its names for, and whether code of others would run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from cutover.database import answer, catalog
from cutover.database import statements as files
from cutover.database.words import said
from cutover.probes import names
from cutover.probes.rehearsed import STATEMENT_MS, Guard, Tables, bound, searching

# Hashes of rows that are compared one by one; of longer answers only the number and the sum of the hashes are.
MOST_HASHES = 10_000


class Exact(str):
    """A number as it is written: money is not rounded to a float on its way to a page."""

    __slots__ = ()


@dataclass(frozen=True)
class Reads:
    """What a query reads and calls, by oid; names as PostgreSQL writes them."""

    relations: Mapping[int, str]
    functions: Collection[int]


@dataclass(frozen=True)
class Answer:
    """What a query has answered: so many ``rows``, ``digest`` over them, ``hashes`` of each while they are few, and
    the row if it is ``one``."""

    rows: int
    digest: str
    hashes: Sequence[int]
    one: dict[str, Any] | None


@dataclass(frozen=True)
class Refused:
    """Why a query has no answer. ``state`` is PostgreSQL's SQLSTATE."""

    why: str
    state: str


@dataclass
class Side:
    """One side of a query: its text there, and what it was asked. ``times`` in milliseconds, planning included."""

    query: str
    path: Sequence[str]
    answer: Answer | None = None
    refused: Refused | None = None
    times: list[float] = field(default_factory=list)
    plan: Mapping[str, Any] | None = None

    @property
    def timed_out(self) -> bool:
        """Whether it took longer than a query may."""
        return self.refused is not None and self.refused.state == psycopg.errors.QueryCanceled.sqlstate


class Asking:
    """Asks queries of the two sides of ``tables``, in the transaction of ``connection``."""

    def __init__(self, connection: psycopg.Connection, tables: Tables, guard: Guard) -> None:
        self.connection, self.tables, self._guard = connection, tables, guard

    def sides(self, query: str, path: Sequence[str]) -> tuple[Side, Side]:
        """The query on today's tables, and on the rehearsed ones. ``path`` is where the application looks for names."""
        there = names.rehearsed(query, self.tables.schema, self.tables.moved)
        return Side(query, path), Side(there, [self.tables.schema, *path])

    def reads(self, side: Side) -> Reads | Refused:
        """What PostgreSQL takes the query's names for."""
        view = files.statement("probes/read.sql", query=_as_is(side.query))
        try:
            with self.connection.transaction(force_rollback=True):
                with searching(self.connection, side.path):
                    self.connection.execute(view)
                row = self.connection.execute(files.statement("probes/reads.sql")).fetchone()
        except psycopg.Error as error:
            return self._refused(error)
        assert row is not None
        relations = {int(oid): name for oid, name in (row[0] or {}).items()}
        return Reads(relations, frozenset(row[1] or ()))

    def ask(self, side: Side) -> None:
        """Ask for the answer."""
        text = files.statement("probes/answer.sql", query=_as_is(side.query), most=sql.Literal(MOST_HASHES + 1))
        result = self._run(side, text)
        if result is not None:
            hashes = result["hashes"] or []
            few = hashes if len(hashes) <= MOST_HASHES else []
            side.answer = Answer(result["rows"], result["digest"], few, result["one"])

    def measure(self, side: Side) -> None:
        """Ask once more, for the time and the plan; nothing of a side that has no answer."""
        if side.answer is None:
            return
        result = self._run(side, files.statement("probes/explain.sql", query=_as_is(side.query)))
        if result is not None:
            (one,) = result
            side.plan = one["Plan"]
            side.times.append(float(one["Planning Time"]) + float(one["Execution Time"]))

    def value(self, text: sql.Composable, path: Sequence[str]) -> Any:
        """What another statement answers as the tables' owner; None if it cannot."""
        return self._run(Side("", path), text)

    def _run(self, side: Side, text: sql.Composable) -> Any:
        statement = files.statement("probes/as_owner.sql", schema=self.tables.schema)
        try:
            # whatever is locked by it is let go at the end
            with self.connection.transaction(force_rollback=True):
                bound(self.connection, statement_ms=STATEMENT_MS)
                self.connection.execute("set local transaction_read_only to on")
                with searching(self.connection, side.path), self.connection.cursor() as cursor:
                    set_json_loads(lambda given: json.loads(given, parse_float=Exact), cursor)
                    row = cursor.execute(statement, {"statement": text.as_string(self.connection)}).fetchone()
        except psycopg.Error as error:
            side.refused = self._refused(error)
            return None
        return None if row is None else row[0]

    def _refused(self, error: psycopg.Error) -> Refused:
        self._guard.require()
        if answer.lost(error):
            raise error
        if isinstance(error, psycopg.errors.QueryCanceled):
            why = f"it takes longer than {STATEMENT_MS / 1000:g} s"
        else:
            why = said(error)
        return Refused(why, error.sqlstate or "")

    # what is called

    @cached_property
    def _functions(self) -> dict[int, catalog.Row]:
        rows = catalog.rows(self.connection, "probe_functions", owner=self.tables.owner)
        return {row["oid"]: row for row in rows}

    @cached_property
    def _reading(self) -> Mapping[int, str]:
        """Functions that read tables of the set by themselves, with their names: today's, whoever calls them."""
        relations = {name for _, name in self.tables.moved}
        bodies = {oid: row for oid, row in self._functions.items() if row["text"] is not None}
        reading = {oid for oid in self.tables.scope.bound("function") if oid in self._functions}
        wanted = relations
        while wanted:
            pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(wanted)))})\b", re.IGNORECASE)
            more = {oid for oid, row in bodies.items() if oid not in reading and pattern.search(row["text"])}
            reading |= more
            # and those that call such a one
            wanted = {bodies[oid]["proname"] for oid in more}
        return {oid: self._functions[oid]["name"] for oid in reading}

    def foreign(self, reads: Reads) -> str | None:
        """Why a query is not run at all: code that others can change would run with the tables' owner's rights."""
        for row in map(self._functions.get, reads.functions):
            if row is not None and row["is_foreign"]:
                return f"it calls {row['name']}, which {row['owner']} can change at any time"
        return None

    def volatile(self, reads: Reads) -> str | None:
        """Why a query that nobody has written for this is not run: it may do more than read, or answers as it likes."""
        for row in map(self._functions.get, reads.functions):
            if row is not None and row["is_volatile"]:
                return f"it calls {row['name']}, which answers otherwise each time, or does something"
        return None

    def aside(self, reads: Reads) -> str | None:
        """Why a query that reads the set would not tell of the rehearsed tables alone."""
        for function in reads.functions:
            if function in self._reading:
                return f"it calls {self._reading[function]}, which reads today's tables on either side"
        if not self.of_the_set(reads):
            return "it reads no table of the launch"
        for oid, name in reads.relations.items():
            if oid in self.tables.written:
                return f"it reads {name}, to which the swap itself adds rows"
            if self.tables.counterparts.get(oid, oid) is None and oid not in self.tables.scope.disappearing:
                return f"it reads {name}, of which there is none over the rehearsed tables"
        return None

    def of_the_set(self, reads: Reads) -> bool:
        """Whether a query reads a table of the set, on either side, be it through views."""
        ours = {*self.tables.counterparts, *self.tables.scope.arriving}
        return not ours.isdisjoint(reads.relations)

    def goes(self, reads: Reads) -> str | None:
        """The table that a query reads and that the launch takes out of production."""
        return next((name for oid, name in reads.relations.items() if oid in self.tables.scope.disappearing), None)

    def is_rehearsed(self, before: Reads, after: Reads) -> bool:
        """Whether the query reads on the rehearsed side the counterpart of each relation, and nothing else."""
        return {self.tables.counterparts.get(oid, oid) for oid in before.relations} == set(after.relations)


def _as_is(query: str) -> sql.SQL:
    """The text of a query. What it may do is bounded where it is run; the type of sql.SQL admits literals only."""
    return sql.SQL(cast(Any, query))
