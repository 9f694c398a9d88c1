"""Every row that a launch would add, take away or change, as the review's samples show a few of them.

It is read in stretches, each by the primary key and in a transaction of its own: nothing of production is held for
longer than one takes, however many rows there are and however slowly somebody reads them. Staged rows do not change
meanwhile, or the reading ends; a row of production is as it was when its stretch was read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from cutover.database import catalog
from cutover.database import statements as files
from cutover.errors import PROGRAM, CutoverError, meant
from cutover.migration import Migration
from cutover.records import run, workspace
from cutover.review import samples, subject
from cutover.review.samples import Row
from cutover.swap import coverage
from cutover.transform import SCHEMA

KINDS = ("added", "removed", "changed")
# Keys of a stretch: some hundredths of a second of usual rows, far from the bound of a page's statement.
STRETCH = 5_000
# Rows that are in memory at once: each may be as long as ``samples.READ_WHOLE`` allows, column by column.
_FETCHED = 200
# What rows of a table are named by that production does not have, or only adds to.
_KEY = ("id",)


@dataclass(frozen=True)
class Difference:
    """One row that differs, as it may be shown. ``columns`` are those in which a changed row does."""

    kind: str
    before: Row
    after: Row
    columns: tuple[str, ...]


@dataclass(frozen=True)
class _Way:
    """A way through a table in stretches. ``place``: what its rows are ordered by, and found again behind."""

    path: str
    kinds: tuple[str, ...]
    place: tuple[sql.Composable, ...]
    parts: dict[str, sql.Composable]


@dataclass(frozen=True)
class Comparison:
    """A table of a review, and how its rows are compared. ``columns`` are those of both sides, the key's first."""

    run: str
    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    # what its suite knows it by
    staged: str
    ways: tuple[_Way, ...]


def of_table(connection: psycopg.Connection, migration: Migration, row: run.Run, table: str) -> Comparison:
    """How a table of a run's review is compared with production.

    Raises:
        CutoverError: ``diff.no-review``, ``diff.not-a-launch``, ``diff.unknown-table``; ``diff.launched``,
            ``diff.overtaken`` and ``diff.changed``, where what was reviewed is not staged any more.
    """
    reason = obstacle(connection, row)
    if reason is not None:
        raise reason
    _require_known(row, table)
    schemas = {name: schema for schema, name in migration.swapped_tables()}
    merged = {live: staged for staged, live in migration.merge.items()}
    where = table.split(".", 1) if table in merged else [schemas.get(table, migration.target_schema), table]
    live = sql.Identifier(*where)
    name = merged.get(table, table)
    staged = sql.Identifier(SCHEMA, name)
    order = subject.order(migration, row)
    if catalog.oids(connection, [staged]) == [None] or not coverage.has_reviewed_rows(connection, order, name):
        raise CutoverError(
            "diff.changed",
            f"table {staged.as_string()} of run {row.run}",
            "its rows are not those of the review any more.",
            "find out who changed them; then trigger a new run.",
        )
    ways, key, columns = between(connection, staged, live, merges=table in merged)
    return Comparison(row.run, table, columns, key, name, ways)


def obstacle(connection: psycopg.Connection, row: run.Run) -> CutoverError | None:
    """Why no table of this run can be compared; None if each can."""
    try:
        _require_reviewed(row)
        _require_staged(connection, row.run)
    except CutoverError as reason:
        return reason
    return None


def between(
    connection: psycopg.Connection, staged: sql.Identifier, live: sql.Identifier, *, merges: bool
) -> tuple[tuple[_Way, ...], tuple[str, ...], tuple[str, ...]]:
    """The ways through two tables, the key of their rows and all their columns.

    The live one is replaced by the staged one, or ``merges`` it; where it is not there, all that is staged is new.
    """
    (live_oid,) = catalog.oids(connection, [live])
    sides = [staged]
    if merges or live_oid is None:
        key: tuple[str, ...] = _KEY
        against = _merged(live) if merges else _NOTHING
        ways: tuple[_Way, ...] = (_arriving(connection, staged, key, against),)
    else:
        (entry,) = catalog.rows(connection, "samples", replaced=[live_oid], incoming_schema=SCHEMA, limit=0)
        key, sides = tuple(entry["key"]), [live, staged]
        ways = (_leaving(connection, entry, live, staged), _arriving(connection, staged, key, _by_key(entry, live)))
    names = [one["name"] for side in sides for one in catalog.rows(connection, "shown_columns", table=_name(side))]
    columns = dict.fromkeys([*(one for one in key if one in names), *names])
    return ways, key, tuple(columns)


