"""What each file of a new migration says: the parts that templates put together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from cutover.errors import CutoverError
from cutover.migration import load_order
from cutover.scaffold.answers import FILES, HTTP, POSTGRES, TARGET, Answers, Table
from cutover.scaffold.shape import Column, Constraint, Shape

# Columns that every raw table of an API has; a column of the row with one of these names gets another.
_OF_RAW = frozenset(("id", "api_response", "content_hash", "sync_id", "page_no", "api_synced_at", "gone_at"))
_WHOLE_NUMBERS = frozenset(("smallint", "integer", "bigint"))
# As `migration.source.Name`; a file may call the column otherwise.
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
# As `migration.tables.ColumnType` lets through.
_DECLARABLE = re.compile(r"[a-z][a-z0-9_ .]*(\(\d+(,\d+)?\))?( with(out)? time zone)?(\[\])?")
# A guess, for whoever writes the migration to correct: columns whose names speak of a person.
_PERSONAL = re.compile(r"(^|_)(e?mail|phone|name|surname|address|birth\w*|ip|content|password\w*|token)(_|$)")
_MODIFIED = ("updated_at", "updated", "modified_at", "modified")
_MOMENTS = ("timestamp with time zone", "timestamp without time zone")


@dataclass(frozen=True)
class RawColumn:
    """A column of an API's raw table: its name there, its type, and how it is read from ``api_response``."""

    written: str
    type: str
    value: str


@dataclass(frozen=True)
class Part:
    """One column of a load: its name, and what fills it. ``joined``: production's own value is asked, too."""

    written: str
    value: str
    joined: bool = False


@dataclass(frozen=True)
class Closing:
    """A foreign key that closes a circle: it stays empty in the load, and this step fills it."""

    step: str
    columns: tuple[str, ...]
    target: str


