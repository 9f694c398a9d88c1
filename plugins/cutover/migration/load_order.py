"""Which staging table is loaded after which: read from the foreign keys of the staging DDL, never from a list.

A migration's folder ``include/sql/<migration>`` holds ``staging/<table>.sql`` (the DDL of each new table),
``transform/<table>.sql`` (the statement that fills it) and, where foreign keys form a circle,
``transform/<table>.<column>.sql`` (the statement that fills the column which was left empty to break it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Protocol

from cutover.database import statements as files
from cutover.errors import CutoverError

if TYPE_CHECKING:
    from sqlglot import exp


class Declaration(Protocol):
    """What the order depends on in a migration's declaration."""

    @property
    def migration(self) -> str:
        """The migration's name, which is its folder's."""

    @property
    def merge(self) -> Mapping[str, str]:
        """Staging table → production table (``users`` → ``auth.users``) for tables that are merged, not swapped."""


@dataclass(frozen=True, order=True)
class ForeignKey:
    """One foreign key of the staging DDL. ``target`` is qualified as written; ``nullable``: all columns may be null."""

    table: str
    columns: tuple[str, ...]
    target: str
    nullable: bool


@dataclass(frozen=True)
class LiveKey:
    """A foreign key of the staging DDL to a table of another schema.

    ``definition`` is the key as SQL, ``statement`` what ``split_foreign_keys`` has for it.
    """

    name: str
    target: str
    definition: str
    statement: str


@lru_cache(maxsize=256)
def foreign_keys(ddl: str) -> tuple[str, tuple[ForeignKey, ...]]:
    """The name of the table that ``ddl`` creates, and its foreign keys, sorted.

    ``ddl`` is one ``create table staging.<table> (...)`` statement, which other statements may follow. Raises
    CutoverError ``transform.unreadable-ddl`` when there is no such statement.
    """
    from sqlglot import exp

    _, create = _parse(ddl)
    table = create.this.this.name
    required = {part.name for key in create.this.find_all(exp.PrimaryKey) for part in key.expressions}
    references: list[tuple[tuple[str, ...], exp.Reference]] = []
    for column in create.this.find_all(exp.ColumnDef):
        for constraint in column.constraints:
            if isinstance(constraint.kind, exp.NotNullColumnConstraint | exp.PrimaryKeyColumnConstraint):
                required.add(column.name)
            elif isinstance(constraint.kind, exp.Reference):
                references.append(((column.name,), constraint.kind))
    for key in create.this.find_all(exp.ForeignKey):
        references.append((tuple(part.name for part in key.expressions), key.args["reference"]))
    keys = (
        ForeignKey(table, columns, _qualified(reference), nullable=not required.intersection(columns))
        for columns, reference in references
    )
    return table, tuple(sorted(keys))


