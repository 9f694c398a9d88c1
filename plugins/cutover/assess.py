"""Assess: what the source databases of a migration hold, side by side, before anything is copied.

It reads, each source in one snapshot, and changes nothing. What it finds are counts: no value of a row leaves its
database but as a digest, to be compared with another source's, and none is kept.

What a table must be follows from the declaration: its columns, where addresses are, what refers to what (``person``).
What else is worth counting is in the migration's folder ``assess``: ``within/<database>/<name>.sql`` one number,
``between/<name>/<database>.sql`` keys with values, in the order of the keys, of each source that has them.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import groupby
from pathlib import PurePosixPath
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.migration import Migration
from cutover.migration.tables import Table
from cutover.storage import Storage

# The longest that one figure may take: then it is said that it was not measured, and the source has its peace.
_STATEMENT_TIMEOUT = "60s"
# Rows of a comparison that are fetched at a time.
_FETCHED = 5_000
FILE = "assessment.json"


@dataclass
class Source:
    """One source database. None for a number: it could not be measured, and ``problems`` says why."""

    name: str
    server_version: str = ""
    encoding: str = ""
    bytes: int = 0
    tables: list[dict[str, Any]] = field(default_factory=list)
    addresses: list[dict[str, Any]] = field(default_factory=list)
    orphans: list[dict[str, Any]] = field(default_factory=list)
    within: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass
class Assessment:
    """All sources of a migration, and what stands between them."""

    migration: str
    made_at: str
    sources: list[Source]
    # tables of one name in several sources: columns with the type that each has
    side_by_side: list[dict[str, Any]]
    between: list[dict[str, Any]]

    def lines(self) -> list[str]:
        """The findings in words, for a log or a terminal."""
        lines = []
        for source in self.sources:
            rows = sum(table["rows"] or 0 for table in source.tables)
            lines.append(f"{source.name}: {len(source.tables)} tables, {rows:,} rows, {source.bytes / 1e6:,.1f} MB")
            for table in source.tables:
                lines += [f"  {table['name']}: {said}" for said in table["differs"]]
            for one in source.addresses:
                lines.append(
                    f"  {one['where']}: {one['addresses']:,} addresses in {one['row_count']:,} rows, "
                    f"{one['repeated']:,} of them several times, {one['unusable']:,} rows without one"
                )
            lines += [
                f"  {one['where']}: {one['orphans']:,} rows without their {one['parent']}" for one in source.orphans
            ]
            lines += [f"  {one['title']}: {one['found']:,}" for one in source.within]
            lines += [f"  not measured: {problem}" for problem in source.problems]
        lines += [f"{one['title']}: {one['different']:,} of {one['shared']:,} in several" for one in self.between]
        return lines


def keep(made: Assessment, docs_root: Storage) -> str:
    """Write an assessment where the pages find it, in place of the one before; returns where."""
    name = f"{made.migration}/{FILE}"
    docs_root.write(name, (json.dumps(asdict(made), indent=2) + "\n").encode())
    return f"{docs_root}/{name}"


def load(docs_root: Storage, migration: str) -> dict[str, Any] | None:
    """The newest assessment of a migration as it was written, if there is one."""
    content = docs_root.read(f"{migration}/{FILE}")
    assessment: dict[str, Any] | None = json.loads(content) if content is not None else None
    return assessment


def assess(migration: Migration, connect_to: Callable[[str], Connect], log: Log) -> Assessment:
    """Look at every source database; ``connect_to`` opens one by its name. Raises ``connect.*`` CutoverErrors."""
    names = list(migration.databases)
    with ExitStack() as stack:
        connections = {}
        for name in names:
            connection = stack.enter_context(opened(connect_to(name)))
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            connection.execute("select set_config('statement_timeout', %s, true)", (_STATEMENT_TIMEOUT,))
            connections[name] = connection
        with ThreadPoolExecutor(max(len(names), 1)) as pool:
            sources = list(pool.map(lambda name: _source(migration, name, connections[name]), names))
        by_name = {source.name: source for source in sources}
        made = Assessment(
            migration.migration,
            datetime.now(timezone.utc).isoformat(timespec="seconds"),
            sources,
            _side_by_side(sources),
            [*_shared_addresses(migration, connections, by_name), *_between(migration, connections, by_name)],
        )
    for line in made.lines():
        log(line)
    return made


def _source(migration: Migration, name: str, connection: psycopg.Connection) -> Source:
    source = Source(name)
    with connection.cursor(row_factory=dict_row) as cursor:
        about = cursor.execute(files.text("assess/database.sql").encode()).fetchone() or {}
        tables = cursor.execute(files.text("assess/tables.sql").encode()).fetchall()
    source.server_version, source.bytes, source.encoding = (
        about["server_version"], about["bytes"], about["encoding"],
    )  # fmt: skip
    declared = {table.table: table for table in migration.tables_of(name)}
    there = set()
    for measured in tables:
        full = f"{measured['schema_name']}.{measured['table_name']}"
        there.add(full)
        table = declared.get(full)
        rows = measured["estimate"]
        if table is not None:
            counted = _measured(connection, source, full, "assess/count.sql", source=_of(table))
            rows = counted["row_count"] if counted else None
        source.tables.append(
            {
                "name": full,
                "rows": rows,
                "is_exact": table is not None,
                "bytes": measured["bytes"],
                "columns": measured["columns"],
                "differs": _differences(table, measured["columns"]),
            }
        )
    source.problems += [f"{full}: declared, and not there" for full in declared if full not in there]
    known = [table for table in declared.values() if table.table in there]
    for table, column in _address_columns(migration, known):
        where = f"{table.table}.{column}"
        counted = _measured(connection, source, where, "assess/addresses.sql", source=_of(table), column=column)
        if counted is not None:
            source.addresses.append({"where": where, **counted})
    for child, column, parent in _references(migration, known):
        where = f"{child.table}.{column}"
        identifiers: dict[str, str | sql.Composable] = {
            "source": _of(child),
            "column": column,
            "parent": _of(parent),
            "key": parent.key,
        }
        counted = _measured(connection, source, where, "assess/orphans.sql", **identifiers)
        if counted is not None:
            source.orphans.append({"where": where, "parent": parent.table, **counted})
    for path in files.files(f"{migration.migration}/assess/within/{name}"):
        counted = _measured(connection, source, path, path)
        if counted is not None:
            source.within.append({"title": _title(path), "found": counted["found"]})
    return source


def _of(table: Table) -> sql.Identifier:
    schema, _, name = table.table.partition(".")
    return sql.Identifier(schema, name)


def _measured(
    connection: psycopg.Connection, source: Source, what: str, path: str, /, **identifiers: str | sql.Composable
) -> dict[str, Any] | None:
    """The row of a query; None, and a problem of the source, where the database refuses it or it takes too long."""
    try:
        with connection.transaction(), connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(files.statement(path, **identifiers)).fetchone()
    except psycopg.Error as error:
        # the class, and no message: that may show a value
        source.problems.append(f"{what} ({type(error).__name__})")
        return None


def _differences(table: Table | None, columns: dict[str, str]) -> list[str]:
    """In words, how a table is not what its migration was written for."""
    if table is None:
        return ["not part of the migration"]
    return [
        *(f"column {name} is missing" for name in table.columns if name not in columns),
        *(
            f"column {name} is {columns[name]}, declared as {kind}"
            for name, kind in table.columns.items()
            if name in columns and columns[name] != kind
        ),
        *(
            f"column {name} is new"
            for name in columns
            if name not in table.columns and name not in table.ignore
        ),
    ]  # fmt: skip


def _address_columns(migration: Migration, tables: list[Table]) -> list[tuple[Table, str]]:
    names = migration.person.address if migration.person else ()
    return [
        (table, column)
        for table in tables
        for column in table.columns
        if column in names or f"{table.name}.{column}" in names
    ]


def _references(migration: Migration, tables: list[Table]) -> list[tuple[Table, str, Table]]:
    """(child, column, parent): where a column leads to the key of another table of the same source."""
    by_name = {table.name: table for table in tables}
    references = []
    for columns in (migration.person.leads if migration.person else {}).values():
        named = [tuple(column.split(".", 1)) for column in columns if "." in column]
        known = [(by_name[table], column) for table, column in named if table in by_name]
        parents = [table for table, column in known if column == table.key]
        references += [(child, column, parent) for parent in parents for child, column in known if child is not parent]
    return references


def _side_by_side(sources: list[Source]) -> list[dict[str, Any]]:
    """Tables of one name in several sources, with each column's type in each, those that differ first."""
    shared: dict[str, dict[str, dict[str, str]]] = {}
    for source in sources:
        for table in source.tables:
            shared.setdefault(table["name"], {})[source.name] = table["columns"]
    compared: list[dict[str, Any]] = []
    for name, by_source in shared.items():
        if len(by_source) > 1:
            columns = dict.fromkeys(column for columns in by_source.values() for column in columns)
            rows: list[dict[str, Any]] = []
            for column in columns:
                types = {of: columns_of.get(column) for of, columns_of in by_source.items()}
                rows.append({"column": column, "types": types, "is_same": len(set(types.values())) == 1})
            compared.append({"table": name, "columns": sorted(rows, key=lambda row: bool(row["is_same"]))})
    return compared


