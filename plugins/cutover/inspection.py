"""Inspection: whether the files of a migration fit together, before any of them is run.

``of_files`` needs no database. ``of_statements`` has PostgreSQL itself judge every statement over empty tables of the
shapes that a run would make: nothing is executed that reads or writes a row, and all of it is taken back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import pq, sql

from cutover import probes
from cutover.database import statements as files
from cutover.database.connect import pin_search_path
from cutover.errors import CutoverError
from cutover.extract import raw, tables
from cutover.migration import Migration, load_order
from cutover.migration.files import PROVENANCE
from cutover.probes import workload
from cutover.validate import suites

if TYPE_CHECKING:
    from sqlglot import exp

# What a statement may be refused for without a row in it: all of them faults of its text, or of the shapes it is about.
_FAULTS = frozenset(("42601", "42703", "42P01", "42883", "42804", "42702", "42803", "42704", "42701", "42P10", "42846"))
_NO_SUCH_TABLE = "42P01"
# Ends the files of a freeze that only list keys.
_KEYS = ".keys.sql"
# A value that a run would give, and the sign that stands for a percent sign beside one.
_VALUE = re.compile(r"%\(\w+\)s|%%")
# Statements that only make, or prepare, tables which are empty here. What follows `as` is not run: with no data.
_MAKES = re.compile(r"create\s+(unlogged\s+)?table\s+(if\s+not\s+exists\s+)?(input|staging)\.", re.IGNORECASE)
_MADE = re.compile(r"(input|staging)\.\S+", re.IGNORECASE)
_DRESSES = re.compile(r"(create\s+(unique\s+)?index\b|alter\s+table\s+(input|staging)\.)", re.IGNORECASE)
_AS = re.compile(r"[^(]*?\bas\b\s*(select|with|values|\()", re.IGNORECASE | re.DOTALL)
_READS = re.compile(r"(with|select|insert|update|delete|values|table|\()", re.IGNORECASE)
# What a semicolon may stand in without ending a statement, or a semicolon.
_PARTS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/|;""", re.DOTALL)
_COLUMN_ARGUMENTS = ("column", "column_list", "column_set", "column_A", "column_B")
_DO = "correct the statement; run again, preflight looks at all of them anew."


@dataclass(frozen=True)
class _Statement:
    """One statement of a file: its text without comments in front, and the line that it begins in."""

    path: str
    text: str
    line: int


def of_files(migration: Migration) -> list[CutoverError]:
    """What is wrong with DDL, loads, suites and checks as far as their texts tell; nothing, if they fit together."""
    try:
        load_order.load_dependencies(migration)
        loaded = suites.load(migration.migration)
        suites.require_one_each(loaded, migration.staging_tables(), migration.migration)
    except CutoverError as reason:
        return [reason]
    reasons: list[CutoverError] = []
    for table in migration.staging_tables():
        columns = load_order.columns(files.text(f"{migration.migration}/staging/{table}.sql"))
        reasons += _of_load(migration, table, columns)
    for suite in loaded:
        columns = load_order.columns(files.text(f"{migration.migration}/staging/{suite.table}.sql"))
        reasons += _of_suite(migration.migration, suite, columns)
    for path in files.files(f"{migration.migration}/validate/checks"):
        reasons += _of_check(path)
    for path in files.files(f"{migration.migration}/probes"):
        reasons += _of_probe(path)
    return reasons


