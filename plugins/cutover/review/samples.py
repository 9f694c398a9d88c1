"""A few rows of every table that a launch would add, take away or change, with personal data masked.

What a sample shows ends up in the run's row and on pages: values are masked and cut here, before they are stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from cutover.database import catalog
from cutover.database import statements as files
from cutover.masking import HIDDEN, masked_all, masked_quotes, masked_row
from cutover.migration import Migration
from cutover.swap.scope import Scope
from cutover.transform import SCHEMA
from cutover.validate.suites import personal_columns

# Most rows of a table that are shown as added, as removed and as changed.
SAMPLES = 5
# Characters of a value on a page; what is beyond is cut, and marked so.
LONGEST = 160
# Characters of a text that are read and masked, and of a document that is read whole. More costs time to mask, and of
# none more than LONGEST is shown.
READ = 4_000
READ_WHOLE = 20_000
REASON = "detail"

Row = dict[str, Any]
# up to the end of the last word but one, as words are masked
_WHOLE_WORDS = re.compile(r".*[\s'\"<>(),;=]", re.DOTALL)


class Masks:
    """What is personal, table by table, as the suites declare it. A table that no suite knows is masked whole."""

    def __init__(self, personal: Mapping[str, Collection[str]]) -> None:
        self._personal = personal
        self.anywhere = frozenset(column for columns in personal.values() for column in columns)

    def row(self, table: str, row: Row | None, key: Collection[str] = ("id",)) -> Row:
        """A row of ``table`` as it may be shown: personal columns masked, long values cut."""
        if row is None:
            return {}
        row = {name: shortened(value) for name, value in row.items()}
        personal = self._personal.get(table)
        if personal is None:
            masked = {name: value if name in key else masked_all(value) for name, value in row.items()}
        else:
            masked = masked_row(row, personal)
        return {name: cut(value) for name, value in masked.items()}

    def query_row(self, row: Row) -> Row:
        """A row of a query over several tables: columns named like a personal one of any table are masked."""
        # in words that quote a value, a quotation is looked for in all of them
        row = {name: value if name == REASON else shortened(value) for name, value in row.items()}
        masked = masked_row(row, self.anywhere)
        if isinstance(masked.get(REASON), str):  # why a row was rejected, often in words that quote the value
            masked[REASON] = masked_quotes(masked[REASON])
        return {name: cut(value) for name, value in masked.items()}


def masks(migration: str) -> Masks:
    """What the suites of a migration declare as personal."""
    return Masks(personal_columns(migration))


def cut(value: Any) -> Any:
    """The value, shortened to what a page can show; nested values as their JSON text."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    if not isinstance(value, str):
        return value
    # a json column may hold what neither jsonb nor UTF-8 can: it is shown, and stored, with a mark instead
    value = value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return f"{value[:LONGEST]}…" if len(value) > LONGEST else value


def shortened(value: Any) -> Any:
    """A text of which so much is left that masking it takes no time, and the page has enough.

    Where it ends, a word may: half an address would not be known for one, so what is left of that word is hidden.
    """
    if not isinstance(value, str) or len(value) <= READ:
        return value
    whole = _WHOLE_WORDS.match(value[:READ])
    return f"{whole.group() if whole else ''}{HIDDEN}"