def _shared_addresses(
    migration: Migration, connections: dict[str, psycopg.Connection], sources: dict[str, Source]
) -> list[dict[str, Any]]:
    """How many addresses several sources have: of each, the first table with one."""
    queries = {}
    for name in connections:
        there = {table["name"] for table in sources[name].tables}
        columns = _address_columns(migration, [t for t in migration.tables_of(name) if t.table in there])
        if columns:
            table, column = columns[0]
            queries[name] = files.statement("assess/address_keys.sql", source=_of(table), column=column)
    return _compared("Addresses that several sources have", connections, queries, sources)


def _between(
    migration: Migration, connections: dict[str, psycopg.Connection], sources: dict[str, Source]
) -> list[dict[str, Any]]:
    compared: dict[str, dict[str, str]] = {}
    for path in files.files(f"{migration.migration}/assess/between", "*/*.sql"):
        *_, name, database = PurePosixPath(path).with_suffix("").parts
        compared.setdefault(name, {})[database] = path
    comparisons = []
    for paths in compared.values():
        queries = {name: files.statement(path) for name, path in paths.items() if name in connections}
        comparisons += _compared(_title(next(iter(paths.values()))), connections, queries, sources)
    return comparisons


def _compared(
    title: str,
    connections: dict[str, psycopg.Connection],
    queries: dict[str, sql.Composed],
    sources: dict[str, Source],
) -> list[dict[str, Any]]:
    """Keys that several sources have, and of these how many have another value somewhere; read side by side."""
    if len(queries) < 2:
        return []
    shared = different = 0
    try:
        with ExitStack() as stack:
            streams = [_stream(stack, connections[name], query, name) for name, query in queries.items()]
            for _, group in groupby(heapq.merge(*streams), key=lambda row: row[0]):
                rows = list(group)
                if len({name for _, name, _ in rows}) > 1:
                    shared += 1
                    different += len({value for _, _, value in rows}) > 1
    except psycopg.Error as error:
        for name in queries:
            sources[name].problems.append(f"{title} ({type(error).__name__})")
        return []
    return [{"title": title, "shared": shared, "different": different, "of": list(queries)}]


def _stream(
    stack: ExitStack, connection: psycopg.Connection, query: sql.Composed, name: str
) -> Iterator[tuple[str, str, str]]:
    """(key, source, value) in the order of the keys."""
    stack.enter_context(connection.transaction())
    cursor = stack.enter_context(connection.cursor(name="compared"))
    cursor.itersize = _FETCHED
    cursor.execute(query)
    return ((key, name, value or "") for key, value in cursor)


def _title(path: str) -> str:
    """What a query of the folder ``assess`` is about: its first line."""
    return files.text(path).splitlines()[0].removeprefix("--").strip()