def of_statements(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """What PostgreSQL finds wrong with the migration's statements, each with file and line.

    ``connection`` is in no transaction. What cannot be judged without running it, and what is built on that, is not.
    """
    with connection.transaction(force_rollback=True):
        pin_search_path(connection)
        _empty_schemas(connection)
        _raw_tables(connection, migration)
        judge = _Judge(connection)
        name = migration.migration
        frozen = files.files(f"{name}/freeze")
        # those of keys are run last, and make a table of ids
        for path in sorted(frozen, key=lambda path: path.endswith(_KEYS)):
            judge.keys(path) if path.endswith(_KEYS) else judge.make(path, takes_values=False)
        for path in files.files(f"{name}/prepare"):
            judge.make(path, takes_values=True)
        for table in migration.staging_tables():
            judge.staging(f"{name}/staging/{table}.sql")
        for folder in ("transform", "validate", "validate/checks", "review", "review/warnings"):
            for path in files.files(f"{name}/{folder}"):
                judge.read(path)
        for path in files.files(f"{name}/why"):
            # about production as it will be: at the first launch its tables are not there yet
            judge.read(path, may_lack_tables=True)
        # by the names that the application has for its tables
        schemas = list(dict.fromkeys([*workload.search_path(connection), migration.target_schema]))
        for path in files.files(f"{name}/probes"):
            judge.probe(path, schemas)
    return judge.reasons


# texts


def _of_load(migration: Migration, table: str, columns: tuple[str, ...]) -> Iterator[CutoverError]:
    """A load that names columns which its table's DDL does not have."""
    from sqlglot import exp

    path = f"{migration.migration}/transform/{table}.sql"
    insert = _parsed(files.text(path))
    if insert is None:
        return
    into = insert.find(exp.Insert)
    if into is None or not isinstance(into.this, exp.Schema):
        return
    for name in (part.name for part in into.this.expressions):
        if name not in columns:
            line = _line_of(files.text(path), rf"\b{re.escape(name)}\b")
            yield CutoverError(
                "transform.no-such-column",
                f"{_shown(path)}, line {line}",
                f"it fills {name}, and staging/{table}.sql has no such column; it has {', '.join(columns)}.",
                "call it the same in both files, in the suite "
                f"include/expectations/{migration.migration}/{table}.json, and as production does.",
            )


def _of_suite(migration: str, suite: suites.Suite, columns: tuple[str, ...]) -> Iterator[CutoverError]:
    """An expectation about a column that the table does not have."""
    path = f"include/expectations/{migration}/{suite.table}.json"
    text = (files.include_root() / "expectations" / migration / f"{suite.table}.json").read_text(encoding="utf-8")
    named: list[str] = []
    for expectation in suite.expectations:
        arguments = expectation.get("kwargs", {})
        for argument in _COLUMN_ARGUMENTS:
            value = arguments.get(argument, [])
            named += [value] if isinstance(value, str) else value
    for name in dict.fromkeys([*named, *sorted(suite.personal)]):
        if name not in columns:
            yield CutoverError(
                "validate.no-such-column",
                f"{path}, line {_line_of(text, re.escape(json.dumps(name)))}",
                f"it is about {name}, and staging/{suite.table}.sql has no such column; it has {', '.join(columns)}.",
                "correct the name, or take the expectation out.",
            )


def _of_check(path: str) -> Iterator[CutoverError]:
    """A check that is no query of offending rows: it would fail always, or say nothing."""
    from sqlglot import exp

    query = _parsed(files.text(path))
    if query is None:
        return
    wrong = None
    if not isinstance(query, exp.Query):
        wrong = "it is no query, so it returns no rows"
    elif isinstance(query, exp.Select) and _is_one_row(query):
        wrong = "it returns one row whatever it finds, so it would never hold"
    if wrong:
        line = _line_of(files.text(path), r"(?m)^(?!--)\s*\S")
        yield CutoverError(
            "validate.bad-check",
            f"{_shown(path)}, line {line}",
            f"{wrong}. A check returns the rows that break its rule, and none when it holds.",
            "select the ids of the rows at fault, and no count of them, such as: select t.id ... where t.amount < 0",
        )


def _of_probe(path: str) -> list[CutoverError]:
    """A probe that is no single query, or asserts what cannot be asserted."""
    try:
        probes.read(path, files.text(path))
    except CutoverError as reason:
        return [reason]
    return []


def _is_one_row(query: exp.Select) -> bool:
    from sqlglot import exp

    if query.args.get("group") or query.args.get("having"):
        return False
    whole = [one.find(exp.AggFunc) for one in query.expressions if not one.find(exp.Window)]
    return bool(whole) and all(whole)


def _parsed(text: str) -> Any:
    """The first statement, as sqlglot reads it; None if it cannot: PostgreSQL itself is asked in preflight."""
    import sqlglot

    try:
        statements = sqlglot.parse(_VALUE.sub("null", text), read="postgres")
    except sqlglot.errors.SqlglotError:
        return None
    return statements[0] if statements else None


def _line_of(text: str, pattern: str) -> int:
    match = re.search(pattern, text)
    return text[: match.start()].count("\n") + 1 if match else 1


def _shown(path: str) -> str:
    return f"include/sql/{path}"


# statements


class _Judge:
    """Has PostgreSQL judge statements, in one transaction. ``reasons`` are what it found."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.reasons: list[CutoverError] = []
        self._connection = connection
        # whether a table of `input` may be missing because what makes it was not run
        self._is_partial = False

    def make(self, path: str, *, takes_values: bool) -> None:
        """A file whose tables later ones read: they are made, empty."""
        for statement in _statements(path):
            text = _VALUE.sub(_without_value, statement.text) if takes_values else statement.text
            query = _AS.match(text) if _MAKES.match(text) else None
            if query:
                self._make_of_query(statement, text, query.start(1))
            elif _MAKES.match(text) or _DRESSES.match(text):
                self._execute(statement, text)
            elif _READS.match(text):
                self._parse(statement, takes_values=takes_values)
            else:
                self._is_partial |= bool(re.search(r"create\s+(unlogged\s+)?table\s+input\.", text, re.IGNORECASE))

    def keys(self, path: str) -> None:
        """A query of keys, and the table of ids that is made for them."""
        for statement in _statements(path):
            self._parse(statement, takes_values=False)
        table = sql.Identifier(Path(path).name.removesuffix(_KEYS))
        self._connection.execute(files.statement("freeze/identity.sql", table=table))

    def staging(self, path: str) -> None:
        """A table's DDL, without its foreign keys."""
        (first, *_) = _statements(path)
        for text in load_order.split_foreign_keys(files.text(path))[0][:1]:
            self._execute(first, text)

    def read(self, path: str, *, may_lack_tables: bool = False) -> None:
        """A file whose statement is run later."""
        for statement in _statements(path):
            if _READS.match(statement.text):
                self._parse(statement, may_lack_tables=may_lack_tables)

    def probe(self, path: str, schemas: list[str]) -> None:
        """A query of the application; of a table that the first launch brings there is nothing to say yet."""
        for statement in _statements(path):
            self._parse(statement, may_lack_tables=True, takes_values=False, schemas=schemas)

    def _make_of_query(self, statement: _Statement, text: str, begin: int) -> None:
        """The table that a query would fill. What the query reads is locked for the moment of reading it, no longer."""
        columns = self._parse(statement, text=text[begin:], before=text[:begin], takes_values=False)
        name = _MADE.search(text[:begin])
        if columns is None or name is None:
            self._is_partial = True
            return
        listed = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in columns
        )
        create = sql.SQL("create table {} ({})").format(sql.SQL(name[0]), listed)
        self._execute(statement, create.as_string())

    def _execute(self, statement: _Statement, text: str) -> None:
        try:
            with self._connection.transaction():
                self._connection.execute(text.encode())
        except psycopg.Error as error:
            self._refuse(statement, error, text)
            self._is_partial = True

    def _parse(
        self,
        statement: _Statement,
        *,
        text: str | None = None,
        before: str = "",
        takes_values: bool = True,
        may_lack_tables: bool = False,
        schemas: list[str] | None = None,
    ) -> list[tuple[str, str]] | None:
        """Have a statement parsed, and not run: the columns that it returns, with types; None if it is refused.

        ``text`` is the part of it that is meant, ``before`` what stands in front of that. Bare names are looked up in
        ``schemas``, while it is parsed and no longer.
        """
        names: dict[str, int] = {}

        def numbered(value: re.Match[str]) -> str:
            return "%" if value[0] == "%%" else f"${names.setdefault(value[0], len(names) + 1)}"

        text = statement.text if text is None else text
        text = _VALUE.sub(numbered, text) if takes_values else text
        server = self._connection.pgconn
        try:
            # taken back, so that no lock stays on a table of the application
            with self._connection.transaction(force_rollback=True):
                if schemas:
                    path = sql.SQL(", ").join(map(sql.Identifier, schemas))
                    self._connection.execute(sql.SQL("set local search_path to {}").format(path))
                for result in (server.prepare(b"", text.encode()), shape := server.describe_prepared(b"")):
                    if result.status != pq.ExecStatus.COMMAND_OK:
                        raise psycopg.ProgrammingError(info=result)
        except psycopg.ProgrammingError as error:
            self._refuse(statement, error, before + text, len(before), may_lack_tables=may_lack_tables)
            return None
        if not shape.nfields:
            return []
        kinds = self._connection.execute(
            files.statement("inspection/types.sql"),
            {
                "types": [shape.ftype(place) for place in range(shape.nfields)],
                "modifiers": [shape.fmod(place) for place in range(shape.nfields)],
            },
        ).fetchall()
        return [((shape.fname(place) or b"").decode(), kind) for place, (kind,) in enumerate(kinds)]

    def _refuse(
        self,
        statement: _Statement,
        error: psycopg.Error,
        text: str,
        offset: int = 0,
        *,
        may_lack_tables: bool = False,
    ) -> None:
        """Keep a fault of the text as a reason. ``offset`` is where in ``text`` the server began to count."""
        state = error.diag.sqlstate
        lacks = state == _NO_SUCH_TABLE and (may_lack_tables or self._is_partial)
        if state not in _FAULTS or lacks:
            return
        place = error.diag.statement_position
        line = statement.line + (text[: offset + int(place) - 1].count("\n") if place else 0)
        self.reasons.append(
            CutoverError(
                "preflight.wrong-statement",
                f"{_shown(statement.path)}, line {line}",
                f"{error.diag.message_primary}.",
                _DO,
            )
        )