def rows(
    connection: psycopg.Connection,
    compared: Comparison,
    hide: samples.Masks,
    kinds: Collection[str],
    begin: Callable[[psycopg.Connection], None],
) -> Iterator[Difference]:
    """Every row that differs, of these kinds: those that would be gone or changed by key, then those that are new.

    ``begin`` bounds a transaction: each stretch has one, and it is over before its rows are handed out. Raises
    CutoverError ``diff.launched`` or ``diff.overtaken`` when the run has been launched meanwhile, or another run has
    taken the staged tables.
    """
    for way in compared.ways:
        key: list[str] | None = None
        size = STRETCH if set(way.kinds) & set(kinds) else 0
        while size == STRETCH:
            size, different = 0, []
            connection.commit()
            begin(connection)
            with _of_one_moment(connection, compared, begin):
                stretch = _stretch(connection, way, behind=key)
                for size, (key, kind, before, after, columns) in enumerate(stretch, start=1):  # noqa: B007
                    if kind in kinds:
                        was, will_be = (hide.row(compared.staged, side, compared.key) for side in (before, after))
                        different.append(Difference(kind, was, will_be, tuple(columns or ())))
            connection.commit()
            yield from different


@contextmanager
def _of_one_moment(
    connection: psycopg.Connection, compared: Comparison, begin: Callable[[psycopg.Connection], None]
) -> Iterator[None]:
    """What is read within is of the run as it was reviewed. Looked at afterwards: a swap may commit meanwhile.

    It takes the staged tables away; of one that is merged it leaves them, with nothing that differs any more.
    """
    try:
        yield
    except psycopg.errors.UndefinedTable:
        connection.rollback()
        begin(connection)
        _require_staged(connection, compared.run)
        raise
    _require_staged(connection, compared.run)


def _stretch(connection: psycopg.Connection, way: _Way, behind: list[str] | None) -> Iterator[tuple[Any, ...]]:
    """Key, kind, before, after and the columns that differ, of each row of the stretch behind a key."""
    place = sql.SQL(", ").join(way.place)
    condition: sql.Composable = sql.SQL("true")
    if behind is not None:
        condition = sql.SQL("({}) > ({})").format(place, sql.SQL(", ").join(map(sql.Literal, behind)))
    query = files.statement(way.path, **way.parts, place=place, behind=condition, size=sql.Literal(STRETCH))
    with connection.cursor(name="cutover_difference") as cursor:
        cursor.itersize = _FETCHED
        # numbers as they are written, as in samples
        set_json_loads(lambda text: json.loads(text, parse_float=str), cursor)
        yield from cursor.execute(query)


def _leaving(connection: psycopg.Connection, entry: Row, live: sql.Identifier, staged: sql.Identifier) -> _Way:
    """The way through the table of production, for what would be gone or changed."""
    place = _place(connection, live, "o")
    parts: dict[str, sql.Composable] = {
        "live": live,
        "staged": staged,
        "key": _texts(place),
        "matches": sql.SQL(entry["matches"]),
        "differs": sql.SQL(entry["differs"]),
        "differing": sql.SQL(entry["differing"]),
        "missing": _missing("i", entry["key"][0]),
        "before": samples.shown(connection, "o", live, entry["key"]),
        "after": samples.shown(connection, "i", staged, entry["key"]),
    }
    return _Way("review/stretch_live.sql", ("removed", "changed"), place, parts)


