"""The application's own expressions, evaluated as the application: never with the engine's rights.

A check constraint, a generated column or a domain may call a function that the tables' owner can change at any time.
``set role`` would be no boundary, since that function can set it back; inside a SECURITY DEFINER function it cannot.
So such a statement runs in one, which belongs to the owner and is made, used and dropped in one transaction.

Into tables that are not the set's the engine writes itself: accounts, and rows outside that follow the set. What would
run there with its rights is refused; and that it has not become something else meanwhile is looked at afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.connect import SEARCH_PATH
from cutover.errors import CutoverError

# Where the function lies; the schema comes and goes in the same transaction, and nobody else ever sees it.
_SCHEMA = "cutover_as_owner"


@dataclass(frozen=True)
class ForeignCode:
    """A function that a lesser role can change, and the expression of a table that calls it.

    ``kind`` is check, default, generated, index, statistics, domain, range, trigger or rule; ``name`` the constraint's,
    column's, index's, trigger's or rule's. ``tree`` is an index's or statistics' expression as the catalogue keeps it;
    ``version`` tells one text of the function from the next. ``is_ours``: the engine may do what the table's owner may.
    """

    relation: int
    table_name: str
    kind: str
    name: str
    function_oid: int
    function: str
    function_owner: str
    is_definer: bool
    version: str
    table_owner: str
    is_ours: bool
    tree: str | None

    @property
    def refused(self) -> bool:
        """Of a table of the set: whether it would run with the engine's rights, whatever is done to prevent it.

        Checks, indexes and statistics are built as the owner. What is evaluated for each row that is loaded is not;
        nor is a call without any column in it, which the planner makes for whoever queries the table at all.
        """
        if self.kind in ("index", "statistics"):
            return _is_folded(self.tree or "", self.function_oid)
        return self.kind in ("default", "generated", "domain")

    @property
    def runs_on_write(self) -> bool:
        """Of a table that the engine writes into itself: whether it would run with the engine's rights."""
        return self.kind not in ("statistics", "range") and not self.is_definer

    @property
    def runs_on_follow(self) -> bool:
        """The same, for rows that are only taken away, emptied, or put back: triggers are off meanwhile, if we may."""
        return self.runs_on_write and self.kind != "default" and not (self.kind == "trigger" and self.is_ours)


def foreign_code(connection: psycopg.Connection, tables: Sequence[int]) -> list[ForeignCode]:
    """What would run with the engine's rights if the engine wrote to these tables or built their expressions."""
    return [ForeignCode(**row) for row in catalog.rows(connection, "foreign_code", tables=list(tables))]


def _is_folded(tree: str, function: int) -> bool:
    """Whether an expression of the catalogue calls the function, or an operator of it, on constants alone."""
    for match in re.finditer(rf"{{(?:FUNCEXPR :funcid|OPEXPR :opno \d+ :opfuncid) {function} ", tree):
        depth, end = 0, match.start()
        while end < len(tree):
            depth += {"{": 1, "}": -1}.get(tree[end], 0)
            end += 1
            if depth == 0:
                break
        if "{VAR " not in tree[match.start() : end]:
            return True
    return False


def require_none(connection: psycopg.Connection, tables: Sequence[int]) -> None:
    """Raise CutoverError ``swap.foreign-code`` for the first expression that only the engine could evaluate."""
    for code in foreign_code(connection, tables):
        if code.refused:
            raise CutoverError("swap.foreign-code", *explained(connection, code))


# By oid: what it is called, and which version of it there was.
Functions = Mapping[int, tuple[str, str]]


def functions(connection: psycopg.Connection, tables: Sequence[int]) -> Functions:
    """What writing to these tables calls and a lesser role can replace."""
    return {code.function_oid: (code.function, code.version) for code in foreign_code(connection, tables)}


def require_same(connection: psycopg.Connection, before: Functions, tables: Sequence[int] = ()) -> None:
    """Raise CutoverError ``swap.foreign-code`` if one was replaced since: what has run is not what was judged.

    The same if writing to one of ``tables`` calls one that was not there: that table has been written to, so that
    nobody can have taken it away again.
    """
    versions: dict[int, str] = {}
    if before:
        parameters = {"functions": list(before)}
        versions = dict(connection.execute(files.statement("catalog/function_versions.sql"), parameters))
    other = [name for oid, (name, version) in before.items() if versions.get(oid) != version]
    if tables:
        other += [name for oid, (name, _) in functions(connection, tables).items() if oid not in before]
    if other:
        raise CutoverError(
            "swap.foreign-code",
            ", ".join(other),
            "it was replaced, or came, while the swap was writing to a table that calls it. Nothing was changed.",
            "find out who does that, then clear the task.",
        )


def explained(connection: psycopg.Connection, code: ForeignCode) -> tuple[str, str, str]:
    """The object, why it is refused, and what clears it."""
    engine = sql.Identifier(connection.info.user).as_string()
    return (
        f"{code.kind} {code.name} of {code.table_name}",
        f"it calls {code.function}, which {code.function_owner} can change at any time, and which would run with the "
        "engine's rights.",
        f"read the function, then let a role own it that may do as much: alter function {code.function} "
        f"owner to {engine};",
    )


def owner_of(connection: psycopg.Connection, relation: int) -> str:
    """The role that owns a relation."""
    row = connection.execute(files.statement("catalog/owner.sql"), {"relation": relation}).fetchone()
    assert row is not None
    return str(row[0])


def run(
    connection: psycopg.Connection,
    owner: str,
    statement: str | sql.Composed,
    *,
    search_path: str = SEARCH_PATH,
    reads: Iterable[tuple[str, str]] = (),
) -> int:
    """Run one statement, which has no parameters, as ``owner``. Returns the rows that it wrote.

    ``reads`` are (schema, table) of the engine's that the owner may read meanwhile: the grants are taken back in the
    same transaction, and no other session sees them. What the statement calls cannot become another role.
    """
    text = statement if isinstance(statement, str) else statement.as_string(connection)
    role, schema = sql.Identifier(owner), sql.Identifier(_SCHEMA)
    reads = list(reads)
    tables = [sql.Identifier(*name) for name in reads]
    schemas = [sql.Identifier(name) for name in sorted({schema_name for schema_name, _ in reads})]
    body = sql.SQL(
        "declare written bigint;\nbegin\nexecute {};\nget diagnostics written = row_count;\nreturn written;\nend"
    ).format(sql.Literal(text))
    with connection.transaction():
        for name in schemas:
            connection.execute(sql.SQL("grant usage on schema {} to {}").format(name, role))
        for name in tables:
            connection.execute(sql.SQL("grant select on table {} to {}").format(name, role))
        connection.execute(sql.SQL("create schema {}").format(schema))
        connection.execute(sql.SQL("grant usage, create on schema {} to {}").format(schema, role))
        connection.execute(
            sql.SQL(
                "create function {}.run() returns bigint language plpgsql security definer set search_path = {} as {}"
            ).format(schema, sql.SQL(search_path), sql.Literal(body.as_string(connection)))
        )
        connection.execute(sql.SQL("alter function {}.run() owner to {}").format(schema, role))
        row = connection.execute(sql.SQL("select {}.run()").format(schema)).fetchone()
        connection.execute(sql.SQL("drop schema {} cascade").format(schema))
        for name in tables:
            connection.execute(sql.SQL("revoke select on table {} from {}").format(name, role))
        for name in schemas:
            connection.execute(sql.SQL("revoke usage on schema {} from {}").format(name, role))
    assert row is not None
    return int(row[0])