def _without_value(value: re.Match[str]) -> str:
    return "%" if value[0] == "%%" else "null"


def _statements(path: str) -> list[_Statement]:
    """The statements of a file, as PostgreSQL would take them one by one."""
    text = files.text(path)
    ends = [part.start() for part in _PARTS.finditer(text) if part[0] == ";"]
    statements = []
    for start, end in zip([0, *(end + 1 for end in ends)], [*ends, len(text)], strict=True):
        part = text[start:end]
        # comments stay within a statement, and go in front of it
        head = re.match(r"(\s+|--[^\n]*(\n|$)|/\*.*?\*/)*", part, re.DOTALL)
        begin = head.end() if head else 0
        if part[begin:].strip():
            statements.append(_Statement(path, part[begin:], text[: start + begin].count("\n") + 1))
    return statements


def _empty_schemas(connection: psycopg.Connection) -> None:
    """``input`` and ``staging``, empty; those that are there, with what is in them, out of the way."""
    connection.execute("set local lock_timeout = '5s'")
    for schema in ("input", "staging"):
        if connection.execute("select to_regnamespace(%s) is not null", (schema,)).fetchone() == (True,):
            name, aside = sql.Identifier(schema), sql.Identifier(f"{schema}_during_preflight")
            connection.execute(sql.SQL("alter schema {} rename to {}").format(name, aside))
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))
    connection.execute("create schema if not exists raw")


def _raw_tables(connection: psycopg.Connection, migration: Migration) -> None:
    """The raw tables that no extraction has made yet, as one would."""
    for name in migration.sources:
        connection.execute(files.text(f"{migration.migration}/extract/{name}.create.sql").encode())
    shapes = {table.name: tables.columns_of(table) for table in migration.tables.values()}
    shapes |= {drop.name: {**drop.columns, **PROVENANCE} for drop in migration.files.values()}
    for name, columns in shapes.items():
        if not raw.has_shape(connection, name, columns):
            there = sql.Identifier("raw", name)
            if connection.execute("select to_regclass(%s) is not null", (there.as_string(),)).fetchone() == (True,):
                aside = sql.Identifier(f"{name[:40]}_during_preflight")
                connection.execute(sql.SQL("alter table {} rename to {}").format(there, aside))
            raw.create(connection, name, columns)
