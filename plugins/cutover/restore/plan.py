"""What is not as it was: rows of people in production beside those of the backup, found by reading alone."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.person import Person, Table, digests_of, follow, is_theirs
from cutover.records import NEWEST_LAUNCH, ledger
from cutover.restore.people import People
from cutover.rollback import undoable

if TYPE_CHECKING:
    from cutover.migration import Migration

# A primary key, as text.
Key = tuple[str, ...]
CHANGE, COME, GO = "change", "come", "go"
# A value that stands in the image of a row as it is, without quotes or anything doubled.
_PLAIN = re.compile(r"[\w.:+@/-]+")


@dataclass(frozen=True)
class Row:
    """A row that is not as it was: where it lies in production and in the backup, and what it is there, as digests."""

    key: Key
    place: str | None = None
    source: str | None = None
    now: str | None = None
    before: str | None = None


@dataclass(frozen=True)
class Refusal:
    """A row that cannot be as it was, why, and what clears that."""

    table: str
    key: str
    why: str
    remedy: str

    def __str__(self) -> str:
        """A line of it."""
        return f"{self.table} {self.key}: {self.why} To clear it: {self.remedy}"


@dataclass
class Restored:
    """A table, and what of it is not as it was: operation → rows. ``same``: how many are."""

    schema: str
    name: str
    oid: int
    owner: str
    backup_schema: str
    key: list[str]
    all_columns: list[str]
    columns: list[str]
    always: list[str]
    lost_columns: list[str]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    same: int = 0
    # keys of rows that were written since the launch
    written: set[Key] = field(default_factory=set)

    @property
    def full(self) -> str:
        """Its name with its schema, for people."""
        return f"{self.schema}.{self.name}"

    @property
    def live(self) -> sql.Identifier:
        """The table of production."""
        return sql.Identifier(self.schema, self.name)

    @property
    def copy(self) -> sql.Identifier:
        """Its predecessor, in the backup."""
        return sql.Identifier(self.backup_schema, self.name)

    def listed(self, names: Sequence[str], alias: str = "t", *, as_text: bool = False) -> sql.Composed:
        """Columns, for statements."""
        one = "{}::text" if as_text else "{}"
        return sql.SQL(", ").join(sql.SQL(one).format(sql.Identifier(alias, name)) for name in names)

    def as_dict(self) -> dict[str, Any]:
        """Figures alone."""
        counts = {operation: len(self.rows[operation]) for operation in (CHANGE, COME, GO)}
        written = {
            operation: sum(row.key in self.written for row in self.rows[operation]) for operation in (CHANGE, COME, GO)
        }
        return {
            **counts,
            "same": self.same,
            # written by somebody since the launch: kept aside
            "lost": written[CHANGE] + written[GO],
            # taken away by somebody since the launch
            "deleted_since": written[COME],
            "lost_columns": self.lost_columns,
        }


@dataclass
class Plan:
    """What restoring would do. ``source`` is the entry of the ledger whose backup the rows are from."""

    source: ledger.Entry
    migration: str
    of: People
    digests: list[str]
    tables: list[Restored]
    # tables that had no predecessor: they stay as they are
    new_tables: list[str]
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def people(self) -> int:
        """How many people."""
        return len(self.of.each)

    @property
    def rows(self) -> int:
        """How many rows are not as they were."""
        return sum(len(rows) for table in self.tables for rows in table.rows.values())

    @property
    def fingerprint(self) -> str:
        """Of what would be done: every row with what it is and was."""
        content = [
            self.migration,
            self.source.run,
            sorted(self.digests),
            [
                [
                    table.full,
                    table.columns,
                    *([o, sorted([r.key, r.now, r.before] for r in table.rows[o])] for o in (CHANGE, COME, GO)),
                ]
                for table in self.tables
            ],
        ]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def counts(self) -> dict[str, dict[str, Any]]:
        """Table → figures."""
        return {table.full: table.as_dict() for table in self.tables}


def source_of(connection: psycopg.Connection, migration: Migration) -> ledger.Entry:
    """The launch before which people are to be as they were: the newest that has not been taken back.

    Raises CutoverError ``rollback.nothing-to-undo`` and ``rollback.backup-dropped``, or ``restore.first-launch`` where
    no table had a predecessor.
    """
    entry = undoable(connection, migration.migration, NEWEST_LAUNCH)
    if all(table["outgoing"] is None for table in entry.tables):
        raise CutoverError(
            "restore.first-launch",
            f"{entry.action} {entry.run} of {migration.migration}",
            "it was the first: none of its tables had a predecessor, so nothing was there before it, for anybody.",
            "what one person has is corrected by the application; to have all of it away, trigger the rollback.",
        )
    return entry


def make(connection: psycopg.Connection, migration: Migration, people: People) -> Plan:
    """Compare the people's rows with those of the backup, as this transaction sees them.

    Raises as ``source_of`` does, CutoverError ``restore.table-remade``, ``restore.has-rules``, ``restore.no-key``, and
    ``restore.nobody-there`` for people of whom the backup has nothing.
    """
    source = source_of(connection, migration)
    tables = tables_of_entry(connection, source)
    plan = Plan(
        source=source,
        migration=migration.migration,
        of=people,
        digests=digests_of(connection, people.together),
        tables=tables,
        new_tables=[f"{t['schema']}.{t['name']}" for t in source.tables if t["outgoing"] is None],
    )
    _require_everybody_there(connection, migration, people, plan)
    for table in tables:
        now = _rows(connection, table, table.live, people, None)
        before = _rows(connection, table, table.copy, people, source.xid)
        _compare(connection, plan, table, now, before)
        if any(table.rows.values()):
            table.written = _written(connection, plan, table)
    return plan


def tables_of_entry(connection: psycopg.Connection, source: ledger.Entry) -> list[Restored]:
    """The tables of a launch that had a predecessor. Raises as ``make`` does of them."""
    named = [table for table in source.tables if table["outgoing"] is not None]
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            files.statement("restore/tables.sql"),
            {
                "schemas": [table["schema"] for table in named],
                "tables": [table["name"] for table in named],
                "backup_schema": source.backup_schema,
            },
        ).fetchall()
    for row, table in zip(rows, named, strict=True):
        name = f"{table['schema']}.{table['name']}"
        if (row["oid"], row["backup_oid"]) != (table["incoming"], table["outgoing"]):
            raise CutoverError(
                "restore.table-remade",
                name,
                f"it is not the table that {source.action} {source.run} put in place, or its predecessor is not in "
                f"{source.backup_schema} any more.",
                "find out who has moved it; what people had before cannot be told until then.",
            )
        if row["has_rules"]:
            raise CutoverError(
                "restore.has-rules",
                name,
                "it has rules, which would do something else than what is written to it.",
                "drop them for the time of this, or correct the rows through the application.",
            )
        if not row["key"]:
            raise CutoverError(
                "restore.no-key",
                name,
                "it has no primary key any more, so which row was which cannot be told.",
                "give it its key back.",
            )
    return [
        Restored(
            schema=row["schema_name"],
            name=row["table_name"],
            oid=row["oid"],
            owner=row["owner"],
            backup_schema=source.backup_schema,
            **{name: row[name] for name in ("key", "all_columns", "columns", "always", "lost_columns")},
        )
        for row in rows
    ]


def _rows(
    connection: psycopg.Connection,
    table: Restored,
    copy: sql.Identifier,
    people: People,
    but: str | None,
) -> dict[Key, tuple[str, str]]:
    """Key → where the row lies and its digest, of the people's rows in ``copy``."""
    known = next((known for known in people.tables if known.identifier == copy), None)
    condition = is_theirs(known, people.together) if known is not None else None
    if condition is None:
        return {}
    query = files.statement(
        "restore/rows.sql",
        copy=copy,
        key=table.listed(table.key),
        columns=table.listed(table.columns),
        condition=condition,
    )
    rows = connection.execute(query, {**people.together.parameters, "but": but}).fetchall()
    return {tuple(key): (place, digest) for key, place, digest in rows}