class Plan:
    """One table with everything that its files say. ``closings`` are the foreign keys that its load leaves empty."""

    def __init__(self, table: Table, set_of: Sequence[Table]) -> None:
        self.table = table
        self.shape = table.shape
        self.origin = table.origin
        self.raw = table.raw
        self.name = table.shape.table
        self.live = f"live_{self.name}"
        self.closings: list[Closing] = []
        self._set = set_of

    # where rows come from

    @property
    def input(self) -> str:
        """The table of schema ``input`` that holds the rows of its origin."""
        return self.live if self.origin.kind == TARGET else self.raw

    @property
    def keeps(self) -> bool:
        """Whether rows that only production has stay: not where production is the origin."""
        return self.origin.kind != TARGET

    @property
    def is_minimal(self) -> bool:
        """Whether nothing is known of its columns yet."""
        return not self.table.is_live and self.table.source is None

    @cached_property
    def api_key(self) -> tuple[str, str]:
        """The member that is a row's id in an API, and the type of ``raw``'s id: text, or bigint."""
        if len(self.shape.key) != 1:
            return "id", "text"
        (key,) = self.shape.key
        return key.name, "bigint" if key.type in _WHOLE_NUMBERS else "text"

    @cached_property
    def modified(self) -> str | None:
        """The column by which a source's table tells when a row was last changed."""
        return next(
            (name for name in _MODIFIED for c in self.source.columns if c.name == name and c.type in _MOMENTS), None
        )

    @property
    def source(self) -> Shape:
        """The shape of the table that is copied."""
        return self.table.source or self.shape

    @cached_property
    def declared(self) -> list[Column]:
        """The source's columns that are copied."""
        columns = self.shape.loaded if self.origin.kind == FILES else self.source.columns
        of_files = self.origin.kind == FILES
        return [
            column
            for column in columns
            if _DECLARABLE.fullmatch(column.type) and (not of_files or _NAME.fullmatch(column.name))
        ]

    @cached_property
    def ignored(self) -> list[str]:
        """The source's columns that are left where they are: of types that only its own database has."""
        return [column.name for column in self.source.columns if column not in self.declared]

    @cached_property
    def raw_columns(self) -> list[RawColumn]:
        """Of an API's raw table, beside the id and what tells where a row comes from."""
        key = self.api_key[0]
        return [
            RawColumn(_raw_name(c), _raw_type(c), _from_response(c))
            for c in self.shape.loaded
            if c.name != key and not self.is_minimal
        ]

    @cached_property
    def frozen(self) -> list[Part]:
        """The columns of an API's rows under the names and types that the target has for them."""
        key, kind = self.api_key
        parts = []
        for column in self.shape.loaded:
            if column.name == key:
                parts.append(Part(column.written, _cast("id", kind, column.type)))
            elif self.is_minimal:
                parts.append(Part(column.written, "api_response"))
            else:
                parts.append(Part(column.written, _cast(_raw_name(column), _raw_type(column), column.type)))
        return parts

    # what is written

    @property
    def key(self) -> list[str]:
        """The columns of the primary key, as SQL."""
        return [column.written for column in self.shape.key]

    @property
    def key_type(self) -> str | None:
        """The key's type, if it is one column."""
        return self.shape.key[0].type if len(self.shape.key) == 1 else None

    @property
    def overriding(self) -> bool:
        """Whether a load writes a column that PostgreSQL would number itself."""
        return any(column.identity == "always" for column in self.loaded)

    @property
    def loaded(self) -> list[Column]:
        """The columns that the load fills."""
        later = {name for closing in self.closings for name in closing.columns}
        return [column for column in self.shape.loaded if column.name not in later]

    def definitions(self) -> list[str]:
        """The lines of the staging DDL: columns, then constraints."""
        columns = [column.definition for column in self.shape.columns]
        constraints = [definition for definition in map(self._definition, self.shape.constraints) if definition]
        return [*columns, *(one for one in constraints if _readable(self.name, columns, one))]

    def left_out(self) -> list[str]:
        """Constraints of production that the staging DDL does not have: the new table gets them all the same."""
        columns = [column.definition for column in self.shape.columns]
        return [
            constraint.written
            for constraint in self.shape.constraints
            if (definition := self._definition(constraint)) is None or not _readable(self.name, columns, definition)
        ]

    def parts(self, names: Iterable[str] | None = None) -> list[Part]:
        """What fills the columns of the load, or those of ``names``."""
        wanted = self.loaded if names is None else [self.shape.column(name) for name in names]
        return [Part(column.written, *self._value(column)) for column in wanted]

    def unfilled(self) -> list[str]:
        """Columns that must not be empty, and that neither the source nor a default fills."""
        return [
            column.name
            for column in self.loaded
            if column.is_required and column.expression is None and not self._has(column)
        ]

    def personal(self) -> list[str]:
        """The target's columns that may hold something of a person."""
        return [column.name for column in self.shape.columns if _PERSONAL.search(column.name)]

    def drop_personal(self) -> list[str]:
        """The same of those that files have."""
        names = {column.name for column in self.declared}
        return [name for name in self.personal() if name in names]

    def raw_personal(self) -> list[str]:
        """The same of an API's raw table, which has the whole response besides."""
        names = {_raw_name(column) for column in self.shape.loaded if column.name in self.personal()}
        return [*(column.written for column in self.raw_columns if column.written in names), "api_response"]

    def suite(self) -> dict[str, object]:
        """Its expectations: what the catalogue says of not-null and unique columns, and of checks that list values."""
        expectations: list[dict[str, object]] = [
            _expectation("expect_column_values_to_not_be_null", column=column.name)
            for column in self.shape.columns
            if column.is_required
        ]
        for constraint in self.shape.constraints:
            if constraint.kind in "pu" and len(constraint.columns) == 1:
                expectations.append(_expectation("expect_column_values_to_be_unique", column=constraint.columns[0]))
            elif constraint.kind in "pu":
                expectations.append(
                    _expectation("expect_compound_columns_to_be_unique", column_list=list(constraint.columns))
                )
            elif constraint.allowed and len(constraint.columns) == 1:
                values = list(constraint.allowed)
                column = constraint.columns[0]
                expectations.append(_expectation("expect_column_values_to_be_in_set", column=column, value_set=values))
        meta = {"personal": self.personal(), "parameters": {}}
        return {"name": self.name, "meta": meta, "expectations": expectations}

    # how

    def _definition(self, constraint: Constraint) -> str | None:
        """A constraint as the staging DDL has it; None for a foreign key to a table that is not there."""
        if constraint.kind != "f":
            return f"constraint {constraint.written} {constraint.definition}"
        inside = self._inside(constraint)
        if inside is None and not self.table.is_live:
            return None
        target = constraint.target_written if inside is None else f"staging.{inside}"
        definition = constraint.definition.replace(f"references {constraint.target_written}(", f"references {target} (")
        return f"constraint {constraint.written} {definition}"

    def _inside(self, constraint: Constraint) -> str | None:
        """The table of the set that a foreign key refers to; None if it is another."""
        for other in self._set:
            if self.table.is_live:
                known = (other.shape.schema, other.shape.table) if other.is_live else None
            else:
                same = other.source is not None and other.origin.connection == self.origin.connection
                known = (other.source.schema, other.source.table) if same and other.source else None
            if known == constraint.target:
                return other.shape.table
        return None

    def _has(self, column: Column) -> bool:
        """Whether the origin has the column, as far as is known: what an API shows is not."""
        if self.origin.kind in (POSTGRES, FILES):
            return any(other.name == column.name for other in self.declared)
        return True

    def _value(self, column: Column) -> tuple[str, bool]:
        """What fills a column: the source's value; where it says none, production's; then the default.

        Also whether production's is among them.
        """
        values, joined = [], False
        if self._has(column):
            kind = column.type
            if self.origin.kind == POSTGRES:
                kind = next(other.type for other in self.declared if other.name == column.name)
            values.append(_cast(f"s.{column.written}", kind, column.type))
        is_key = column in self.shape.key
        if self.keeps and not is_key and not self.is_minimal and (self.origin.kind == HTTP or not values):
            values.append(f"l.{column.written}")
            joined = True
        if self.keeps and column.is_required and column.expression and not is_key:
            values.append(column.expression)
        return (values[0] if len(values) == 1 else f"coalesce({', '.join(values)})"), joined


