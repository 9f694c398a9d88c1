"""What the application asks most, by ``pg_stat_statements``, with values in the place of its parameters.

A statement there is one without its constants: ``$1`` stands for what was given. A value is taken from a row of the
table with whose column it is compared; how many rows are wanted is a number of ours. What stands elsewhere cannot be
guessed, and then the statement is not tried.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq, sql

from cutover.database import statements as files
from cutover.probes import names
from cutover.probes.asking import Asking, Reads
from cutover.probes.rehearsed import searching

# Statements that are looked at, those that took most time first; and of them, how many that read a table of the launch
# are tried.
_LOOKED_AT = 200
TRIED = 20
# What stands for `limit $1` and `offset $1`: a page as lists have it.
_LIMIT, _OFFSET = 20, 0
# What PostgreSQL shows in the place of a statement to whoever may not read it.
_HIDDEN = "<insufficient privilege>"


@dataclass(frozen=True)
class Statement:
    """A statement of the application: its text there, and how often and for how long (ms) it was run.

    ``query`` has values in the place of parameters; None where ``why`` says why there are none.
    """

    queryid: int
    text: str
    path: list[str]
    calls: int
    mean_ms: float
    query: str | None
    why: str | None = None


class UnreadableError(Exception):
    """pg_stat_statements is there, and cannot be read; in words."""


def is_there(connection: psycopg.Connection) -> bool:
    """Whether ``pg_stat_statements`` is installed in this database."""
    return connection.execute(files.statement("probes/statements_at.sql")).fetchone() is not None


def top(asking: Asking, application: Sequence[str]) -> Iterator[Statement]:
    """The application's queries that read a table of the launch, those that took most time first.

    ``application`` is the search_path of a role that has none of its own.

    Raises:
        UnreadableError: the engine's role may not read it, or the server does not gather it.
    """
    connection = asking.connection
    tried = 0
    for queryid, role, text, calls, mean_ms in _rows(asking):
        if tried == TRIED:
            return
        path = search_path(connection, role) or [*application]
        query, why = _filled(asking, text, path)
        if query is None:
            # whether it is about the launch cannot be asked of PostgreSQL: whether it names one of its tables can
            if _names_one(asking, text):
                tried += 1
                yield Statement(queryid, text, path, calls, mean_ms, None, why)
            continue
        reads = asking.reads(asking.sides(query, path)[0])
        if isinstance(reads, Reads) and asking.of_the_set(reads):
            tried += 1
            yield Statement(queryid, text, path, calls, mean_ms, query)


def search_path(connection: psycopg.Connection, role: int = 0) -> list[str]:
    """The schemas in which the application looks for names, as the database or its ``role`` (an oid) is set up."""
    with connection.transaction(force_rollback=True):
        row = connection.execute(files.statement("probes/search_path.sql"), {"role": role}).fetchone()
        assert row is not None
        connection.execute("select pg_catalog.set_config('search_path', %s, true)", row)
        schemas = connection.execute(files.statement("probes/schemas.sql")).fetchone()
    return list(schemas[0] or ()) if schemas else []


def _rows(asking: Asking) -> list[tuple[Any, ...]]:
    connection = asking.connection
    at = connection.execute(files.statement("probes/statements_at.sql")).fetchone()
    assert at is not None
    statement = files.statement(
        "probes/top_statements.sql",
        statements=sql.Identifier(at[0], "pg_stat_statements"),
        most=sql.Literal(_LOOKED_AT),
    )
    try:
        with connection.transaction():
            rows = connection.execute(statement).fetchall()
            hidden = connection.execute(
                files.statement("probes/hidden_statements.sql", statements=sql.Identifier(at[0], "pg_stat_statements")),
                {"hidden": _HIDDEN},
            ).fetchone()
    except psycopg.Error as error:
        if isinstance(error, psycopg.errors.QueryCanceled):
            raise
        raise UnreadableError((error.diag.message_primary or str(error)).rstrip(".")) from error
    if not rows and hidden and hidden[0]:
        raise UnreadableError(
            f"{hidden[0]:,} statements are hidden from the engine's role: grant pg_read_all_stats to "
            f"{sql.Identifier(connection.info.user).as_string()}"
        )
    return rows


def _names_one(asking: Asking, text: str) -> bool:
    """Whether a text names a table or view of the launch."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    relations = {name for _, name in asking.tables.moved}
    try:
        parsed = parse_one(names.with_parameters(text, lambda _: "null"), read="postgres")
        return any(table.name in relations for table in parsed.find_all(exp.Table))
    except SqlglotError:
        return False


