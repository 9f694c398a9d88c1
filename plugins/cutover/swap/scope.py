"""Which tables take part in a swap, where they come from and go to, and what is bound to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from cutover.database import catalog


@dataclass(frozen=True)
class SwappedTable:
    """One table of the set. ``outgoing`` and ``incoming`` are oids; None where there is no such table.

    Without ``outgoing`` the table is new; without ``incoming`` it disappears into the backup.
    """

    schema: str
    name: str
    outgoing: int | None
    incoming: int | None

    @property
    def qualified(self) -> str:
        """The production name, quoted where it must be."""
        return sql.Identifier(self.schema, self.name).as_string()


@dataclass(frozen=True)
class Dependent:
    """An object bound to a swapped table by identity: it would follow the old table into the backup."""

    kind: str
    oid: int
    name: str
    binding: str
    depth: int


@dataclass(frozen=True)
class Scope:
    """A set of tables with all that is bound to it, read from the catalogue at one moment.

    ``tables`` stand in foreign-key order, parents first. ``merged`` are live tables that receive rows and are
    never replaced, ``written`` all that the migration's own statements write to (their oids). Rows come from
    ``incoming_schema`` and go to ``backup_schema``.
    """

    tables: tuple[SwappedTable, ...]
    merged: tuple[int, ...]
    written: tuple[int, ...]
    incoming_schema: str
    backup_schema: str
    dependents: tuple[Dependent, ...] = field(default=())

    @property
    def outgoing(self) -> list[int]:
        """Oids of the production tables that move out."""
        return [table.outgoing for table in self.tables if table.outgoing is not None]

    @property
    def replaced(self) -> list[int]:
        """Oids of the production tables that have a successor."""
        return [table.outgoing for table in self.tables if table.outgoing is not None and table.incoming is not None]

    @property
    def arriving(self) -> list[int]:
        """Oids of the incoming tables without a predecessor."""
        return [table.incoming for table in self.tables if table.outgoing is None and table.incoming is not None]

    @property
    def disappearing(self) -> list[int]:
        """Oids of the production tables without a successor."""
        return [table.outgoing for table in self.tables if table.outgoing is not None and table.incoming is None]

    @property
    def rebuilt(self) -> list[int]:
        """Oids of the materialized views that are made anew over the incoming tables, lowest first."""
        return self.bound("materialized view", "direct")

    def bound(self, kind: str, binding: str | None = None) -> list[int]:
        """Oids of the dependents of one kind (and binding), lowest first."""
        return [d.oid for d in self.dependents if d.kind == kind and binding in (None, d.binding)]


def read(
    connection: psycopg.Connection,
    tables: Sequence[tuple[str, str]],
    *,
    incoming_schema: str,
    backup_schema: str,
    merged: Iterable[tuple[str, str]] = (),
    written: Iterable[tuple[str, str]] = (),
    companions: Iterable[tuple[str, str]] = (),
) -> Scope:
    """Read the scope of the given (schema, table) names from the live catalogue.

    ``companions`` are views that came with a new table of the set: where such a table disappears again they go
    with it, and are no dependents. Names in ``incoming_schema`` are the tables' own. Leaves the session's
    search_path empty, so that every definition read afterwards names its objects in full.
    """
    connection.execute("set search_path = ''")
    swapped = tuple(
        SwappedTable(
            schema,
            name,
            _oid(connection, sql.Identifier(schema, name)),
            _oid(connection, sql.Identifier(incoming_schema, name)),
        )
        for schema, name in tables
    )
    outgoing = [table.outgoing for table in swapped if table.outgoing is not None]
    dependents = _dependents(connection, outgoing, incoming_schema, backup_schema)
    if any(table.outgoing is not None and table.incoming is None for table in swapped):
        leaving = {_oid(connection, sql.Identifier(schema, name)) for schema, name in companions}
        dependents = tuple(dependent for dependent in dependents if dependent.oid not in leaving)
    receiving = _oids(connection, merged)
    return Scope(
        swapped,
        receiving,
        tuple(dict.fromkeys((*receiving, *_oids(connection, written)))),
        incoming_schema,
        backup_schema,
        dependents,
    )


def _dependents(
    connection: psycopg.Connection, outgoing: list[int], incoming_schema: str, backup_schema: str
) -> tuple[Dependent, ...]:
    """What is bound to the tables, and to the materialized views over them, which are made anew like the tables."""
    replaced = set(outgoing)
    while True:
        rows = catalog.rows(
            connection,
            "dependents",
            tables=sorted(replaced),
            incoming_schema=incoming_schema,
            backup_schema=backup_schema,
        )
        dependents = tuple(Dependent(**row) for row in rows)
        rebuilt = {d.oid for d in dependents if d.kind == "materialized view" and d.binding == "direct"}
        if rebuilt <= replaced:
            return dependents
        replaced |= rebuilt


def _oids(connection: psycopg.Connection, names: Iterable[tuple[str, str]]) -> tuple[int, ...]:
    """Of those that there are."""
    oids = (_oid(connection, sql.Identifier(schema, name)) for schema, name in names)
    return tuple(oid for oid in oids if oid is not None)


def _oid(connection: psycopg.Connection, name: sql.Identifier) -> int | None:
    row = connection.execute("select to_regclass(%s)::oid", (name.as_string(),)).fetchone()
    return None if row is None or row[0] is None else int(row[0])