def plans(answers: Answers) -> list[Plan]:
    """A plan for each table, with the circles of foreign keys between them closed.

    Raises CutoverError ``new.circle`` for one in which no column may be empty, and ``new.unreadable-column``.
    """
    made = {table.shape.table: Plan(table, answers.tables) for table in answers.tables}
    for plan in made.values():
        _require_readable(plan)
    ddl = {name: ddl_of(plan) for name, plan in made.items()}
    while True:
        loads = [*made, *(closing.step for plan in made.values() for closing in plan.closings)]
        try:
            load_order.dependencies(ddl, loads, {})
        except CutoverError as error:
            if error.code != "transform.cycle":
                raise
            circle = set(error.obj.split(" → "))
        else:
            return list(made.values())
        _close(made, circle, set(loads))


def ddl_of(plan: Plan) -> str:
    """The statement of a table's staging DDL."""
    lines = ",\n    ".join(plan.definitions())
    return f"create table staging.{plan.name} (\n    {lines}\n);\n"


def _close(made: dict[str, Plan], circle: set[str], steps: set[str]) -> None:
    for name in sorted(circle):
        for key in load_order.foreign_keys(ddl_of(made[name]))[1]:
            step, target = f"{name}.{key.columns[0]}", key.target.removeprefix("staging.")
            if key.nullable and target in circle - {name} and step not in steps:
                made[name].closings.append(Closing(step, key.columns, target))
                return
    raise CutoverError(
        "new.circle",
        ", ".join(sorted(circle)),
        "their foreign keys form a circle in which no column may be empty: none of the tables could be loaded first.",
        "let one of these columns be null (alter table ... alter column ... drop not null), and try again.",
    )


def _require_readable(plan: Plan) -> None:
    for column in plan.shape.columns:
        if not _readable(plan.name, [], column.definition):
            raise CutoverError(
                "new.unreadable-column",
                f"{plan.shape.schema}.{plan.name}, column {column.name}",
                f"the engine cannot read its definition in a file of staging DDL: {column.definition}.",
                "take a table without it, or write the files by hand after those of another migration.",
            )


def _readable(table: str, columns: Sequence[str], definition: str) -> bool:
    """Whether the engine can read a constraint in the DDL."""
    try:
        load_order.split_foreign_keys(f"create table staging.{table} ({', '.join([*columns, definition])})")
    except CutoverError:
        return False
    return True


def _cast(value: str, kind: str, wanted: str) -> str:
    return value if kind == wanted else f"{value}::{wanted}"


def _raw_name(column: Column) -> str:
    return f"its_{column.name}" if column.name in _OF_RAW else column.written


def _raw_type(column: Column) -> str:
    return column.type if column.is_built_in or column.is_array else "text"


def _from_response(column: Column) -> str:
    """How a column's value is read from a row of an API."""
    member = "'" + column.name.replace("'", "''") + "'"
    if column.is_array:
        return (
            f"case when jsonb_typeof(api_response -> {member}) = 'array' "
            f"then array(select jsonb_array_elements_text(api_response -> {member}))::{column.type} end"
        )
    if column.type in ("json", "jsonb"):
        return _cast(f"nullif(api_response -> {member}, 'null')", "jsonb", column.type)
    kind = _raw_type(column)
    return f"api_response ->> {member}" if kind == "text" else f"(api_response ->> {member})::{kind}"


def _expectation(kind: str, **arguments: object) -> dict[str, object]:
    return {"type": kind, "kwargs": arguments}