def _compare(
    connection: psycopg.Connection,
    plan: Plan,
    table: Restored,
    now: Mapping[Key, tuple[str, str]],
    before: Mapping[Key, tuple[str, str]],
) -> None:
    """Fill in what of the table is not as it was, and what cannot be because the row is somebody else's."""
    came = _there(connection, table, table.copy, now.keys() - before.keys(), plan.source.xid)
    gone = _there(connection, table, table.live, before.keys() - now.keys(), None)
    both = "name them in the list, too, or take out whoever had it then."
    for key in sorted(came):
        plan.refusals.append(Refusal(table.full, shown(key), "before the launch it was somebody else's row.", both))
    for key in sorted(gone):
        plan.refusals.append(Refusal(table.full, shown(key), "by now it is somebody else's row.", both))
    rows: dict[str, list[Row]] = {CHANGE: [], COME: [], GO: []}
    for key in sorted(now.keys() | before.keys()):
        if key in came or key in gone:
            continue
        place, is_now = now.get(key, (None, None))
        where, was = before.get(key, (None, None))
        if is_now == was:
            table.same += 1
            continue
        operation = CHANGE if place and where else COME if where else GO
        rows[operation].append(Row(key, place, where, is_now, was))
    table.rows = rows


def _there(
    connection: psycopg.Connection, table: Restored, copy: sql.Identifier, keys: set[Key], but: str | None
) -> set[Key]:
    """Which of the keys there are in ``copy``, whoever's they are."""
    if not keys:
        return set()
    query = files.statement("restore/there.sql", copy=copy, key=table.listed(table.key))
    rows = connection.execute(query, {"keys": as_json(keys), "but": but}).fetchall()
    return {tuple(key) for (key,) in rows}


