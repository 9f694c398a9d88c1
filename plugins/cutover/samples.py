"""A few rows of every table that a launch would add, take away or change, with personal data masked.

What a sample shows ends up in the run's row and on pages: values are masked and cut here, before they are stored.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from cutover import catalog
from cutover import sql as files
from cutover.migration import Migration
from cutover.stage import SCHEMA
from cutover.swap.scope import Scope
from cutover.validate.masking import masked_all, masked_row

SAMPLES = 5
LONGEST = 160

Row = dict[str, Any]


class Masks:
    """What is personal, table by table, as the suites declare it. A table that no suite knows is masked whole."""

    def __init__(self, personal: Mapping[str, Collection[str]]) -> None:
        self._personal = personal
        self._anywhere = frozenset(column for columns in personal.values() for column in columns)

    def row(self, table: str, row: Row | None, key: Collection[str] = ("id",)) -> Row:
        """A row of ``table`` as it may be shown: personal columns masked, long values cut."""
        if row is None:
            return {}
        personal = self._personal.get(table)
        if personal is None:
            masked = {name: value if name in key else masked_all(value) for name, value in row.items()}
        else:
            masked = masked_row(row, personal)
        return {name: cut(value) for name, value in masked.items()}

    def query_row(self, row: Row) -> Row:
        """A row of a query over several tables: columns named like a personal one of any table are masked."""
        return {name: cut(value) for name, value in masked_row(row, self._anywhere).items()}


def masks(migration: str) -> Masks:
    """What the suites of a migration declare as personal."""
    from cutover.validate.suites import personal_columns

    return Masks(personal_columns(migration))


def cut(value: Any) -> Any:
    """The value, shortened to what a page can show; nested values as their JSON text."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{value[:LONGEST]}…"
    return value


def of_tables(
    connection: psycopg.Connection, found: Scope, migration: Migration, hide: Masks
) -> dict[str, dict[str, list[Row]]]:
    """Table → ``added``, ``removed`` and ``changed`` rows, at most ``SAMPLES`` of each.

    Added and removed rows are column → value; a changed row is its ``key`` and for each changed column of
    ``columns`` the values ``before`` and ``after``.
    """
    samples = {}
    for entry in catalog.rows(connection, "samples", replaced=found.replaced, incoming_schema=SCHEMA, limit=SAMPLES):
        table, key = entry["object"], entry["key"]
        samples[table] = {
            "added": [hide.row(table, after, key) for _, after in _pairs(connection, entry["added"].encode())],
            "removed": [hide.row(table, before, key) for before, _ in _pairs(connection, entry["removed"].encode())],
            "changed": [
                _change(table, before, after, key, hide)
                for before, after in _pairs(connection, entry["changed"].encode())
            ],
        }
    for table in found.tables:
        if table.outgoing is None:
            query = files.statement("review/first_rows.sql", staged=sql.Identifier(SCHEMA, table.name))
            samples[table.name] = _only_added(table.name, _pairs(connection, query), hide)
    for staged, live in migration.merge.items():
        query = files.statement(
            "review/new_row_samples.sql",
            staged=sql.Identifier(SCHEMA, staged),
            live=sql.Identifier(*live.split(".", maxsplit=1)),
        )
        samples[live] = _only_added(staged, _pairs(connection, query), hide)
    return samples


def _only_added(table: str, pairs: list[tuple[Row | None, Row | None]], hide: Masks) -> dict[str, list[Row]]:
    return {"added": [hide.row(table, after) for _, after in pairs], "removed": [], "changed": []}


def _pairs(connection: psycopg.Connection, query: bytes | sql.Composed) -> list[tuple[Row | None, Row | None]]:
    with connection.cursor() as cursor:
        # numbers as they are written: money is not rounded to a float on its way to a page
        set_json_loads(lambda text: json.loads(text, parse_float=str), cursor)
        return cursor.execute(query, {"limit": SAMPLES} if isinstance(query, sql.Composed) else None).fetchall()


def _change(table: str, before: Row | None, after: Row | None, key: Collection[str], hide: Masks) -> Row:
    """What changes in a row. Whether it changes is told from the values, not from what the mask leaves of them."""
    old, new = before or {}, after or {}
    differing = [name for name in new if old.get(name) != new[name]]
    shown_old, shown_new = hide.row(table, old, key), hide.row(table, new, key)
    return {
        "key": {name: shown_new[name] for name in key},
        "columns": {name: {"before": shown_old.get(name), "after": shown_new[name]} for name in differing},
    }
