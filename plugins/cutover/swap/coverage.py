"""What an approval covers: the one list that a fingerprint is made of.

Made at the review, in the one snapshot that the whole review is read from, and stored with it; made again at the
question, at the answer, and in the swap's transaction under a lock on the staged tables. The fingerprint is the
SHA-256 over the list. Where it is not what it was, ``differences`` names what has changed.

The second time the content of a table is not digested again if ``guard`` proves that its rows are those of the review.
What it needs for that is an item of the list itself, so it cannot be exchanged either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb, set_json_loads

from cutover.database import statements as files
from cutover.database.connect import moment
from cutover.errors import CutoverError
from cutover.swap import code, definition, fingerprint, guard

# Every kind of item, in the order of the list, with what it stands for.
KINDS = {
    "content": "every row: SHA-256 over their digests, which anybody can compute again",
    "definition": "columns, types, keys, indexes, defaults, policies, triggers, rules, grants, owner, inheritance",
    "read by the swap": "the content of a table that the migration's swap reads beside the staged ones",
    "called by the swap": "the text of a function that the migration's swap calls",
    "sequences": "the next number of each sequence that comes with a new table",
    "snapshot": "the moment of the review, and which transactions wrote the rows of each table",
    "order": "which tables go where, since when writes are carried, and the limits of that",
    "parameters": "what the run was triggered with",
    "validation": "the result of the suites and checks",
    "reconciliation": "the balance of every source",
    "review": "the text of the review itself: figures, samples, warnings",
    "migration": "the migration's declaration, statements and suites",
    "engine": "the code and the statements of the engine",
}
# A deploy changes these, and nobody's intent.
CODE = ("migration", "engine")


class Ordered(Protocol):
    """What is covered of an order: its run, its tables, and everything else that decides what it does."""

    @property
    def run(self) -> str:
        """The run's key."""

    @property
    def migration(self) -> str:
        """Whose files count."""

    @property
    def incoming_schema(self) -> str:
        """Where the tables are."""

    @property
    def tables(self) -> Sequence[tuple[str, str]]:
        """(schema, name) of what is replaced."""

    @property
    def fingerprinted(self) -> Sequence[str]:
        """The tables to look at."""

    @property
    def reads(self) -> Sequence[tuple[str, str]]:
        """(schema, name) of what else the swap reads."""

    def decisions(self) -> dict[str, Any]:
        """Everything decided beforehand, ready for JSON."""


@dataclass(frozen=True)
class Item:
    """One thing that an approval covers."""

    kind: str
    name: str
    digest: str

    @property
    def label(self) -> str:
        """In words."""
        return f"{self.kind} of {self.name}" if self.name else self.kind


@dataclass(frozen=True)
class Table:
    """A table as it was reviewed: rows, their digest, what proves them unchanged, its definition if staged."""

    rows: int
    content: str
    guard: guard.Guard | None
    facts: definition.Facts | None