def _written(connection: psycopg.Connection, plan: Plan, table: Restored) -> set[Key]:
    """Which of the rows that are not as they were somebody has written since the launch."""
    keys = {row.key for rows in table.rows.values() for row in rows}
    firsts = sorted({key[0] for key in keys})
    key = sql.SQL(", ").join(sql.SQL("w.image ->> {}").format(sql.Literal(name)) for name in table.key)
    given = {
        "relid": table.oid,
        "since": plan.source.snapshot,
        "but": plan.source.xid,
        "firsts": firsts,
        "is_plain": all(_PLAIN.fullmatch(first) for first in firsts),
    }
    answer = connection.execute(files.statement("restore/written.sql", key=key), given).fetchall()
    return keys & {tuple(written) for (written,) in answer}


def _require_everybody_there(connection: psycopg.Connection, migration: Migration, people: People, plan: Plan) -> None:
    """Raise unless the backup has rows of each of the people: as before would be to have nothing at all."""
    copies = [table for table in people.tables if table.schema == plan.source.backup_schema]
    account = migration.person.account if migration.person else ""
    addresses = _named_by(connection, copies, people.together, "address", plan.source.xid)
    accounts = _named_by(connection, copies, people.together, account, plan.source.xid)
    live = [table for table in people.tables if not table.is_ours]
    missing = []
    for number, person in enumerate(people.each, start=2):
        if person.known["address"] & addresses or person.known[account] & accounts:
            continue
        # by a key that only a further row of theirs tells
        follow(connection, migration, [*copies, *live], person)
        if not any(person.known[kind] & values for kind, values in (("address", addresses), (account, accounts))):
            missing.append(number)
    if missing:
        numbers = ", ".join(map(str, missing))
        raise CutoverError(
            "restore.nobody-there",
            f"line {numbers}" if len(missing) == 1 else f"lines {numbers}",
            f"{plan.source.backup_schema} has no row of theirs: before {plan.source.action} {plan.source.run} they "
            "had nothing here, and to be as before would be to lose everything.",
            "take them out of the list. Whoever is to be gone is deleted by the application.",
        )


def _named_by(connection: psycopg.Connection, copies: list[Table], person: Person, kind: str, but: str) -> set[str]:
    """The addresses, or the accounts, that stand in the people's rows of a backup."""
    values: set[str] = set()
    for table in copies:
        condition = is_theirs(table, person)
        for column in (name for name, of in table.leads.items() if of == kind and condition is not None):
            lead = sql.Identifier("t", column)
            value = "cutover.email_key({}::text)" if kind == "address" else "{}::text"
            query = files.statement(
                "restore/accounts.sql",
                copy=table.identifier,
                value=sql.SQL(value).format(lead),
                lead=lead,
                condition=condition or sql.SQL("false"),
            )
            values |= {value for (value,) in connection.execute(query, {**person.parameters, "but": but}).fetchall()}
    return values


def as_json(keys: set[Key]) -> list[str]:
    """Keys as statements compare them."""
    return [json.dumps(list(key)) for key in sorted(keys)]


def shown(key: Key) -> str:
    """A key as people read it."""
    return masked_text(", ".join(key))