def _filled(asking: Asking, text: str, path: Sequence[str]) -> tuple[str | None, str | None]:
    """A statement with values for its parameters, or why it has none."""
    from sqlglot import exp, parse
    from sqlglot.errors import SqlglotError

    try:
        parsed = parse(names.with_parameters(text, lambda number: f":{names.SIGN}{number} "), read="postgres")
    except SqlglotError:
        return None, "it cannot be read without what stood for its parameters"
    (one, *others) = parsed
    if not isinstance(one, exp.Query) or others or one.find(exp.Insert, exp.Update, exp.Delete, exp.Into, exp.Lock):
        return None, "it is no single SELECT that only reads"
    numbers = sorted({_number(parameter) for parameter in one.find_all(exp.Placeholder)})
    if not numbers:
        return text.rstrip("; \n"), None
    types = _types(asking, text, path)
    if types is None:
        return None, "PostgreSQL does not say of which types its parameters are"
    values = _values(asking, one, path)
    for number in numbers:
        if number not in values:
            return None, f"no value can be found for ${number}"
    return _put_in(text, {number: (values[number], types[number - 1]) for number in numbers}), None


def _types(asking: Asking, text: str, path: Sequence[str]) -> list[str] | None:
    """The types that PostgreSQL infers for the parameters."""
    server = asking.connection.pgconn
    oids: list[int] = []
    try:
        with asking.connection.transaction(force_rollback=True):
            with searching(asking.connection, path):
                for result in (server.prepare(b"", text.encode()), shape := server.describe_prepared(b"")):
                    if result.status != pq.ExecStatus.COMMAND_OK:
                        raise psycopg.ProgrammingError(info=result)
            oids = [shape.param_type(place) for place in range(shape.nparams)]
        rows = asking.connection.execute(files.statement("probes/types.sql"), {"types": oids}).fetchall()
    except psycopg.ProgrammingError:
        return None
    return [row[0] for row in rows]


def _values(asking: Asking, query: Any, path: Sequence[str]) -> dict[int, str]:
    """By parameter, a value as text: of the columns that they are compared with, and of limits."""
    from sqlglot import exp

    values: dict[int, str] = {}
    wanted: dict[tuple[str | None, str], dict[int, str]] = defaultdict(dict)
    for parameter in query.find_all(exp.Placeholder):
        number, above = _number(parameter), parameter.parent
        while isinstance(above, exp.Cast | exp.Paren | exp.Any | exp.Tuple):
            above = above.parent
        if isinstance(above, exp.Limit | exp.Fetch):
            values[number] = str(_LIMIT)
        elif isinstance(above, exp.Offset):
            values[number] = str(_OFFSET)
        elif isinstance(above, exp.Binary | exp.In | exp.Between):
            sides = [one.unnest() for one in (above.this, above.args.get("expression")) if one is not None]
            for column in (one for one in sides if isinstance(one, exp.Column)):
                if (table := _table_of(asking, column, path)) is not None:
                    wanted[table][number] = column.name
    for table, columns in wanted.items():
        values |= _sampled(asking, table, columns, path)
    return values


def _table_of(asking: Asking, column: Any, path: Sequence[str]) -> tuple[str | None, str] | None:
    """The (schema, name) of the table that a column is of: by its alias, or the only one that has such a column."""
    from sqlglot import exp

    select = column.find_ancestor(exp.Select)
    while select is not None:
        sources = [select.args.get("from_"), *select.args.get("joins", ())]
        tables = [one.this for one in sources if one is not None and isinstance(one.this, exp.Table)]
        fitting = [one for one in tables if one.alias_or_name == column.table] if column.table else tables
        if column.table or len(fitting) == 1:
            if fitting:
                return fitting[0].db or None, fitting[0].name
        else:
            having = [one for one in fitting if _has(asking, (one.db or None, one.name), column.name, path)]
            if len(having) == 1:
                return having[0].db or None, having[0].name
        select = select.find_ancestor(exp.Select)
    return None


def _identifier(table: tuple[str | None, str]) -> sql.Identifier:
    schema, name = table
    return sql.Identifier(schema, name) if schema else sql.Identifier(name)


def _has(asking: Asking, table: tuple[str | None, str], column: str, path: Sequence[str]) -> bool:
    text = files.statement(
        "probes/has_column.sql", table=sql.Literal(_identifier(table).as_string()), name=sql.Literal(column)
    )
    return asking.value(text, path) is True


def _sampled(
    asking: Asking, table: tuple[str | None, str], columns: dict[int, str], path: Sequence[str]
) -> dict[int, str]:
    """Values of one row that has all of them."""
    written = [sql.Identifier("t", name) for name in columns.values()]
    text = files.statement(
        "probes/sample.sql",
        columns=sql.SQL(", ").join(sql.SQL("{}::pg_catalog.text").format(one) for one in written),
        table=_identifier(table),
        present=sql.SQL(" and ").join(sql.SQL("{} is not null").format(one) for one in written),
    )
    row = asking.value(text, path)
    return dict(zip(columns, row, strict=True)) if row else {}


def _put_in(text: str, values: dict[int, tuple[str, str]]) -> str:
    """A text with values in the place of its parameters; of one that wants an array, an array of the one value."""

    def literal(number: int) -> str:
        value, kind = values[number]
        return f"({sql.Literal([value] if kind.endswith('[]') else value).as_string()}::{kind})"

    return names.with_parameters(text, literal).rstrip("; \n")


def _number(parameter: Any) -> int:
    return int(parameter.name.removeprefix(names.SIGN))