@dataclass(frozen=True)
class _Against:
    """What new rows are told by: the live table as ``o``, how a staged row ``i`` is matched, and that it is not."""

    live: sql.Composable
    matches: sql.Composable
    missing: sql.Composable


def _arriving(connection: psycopg.Connection, staged: sql.Identifier, key: Collection[str], against: _Against) -> _Way:
    """The way through the staged table, for what is new."""
    place = _place(connection, staged, "i")
    parts = {
        **vars(against),
        "staged": staged,
        "key": _texts(place),
        "after": samples.shown(connection, "i", staged, key),
    }
    return _Way("review/stretch_staged.sql", ("added",), place, parts)


# A table that production does not have: all of it is new.
_NOTHING = _Against(sql.SQL("(select null)"), sql.SQL("false"), sql.SQL("true"))


def _by_key(entry: Row, live: sql.Identifier) -> _Against:
    return _Against(live, sql.SQL(entry["matches"]), _missing("o", entry["key"][0]))


def _merged(live: sql.Identifier) -> _Against:
    """Rows that are merged are told by their id, as ``new_rows.sql`` counts them."""
    return _Against(live, sql.SQL("o.id = i.id"), _missing("o", _KEY[0]))


def _missing(alias: str, column: str) -> sql.Composable:
    return sql.SQL("{} is null").format(sql.Identifier(alias, column))


def _place(connection: psycopg.Connection, table: sql.Identifier, alias: str) -> tuple[sql.Composable, ...]:
    """What a table is gone through by: its primary key, else where its rows lie, which is for tables at rest alone.

    A type of an extension's or of the application's compares by operators that are not on the search path: by its text.
    """
    key = catalog.rows(connection, "key_order", table=_name(table))
    texts = {True: "{}", False: '({}::text collate "C")'}
    place = [sql.SQL(texts[one["is_plain"]]).format(sql.Identifier(alias, one["name"])) for one in key]
    return tuple(place or [sql.Identifier(alias, "ctid")])


def _texts(place: tuple[sql.Composable, ...]) -> sql.Composable:
    return sql.SQL("array[{}]").format(sql.SQL(", ").join(sql.SQL("{}::text").format(one) for one in place))


def _name(table: sql.Identifier) -> str:
    return table.as_string()


def _require_reviewed(row: run.Run) -> None:
    obj = f"run {row.run}"
    if row.review is None:
        raise CutoverError(
            "diff.no-review",
            obj,
            "its review has not been made: what it stages may still change.",
            f"ask again when its question waits: {PROGRAM} status {row.migration}",
        )
    if "undoes" in row.review:
        raise CutoverError(
            "diff.not-a-launch",
            obj,
            "it takes a launch back: it stages nothing, and its review names what comes back.",
            "name the run of a launch.",
        )


def _require_known(row: run.Run, table: str) -> None:
    known = [one["name"] for one in (row.review or {}).get("tables", ())]
    if table not in known:
        raise CutoverError(
            "diff.unknown-table",
            f"table {table[:200]} of run {row.run}",
            f"the review has {', '.join(known) or 'no table'}.{meant(table, known)}",
            "name one of those.",
        )


def _require_staged(connection: psycopg.Connection, this_run: str) -> None:
    """Raise unless what was reviewed is still beside production."""
    entry = connection.execute(files.statement("swap/entry_of_run.sql"), {"run": this_run}).fetchone()
    if entry is not None:
        raise CutoverError(
            "diff.launched",
            f"run {this_run}",
            "it has been launched: what was staged is production's since, and goes on changing.",
            f"look at the counts and samples of its review, which stay; the rows from before are in backup_{this_run} "
            "until it is dropped.",
        )
    holder = workspace.holder(connection)
    if holder is None or holder.run != this_run:
        by = f"run {holder.run} has them since {holder.claimed_at:%Y-%m-%d %H:%M %Z}" if holder else "no run has them"
        raise CutoverError(
            "diff.overtaken",
            f"run {this_run}",
            f"the schemas staging and input are not its own any more: {by}.",
            "look at the counts and samples of its review, which stay; or trigger a new run.",
        )