def of_tables(
    connection: psycopg.Connection,
    scope: Scope,
    migration: Migration,
    hide: Masks,
    counts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, dict[str, list[Row]]]:
    """Table → ``added``, ``removed`` and ``changed`` rows, at most ``SAMPLES`` of each.

    Added and removed rows are column → value; a changed row is its ``key`` and for each changed column of
    ``columns`` the values ``before`` and ``after``. Of ``counts``, how many there are by table as the review has them:
    none is looked for where there is none.
    """
    samples = {}
    known = {table["name"]: table for table in counts}
    for entry in catalog.rows(connection, "samples", replaced=scope.replaced, incoming_schema=SCHEMA, limit=SAMPLES):
        table, key = entry["object"], entry["key"]
        places = (sql.SQL(entry["live"]), sql.Identifier(SCHEMA, table), key)
        rows = {
            kind: _picked(connection, sql.SQL(entry[kind]), *places) if known.get(table, {}).get(kind, 1) else []
            for kind in ("added", "removed", "changed")
        }
        samples[table] = {
            "added": [hide.row(table, after, key) for _, after, _ in rows["added"]],
            "removed": [hide.row(table, before, key) for before, _, _ in rows["removed"]],
            "changed": [_change(table, row, key, hide) for row in rows["changed"]],
        }
    for arriving in scope.tables:
        if arriving.outgoing is None:
            staged = sql.Identifier(SCHEMA, arriving.name)
            picks = files.statement("review/first_rows.sql", staged=staged, limit=sql.Literal(SAMPLES))
            samples[arriving.name] = _only_added(arriving.name, _picked(connection, picks, staged, staged), hide)
    for name, live in migration.merge.items():
        staged, target = sql.Identifier(SCHEMA, name), sql.Identifier(*live.split(".", maxsplit=1))
        picks = files.statement("review/new_row_samples.sql", staged=staged, live=target, limit=sql.Literal(SAMPLES))
        samples[live] = _only_added(name, _picked(connection, picks, staged, staged), hide)
    return samples


_Picked = tuple[Row | None, Row | None, list[str] | None]


def _only_added(table: str, picked: list[_Picked], hide: Masks) -> dict[str, list[Row]]:
    return {"added": [hide.row(table, after) for _, after, _ in picked], "removed": [], "changed": []}


def _picked(
    connection: psycopg.Connection,
    picks: sql.Composable,
    live: sql.Composable,
    staged: sql.Composable,
    key: Collection[str] = ("id",),
) -> list[_Picked]:
    """The rows that a query picks by their places: before, after, and the columns in which they differ."""
    query = files.statement(
        "review/picked.sql",
        picks=picks,
        live=live,
        staged=staged,
        before=shown(connection, "o", live, key),
        after=shown(connection, "i", staged, key),
    )
    with connection.cursor() as cursor:
        # numbers as they are written: money is not rounded to a float on its way to a page
        set_json_loads(lambda text: json.loads(text, parse_float=str), cursor)
        return cursor.execute(query).fetchall()


def shown(connection: psycopg.Connection, alias: str, table: sql.Composable, key: Collection[str]) -> sql.Composed:
    """A row as JSON, with what is too long for a page cut on the server.

    A text is cut one character behind what is read of it, so that it is seen to be cut. Of anything else that is too
    long only the length is told: half of a document says no more what in it is personal.
    """
    columns = []
    for column in catalog.rows(connection, "shown_columns", table=table.as_string(connection)):
        value = sql.Identifier(alias, column["name"])
        if column["name"] in key:
            text = sql.SQL("to_json({})").format(value)
        elif column["is_text"]:
            text = sql.SQL("to_json(left({}::text, {}))").format(value, READ + 1)
        else:
            text = sql.SQL(
                "case when length({0}::text) > {1} then to_json(length({0}::text) || ' characters') "
                "else to_json({0}) end"
            ).format(value, READ_WHOLE)
        columns.append(sql.SQL("{} as {}").format(text, sql.Identifier(column["name"])))
    return sql.SQL("({})").format(files.statement("review/shown.sql", columns=sql.SQL(", ").join(columns)))


def _change(table: str, picked: _Picked, key: Collection[str], hide: Masks) -> Row:
    """What changes in a row. Whether it changes is told from the values, not from what is shown of them."""
    before, after, differing = picked
    shown_old, shown_new = hide.row(table, before, key), hide.row(table, after, key)
    return {
        "key": {name: shown_new[name] for name in key},
        "columns": {
            name: {"before": shown_old.get(name), "after": shown_new[name]}
            for name in differing or ()
            if name in shown_new
        },
    }