@lru_cache(maxsize=256)
def split_foreign_keys(ddl: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The statements that make the table of ``ddl`` without foreign keys, and those that add the foreign keys.

    For a staging table that production does not have yet: it is loaded between the two. Foreign keys must be
    table constraints with a name. Raises CutoverError ``transform.unreadable-ddl``.
    """
    from sqlglot import exp

    statements, create = _parse(ddl)
    create = create.copy()
    table = create.this.this.sql(dialect="postgres")
    later: list[str] = []
    for constraint in list(create.this.find_all(exp.Constraint)):
        if constraint.find(exp.ForeignKey):
            later.append(_adding(table, constraint))
            constraint.pop()
    if create.find(exp.Reference):
        raise _unreadable(ddl, "it has a foreign key without a name.")
    others = (statement.sql(dialect="postgres", comments=False) for statement in statements[1:])
    return (create.sql(dialect="postgres", comments=False), *others), tuple(later)


@lru_cache(maxsize=256)
def live_keys(ddl: str) -> tuple[LiveKey, ...]:
    """The foreign keys of ``ddl`` to tables outside the staging schema, which a table gets when it is moved.

    Before that they would be in the application's way. Raises CutoverError ``transform.unreadable-ddl``.
    """
    from sqlglot import exp

    _, create = _parse(ddl)
    table = create.this.this
    keys = []
    for constraint in create.this.find_all(exp.Constraint):
        key = constraint.find(exp.ForeignKey)
        target = None if key is None else key.args["reference"].find(exp.Table)
        if key is not None and target is not None and target.db not in ("", table.db):
            keys.append(
                LiveKey(
                    constraint.name,
                    target.sql(dialect="postgres"),
                    key.sql(dialect="postgres", comments=False),
                    _adding(table.sql(dialect="postgres"), constraint),
                )
            )
    return tuple(keys)


def _adding(table: str, constraint: exp.Constraint) -> str:
    return f"alter table {table} add {constraint.sql(dialect='postgres')}"


@lru_cache(maxsize=256)
def columns(ddl: str) -> tuple[str, ...]:
    """The columns of the table that ``ddl`` creates. Raises CutoverError ``transform.unreadable-ddl``."""
    from sqlglot import exp

    _, create = _parse(ddl)
    return tuple(column.name for column in create.this.expressions if isinstance(column, exp.ColumnDef))


def _parse(ddl: str) -> tuple[list[exp.Expr], exp.Create]:
    """The statements of ``ddl``, and the first, which must create a table."""
    import sqlglot
    from sqlglot import exp

    try:
        statements = [statement for statement in sqlglot.parse(ddl, read="postgres") if statement is not None]
    except sqlglot.errors.SqlglotError as error:
        raise _unreadable(ddl, str(error).splitlines()[0]) from error
    create = statements[0] if statements else None
    if not isinstance(create, exp.Create) or create.kind != "TABLE" or not isinstance(create.this, exp.Schema):
        raise _unreadable(ddl, "its first statement is not a create table with a list of columns.")
    return statements, create


def load_dependencies(migration: Declaration) -> dict[str, set[str]]:
    """What each load step waits for: step → the steps before it. Steps are sorted by name.

    A step is a file of the folder ``transform`` without its ending: a table, or ``<table>.<column>`` where the
    circle of foreign keys is closed. Raises CutoverError: ``transform.cycle`` for a circle that no such file closes,
    ``transform.no-load`` for a staging table that nothing fills, ``transform.no-ddl`` for a load without a table,
    ``transform.no-key`` for a closing file without a foreign key.
    """
    ddl = {}
    for path in files.files(f"{migration.migration}/staging"):
        ddl[_stem(path)] = files.text(path)
        try:
            foreign_keys(ddl[_stem(path)])
        except CutoverError as error:
            raise CutoverError(error.code, f"include/sql/{path}, {error.obj}", error.why, error.remedy) from error
    loads = [_stem(path) for path in files.files(f"{migration.migration}/transform")]
    return dependencies(ddl, loads, migration.merge)


def steps(migration: Declaration) -> list[str]:
    """The load steps in an order that respects every foreign key; the same in every process.

    Of the steps that could come next, tables go before closing steps, and by name. Errors as load_dependencies.
    """
    return flat_order(load_dependencies(migration))


def flat_order(waits_for: Mapping[str, set[str]]) -> list[str]:
    """One order of the steps of load_dependencies."""
    sorter = TopologicalSorter(waits_for)
    sorter.prepare()
    order: list[str] = []
    ready: set[str] = set()
    while sorter.is_active():
        ready.update(sorter.get_ready())
        step = min(ready, key=lambda name: ("." in name, name))
        ready.remove(step)
        order.append(step)
        sorter.done(step)
    return order


def dependencies(ddl: Mapping[str, str], loads: Iterable[str], merge: Mapping[str, str]) -> dict[str, set[str]]:
    """load_dependencies over given texts: ``ddl`` by table, ``loads`` the steps, ``merge`` as in Declaration."""
    keys: list[ForeignKey] = []
    for table, text in ddl.items():
        named, own_keys = foreign_keys(text)
        if named != table:
            raise _unreadable(text, f"the file of table {table} creates table {named}.")
        keys.extend(own_keys)
    steps = set(loads)
    closing = {step for step in steps if "." in step}
    _require_every_load(set(ddl), steps, {f"{key.table}.{key.columns[0]}" for key in keys if key.nullable})
    tables = {f"staging.{table}": table for table in ddl} | {target: table for table, target in merge.items()}
    waits_for: dict[str, set[str]] = {step: set() for step in sorted(steps)}
    for key in keys:
        target = tables.get(key.target)
        step = f"{key.table}.{key.columns[0]}"
        if target is None or target == key.table:
            continue
        if step in closing and key.nullable:
            waits_for[step] |= {key.table, target}
        else:
            waits_for[key.table].add(target)
    try:
        TopologicalSorter(waits_for).prepare()
    except CycleError as error:
        circle = error.args[1]
        raise _unclosed(list(reversed(circle)), [key for key in keys if key.nullable]) from error
    return waits_for


def _require_every_load(tables: set[str], steps: set[str], closable: set[str]) -> None:
    """Every table has a load, and every load a table or a nullable foreign key column."""
    for table in sorted(tables - steps):
        raise CutoverError(
            "transform.no-load",
            f"staging table {table}",
            "nothing fills it: it would be swapped in empty.",
            f"add transform/{table}.sql, or remove staging/{table}.sql.",
        )
    for step in sorted(steps):
        if step.split(".")[0] not in tables:
            raise CutoverError(
                "transform.no-ddl",
                f"transform/{step}.sql",
                "there is no staging table of that name.",
                f"add staging/{step.split('.')[0]}.sql, or rename the file.",
            )
        if "." in step and step not in closable:
            raise CutoverError(
                "transform.no-key",
                f"transform/{step}.sql",
                "no foreign key of the staging DDL has this column, left nullable, in it.",
                "name the file <table>.<column>.sql after the foreign key that closes the circle.",
            )


def _unclosed(circle: list[str], nullable: list[ForeignKey]) -> CutoverError:
    members = set(circle)
    candidates = sorted(
        f"transform/{key.table}.{key.columns[0]}.sql"
        for key in nullable
        if key.table in members and key.target.split(".")[-1] in members
    )
    remedy = (
        f"leave a nullable column empty at first and fill it afterwards: add {' or '.join(candidates)}."
        if candidates
        else "make one of its foreign key columns nullable, and add a file that fills it afterwards."
    )
    return CutoverError(
        "transform.cycle",
        " → ".join(circle),
        "these tables refer to each other in a circle: none can be first.",
        remedy,
    )


def _unreadable(ddl: str, why: str) -> CutoverError:
    first_line = next((line for line in ddl.splitlines() if line.strip()), "an empty file")
    return CutoverError(
        "transform.unreadable-ddl",
        f"staging DDL beginning {first_line[:80]!r}",
        why,
        "write it as one create table staging.<table> (...) statement in a file of the table's name.",
    )


def _qualified(reference: exp.Reference) -> str:
    from sqlglot import exp

    table = reference.find(exp.Table)
    assert table is not None
    return f"{table.db}.{table.name}" if table.db else table.name


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[1].removesuffix(".sql")