@dataclass(frozen=True)
class Coverage:
    """The list, and what is needed to make it again."""

    items: tuple[Item, ...]
    tables: dict[str, Table] = field(repr=False)
    # in a list that was made again: which facts of a definition are not as they should be, by item
    details: dict[str, list[str]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the list."""
        return _digest([[item.kind, item.name, item.digest] for item in self.items])

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "items": self.listed(),
            "tables": {
                name: {
                    "rows": table.rows,
                    "content": table.content,
                    "guard": table.guard and table.guard.as_dict(),
                    "facts": table.facts,
                }
                for name, table in self.tables.items()
            },
        }

    def listed(self) -> list[dict[str, Any]]:
        """The list as pages and the ledger show it; of a content with the number of rows."""
        return [
            {"kind": item.kind, "name": item.name, "digest": item.digest}
            | ({"rows": self.tables[item.name].rows} if item.name in self.tables and item.kind != "definition" else {})
            for item in self.items
        ]


def stored(record: dict[str, Any]) -> Coverage:
    """The coverage that ``as_dict`` was made of."""
    return Coverage(
        tuple(Item(one["kind"], one["name"], one["digest"]) for one in record["items"]),
        {
            name: Table(
                one["rows"], one["content"], guard.Guard(**one["guard"]) if one["guard"] else None, one["facts"]
            )
            for name, one in record["tables"].items()
        },
    )


def reviewed(connection: psycopg.Connection, run: str) -> Coverage | None:
    """What the review of a run covers; None if it has none."""
    row = connection.execute(files.statement("fingerprint/coverage.sql"), {"run": run}).fetchone()
    return None if row is None or row[0] is None else stored(row[0])


def take(
    connection: psycopg.Connection,
    order: Ordered,
    earlier: Coverage | None = None,
    review: dict[str, Any] | None = None,
) -> Coverage:
    """The list as it is now. With ``earlier``, the one of the review, unchanged tables are not digested again.

    ``review`` is the text of a review that is not stored yet.
    """
    with fingerprint.pinned(connection):
        return _Taking(connection, order, earlier).all(review)


def differences(before: Coverage, now: Coverage) -> list[Item]:
    """The items that are not as they were, or not there any more, in the list's order."""
    known = {(item.kind, item.name): item for item in before.items}
    present = {(item.kind, item.name): item for item in now.items}
    changed = [item for key, item in present.items() if known.get(key) != item]
    return changed + [item for key, item in known.items() if key not in present]


def in_words(changed: Sequence[Item], now: Coverage) -> str:
    """What has changed, in words; of a definition the facts."""
    shown = []
    for item in changed:
        facts = now.details.get(item.name, []) if item.kind == "definition" else []
        shown.append(item.label + (f" ({', '.join(facts[:5])}{', …' if len(facts) > 5 else ''})" if facts else ""))
    return ", ".join(shown)


def one_moment(connection: psycopg.Connection, order: Ordered, *, writes: bool = False) -> str:
    """Begin a transaction that reads everything from one snapshot, and writes nothing unless it says so.

    Nobody can alter or rewrite the tables of the order until it ends: a rewritten table would look empty in it.
    Returns the snapshot's name, by which ``same_moment`` sees the same in another session until this one ends.
    """
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = not writes
    relations = [sql.Identifier(order.incoming_schema, name) for name in order.fingerprinted]
    if relations:
        # before anything else: the snapshot is taken by the first statement that reads
        connection.execute(sql.SQL("lock table {} in access share mode").format(sql.SQL(", ").join(relations)))
    whole_tables(connection)
    return moment(connection)


def whole_tables(connection: psycopg.Connection) -> None:
    """Have rows that a policy hides be an error, and not missing, until the transaction ends."""
    connection.execute("set local row_security = off")


def as_stored(connection: psycopg.Connection, review: dict[str, Any]) -> dict[str, Any]:
    """The text of a review as it comes back when it has been stored."""
    row = connection.execute("select %s::jsonb", (Jsonb(review),)).fetchone()
    assert row is not None
    return dict(row[0])


def again(connection: psycopg.Connection, order: Ordered) -> tuple[Coverage, list[Item]]:
    """The list as it is now, and what of it is not as the run's review has it."""
    earlier = reviewed(connection, order.run)
    now = take(connection, order, earlier)
    return now, differences(earlier, now) if earlier else []


def has_reviewed_rows(connection: psycopg.Connection, order: Ordered, name: str) -> bool:
    """Whether the rows of a staged table are those that the run's review covers."""
    earlier = reviewed(connection, order.run)
    relation = sql.Identifier(order.incoming_schema, name)
    label = relation.as_string(connection)
    if earlier is None or label not in earlier.tables:
        return False
    with fingerprint.pinned(connection):
        now = _Taking(connection, order, earlier).rows(relation, label, None)
    return now.content == earlier.tables[label].content


def require_same_code(changed: Sequence[Item], obj: str) -> None:
    """Raise CutoverError ``swap.code-changed`` if the files are not those of the review."""
    parts = [item.label for item in changed if item.kind in CODE]
    if parts:
        raise CutoverError(
            "swap.code-changed",
            obj,
            f"since its review a deploy has changed the files of the {' and of the '.join(parts)}: what would run is "
            "not what was reviewed. Nothing was changed.",
            "trigger a new run, which asks again; or deploy the files of the review again and clear the task.",
        )


class _Taking:
    """One making of the list."""

    def __init__(self, connection: psycopg.Connection, order: Ordered, earlier: Coverage | None) -> None:
        self.connection = connection
        self.order = order
        self.earlier = earlier.tables if earlier else {}
        self.tables: dict[str, Table] = {}
        self.details: dict[str, list[str]] = {}
        self.homes = {name: schema for schema, name in order.tables}

    def all(self, review: dict[str, Any] | None) -> Coverage:
        """Everything, in the order of ``KINDS``."""
        items = list(self._items(review))
        places = list(KINDS)
        items.sort(key=lambda item: (places.index(item.kind), item.name))
        return Coverage(tuple(items), self.tables, self.details)

    def rows(self, relation: sql.Identifier, label: str, facts: definition.Facts | None) -> Table:
        """A table as it is now; of one that is proved unchanged, what was taken of it earlier."""
        before = self.earlier.get(label)
        if before is not None and before.guard is not None and guard.holds(self.connection, relation, before.guard):
            return Table(before.rows, before.content, before.guard, facts)
        content = fingerprint.content(self.connection, relation)
        digest = before.guard if before is not None else guard.take(self.connection, relation)
        return Table(content.rows, content.digest, digest, facts)

    def _items(self, review: dict[str, Any] | None) -> Iterator[Item]:
        for name in self.order.fingerprinted:
            yield from self._staged(sql.Identifier(self.order.incoming_schema, name), name)
        for schema, name in self.order.reads:
            relation = sql.Identifier(schema, name)
            if self._exists(relation):
                label = relation.as_string(self.connection)
                self.tables[label] = self.rows(relation, label, None)
                yield Item("read by the swap", label, self.tables[label].content)
            elif body := self._function(schema, name):
                yield Item("called by the swap", f"{schema}.{name}", _digest(body))
        yield self._positions()
        guards = {name: table.guard and table.guard.as_dict() for name, table in self.tables.items()}
        yield Item("snapshot", "", _digest(guards))
        yield Item("order", "", _digest(self.order.decisions()))
        yield from self._records(review)
        yield Item("migration", "", code.of_migration(self.order.migration))
        yield Item("engine", "", code.engine())

    def _staged(self, relation: sql.Identifier, name: str) -> Iterator[Item]:
        label = relation.as_string(self.connection)
        facts = definition.facts(self.connection, self.order.incoming_schema, name)
        before = self.earlier.get(label)
        if before is not None and before.facts is not None:
            changed = self._changed(name, before.facts, facts)
            if changed:
                self.details[label] = changed
            else:
                facts = before.facts
        self.tables[label] = self.rows(relation, label, facts)
        yield Item("content", label, self.tables[label].content)
        yield Item("definition", label, _digest(facts))

    def _changed(self, name: str, before: definition.Facts, now: definition.Facts) -> list[str]:
        home = self.homes.get(name)
        live = sql.Identifier(home, name) if home is not None else None
        production = (
            definition.facts(self.connection, home, name)
            if home is not None and live is not None and self._exists(live)
            else None
        )
        incoming = self.order.incoming_schema
        views = self.connection.execute(files.statement("fingerprint/view_schemas.sql"), {"incoming_schema": incoming})
        schemas = [incoming, *sorted({*self.homes.values(), *(row[0] for row in views.fetchall())})]
        return definition.changed(before, now, production, schemas)

    def _positions(self) -> Item:
        new = {
            name: sql.Identifier(self.order.incoming_schema, name)
            for name in self.order.fingerprinted
            if name in self.homes and not self._exists(sql.Identifier(self.homes[name], name))
        }
        return Item("sequences", "", _digest(definition.positions(self.connection, new)))

    def _records(self, review: dict[str, Any] | None) -> Iterator[Item]:
        with self.connection.cursor() as cursor:
            # read as they were when they were written, however the session reads JSON otherwise: pages keep decimals
            set_json_loads(json.loads, cursor)
            row = cursor.execute(files.statement("fingerprint/records.sql"), {"run": self.order.run}).fetchone()
        parameters, validation, text = row or (None, None, None)
        balance = self.connection.execute(
            files.statement("fingerprint/reconciliation.sql"), {"run": self.order.run}
        ).fetchone()
        yield Item("parameters", "", _digest(parameters))
        yield Item("validation", "", _digest(validation))
        yield Item("reconciliation", "", _digest(balance))
        shown = {key: value for key, value in (review or text or {}).items() if key != "fingerprint"}
        yield Item("review", "", _digest(shown))

    def _function(self, schema: str, name: str) -> str | None:
        row = self.connection.execute(
            files.statement("fingerprint/function.sql"), {"schema": schema, "name": name}
        ).fetchone()
        return None if row is None else row[0]

    def _exists(self, relation: sql.Identifier) -> bool:
        row = self.connection.execute("select to_regclass(%s)", (relation.as_string(self.connection),)).fetchone()
        return row != (None,)


def _digest(value: Any) -> str:
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()
