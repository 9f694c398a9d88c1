"""What a table looks like, read from the catalogue: enough to write its definition, its load and its suite."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.database.connect import Connect, opened
from cutover.errors import CutoverError

# An ordinary table; all others hold no rows of their own, or share them.
_ORDINARY = "r"
# What PostgreSQL writes in capitals stands outside quotes; within them every letter counts.
_QUOTED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")""")
_ONE_OF = re.compile(r"^check \(\(\(?(\w+)\)?(?:::[a-z ]+)? = any \(+array\[(.*?)\](?:\)?::[a-z ]+\[\])?\)+$")
_TEXT = re.compile(r"'((?:[^']|'')*)'(?:::[a-z ]+)?")


@dataclass(frozen=True)
class Column:
    """One column. ``written`` is its name as SQL."""

    name: str
    written: str
    type: str
    is_array: bool = False
    is_required: bool = False
    expression: str | None = None
    is_generated: bool = False
    identity: str | None = None
    is_built_in: bool = True

    @property
    def definition(self) -> str:
        """As a ``create table`` statement has it."""
        # the short name of the one type whose long name the engine's reader of DDL does not know
        parts = [self.written, self.type.replace("bit varying", "varbit")]
        if self.is_generated:
            parts.append(f"generated always as ({self.expression}) stored")
        elif self.identity:
            parts.append(f"generated {self.identity} as identity")
        elif self.expression is not None:
            parts.append(f"default {lowered(self.expression)}")
        if self.is_required:
            parts.append("not null")
        return " ".join(parts)


@dataclass(frozen=True)
class Constraint:
    """A key (kind ``p``), uniqueness (``u``), check (``c``) or foreign key (``f``) of a table."""

    written: str
    kind: str
    definition: str
    columns: tuple[str, ...]
    # (schema, table) that a foreign key refers to, and the same as SQL
    target: tuple[str, str] | None = None
    target_written: str = ""

    @property
    def allowed(self) -> tuple[str, ...]:
        """The only texts that a check lets through, if it is such a check."""
        match = _ONE_OF.match(self.definition) if self.kind == "c" else None
        return tuple(text.replace("''", "'") for text in _TEXT.findall(match[2])) if match else ()


@dataclass(frozen=True)
class Shape:
    """A table's columns and constraints."""

    schema: str
    table: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...]
    is_empty: bool = False

    @property
    def key(self) -> tuple[Column, ...]:
        """The columns of its primary key, in their order."""
        names = next((c.columns for c in self.constraints if c.kind == "p"), ())
        return tuple(self.column(name) for name in names)

    @property
    def loaded(self) -> tuple[Column, ...]:
        """The columns that a load fills: all but those that PostgreSQL computes."""
        return tuple(column for column in self.columns if not column.is_generated)

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)

    def foreign_keys(self) -> tuple[Constraint, ...]:
        """Its foreign keys, by name."""
        return tuple(constraint for constraint in self.constraints if constraint.kind == "f")


def lowered(expression: str) -> str:
    """SQL as PostgreSQL writes it, with keywords in small letters; what is quoted stays as it is."""
    parts = _QUOTED.split(expression)
    return "".join(part if place % 2 else part.lower() for place, part in enumerate(parts))


def minimal(schema: str, table: str) -> Shape:
    """A table about which nothing is known yet: an id, and the whole row as its source shows it."""
    return Shape(
        schema,
        table,
        (Column("id", "id", "text", is_required=True), Column("content", "content", "jsonb", is_required=True)),
        (Constraint(f"{table}_pkey", "p", "primary key (id)", ("id",)),),
    )


def read(connect: Connect, schema: str, table: str, connection_id: str) -> Shape:
    """The shape of a table. ``connection_id`` is the Airflow connection's, for messages.

    Raises:
        CutoverError: ``new.no-such-table``; ``new.not-a-table`` for a view, a partition and the like;
            ``new.no-primary-key``.
    """
    name = f"{schema}.{table}"
    with opened(connect) as connection:
        connection.read_only = True
        rows = _rows(connection, "table", schema=schema, table=table)
        if not rows:
            raise CutoverError(
                "new.no-such-table",
                name,
                f"the database behind connection {connection_id} has no such table, or hides its schema from us.",
                f"write it as schema.table; or name another connection; or, as the schema's owner: "
                f"grant usage on schema {sql.Identifier(schema).as_string()} to the connection's role.",
            )
        (there,) = rows
        if there["kind"] != _ORDINARY or there["is_inherited"]:
            raise CutoverError(
                "new.not-a-table",
                name,
                "it is no table by itself (a view, a partitioned table, a partition, or one that inherits).",
                "name a plain table; docs/dependents.md says what becomes of what depends on one.",
            )
        shape = Shape(
            schema,
            table,
            tuple(Column(**row) for row in _rows(connection, "columns", oid=there["oid"])),
            tuple(_constraint(row) for row in _rows(connection, "constraints", oid=there["oid"])),
            is_empty=_is_empty(connection, schema, table),
        )
    if not shape.key:
        raise CutoverError(
            "new.no-primary-key",
            name,
            "it has no primary key: nothing would tell which row a captured write is about.",
            f"alter table {there['written']} add primary key (...), and try again.",
        )
    return shape


def as_source(shape: Shape) -> Shape:
    """The same for a database that does not have the table: without what only its own database could give."""
    columns = tuple(
        replace(
            column,
            identity=None,
            expression=None if column.expression and "nextval(" in column.expression else column.expression,
        )
        for column in shape.columns
        if column.is_built_in or column.is_array
    )
    names = {column.name for column in columns}
    constraints = tuple(c for c in shape.constraints if names.issuperset(c.columns))
    return replace(shape, columns=columns, constraints=constraints)


def named(shape: Shape, schema: str, table: str) -> Shape:
    """The same under another name, as a table that is not there yet; its foreign keys still name the source's."""
    return replace(shape, schema=schema, table=table, is_empty=False)


def _constraint(row: dict[str, Any]) -> Constraint:
    target = (str(row["referenced_schema"]), str(row["referenced_table"])) if row["kind"] == "f" else None
    return Constraint(
        str(row["written"]),
        str(row["kind"]),
        lowered(str(row["definition"])),
        tuple(row["columns"]),
        target,
        str(row["referenced"]) if target else "",
    )


def _rows(connection: psycopg.Connection, query: str, **values: object) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement(f"scaffold/{query}.sql"), values).fetchall()


def _is_empty(connection: psycopg.Connection, schema: str, table: str) -> bool:
    try:
        with connection.transaction():
            row = connection.execute(
                files.statement("scaffold/is_empty.sql", table=sql.Identifier(schema, table))
            ).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        # preflight names the right that is missing
        return False
    return bool(row and row[0])
