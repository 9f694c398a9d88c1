"""From pages to the raw table: one statement for the rows of a batch, one for each page, one commit.

What raw has already, by the hash of the bytes received, is not even sent. What differs goes as arrays in the binary
protocol: as fast as COPY, and without the temporary table that COPY would need before an upsert, whose truncation
costs several milliseconds a commit. A page, its rows and the position behind it are one transaction, so there is no
moment at which a kill could lose or repeat a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.extract import arrays, raw
from cutover.extract.arrays import ByteaArray, JsonbArray, TextArray
from cutover.extract.page import Row
from cutover.extract.pagination import Page
from cutover.extract.why import install_lineage
from cutover.extract.windows import moment
from cutover.migration.source import Source
from cutover.records import ledger

LARGEST_LOT = 8 * 1024 * 1024

# Tries, in a sync, to find the field for which a row cannot be stored: one for each member, those found before first.
_TRIES = 20_000
# The value that PostgreSQL quotes at the end of its message.
_QUOTED = re.compile(r": \".*\"$", re.DOTALL)
# PostgreSQL refuses a row for what is in it; any other error is about the database and ends the sync.
UNSTORABLE = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)


@dataclass
class Placed:
    """A page with its place in the sync, and what became of its rows."""

    page: Page
    page_no: int
    window_no: int
    # pages of the window that were stored before, which tells whether another process has moved on
    pages_before: int
    new: int = 0
    changed: int = 0
    returned: int = 0
    rejected: int = 0
    adjusted: int = 0


@dataclass(frozen=True)
class _Refused:
    placed: Placed
    row: Row
    reason: str
    detail: str


Differing = dict[str, tuple[Placed, Row]]
# ids that were stored and whether they are new, and rows that could not be
Written = tuple[list[tuple[str, bool]], list[_Refused]]


class Store:
    """The raw table of one source, over one connection that is in no transaction between calls."""

    def __init__(self, connection: psycopg.Connection[Any], source: Source) -> None:
        self.connection = connection
        self._source = source
        self._raw = sql.Identifier("raw", source.name)
        folder = f"{source.migration}/extract/{source.name}"
        # As bytes, which psycopg takes as they are: these run for every page.
        self._create = files.text(f"{folder}.create.sql").encode()
        self._store = files.text(f"{folder}.store.sql").encode()
        self._known = files.statement("extract/known.sql", raw=self._raw).as_bytes()
        self._page = files.statement("extract/store_page.sql").as_bytes()
        self._empty = False
        self._tries = 0
        # the fields that were found, the last one last
        self._fields: dict[str, None] = {}
        arrays.register(connection)

    def prepare(self) -> None:
        """Make the engine's and the source's tables if they are not there. Tasks may do so side by side."""
        with self.connection.transaction():
            ledger.install(self.connection)
            # `create ... if not exists` fails when two sessions do it at the same moment.
            self.execute("extract/lock_tables.sql")
            self.connection.execute(self._create)
            raw.require_plain(self.connection, [self._source.name])
            install_lineage(self.connection, self._source.migration)

    def execute(self, path: str, **values: object) -> list[dict[str, Any]]:
        """Run ``include/sql/<path>`` for this source: its rows, or none for a statement without result.

        ``{raw}`` in the file is the raw table; ``values`` are parameters, among them always ``source``.
        """
        text = files.text(path)
        statement = files.statement(path, raw=self._raw).as_bytes() if "{raw}" in text else text.encode()
        with self.connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement, {"source": self._source.name, **values})
            return cursor.fetchall() if cursor.description else []

    def one(self, path: str, **values: object) -> dict[str, Any] | None:
        """The only row that ``execute`` brings, or None."""
        rows = self.execute(path, **values)
        return rows[0] if rows else None

    def count(self) -> tuple[int, int]:
        """Rows in the raw table, and those of them that are not gone. Remembers an empty table as such."""
        counted = self.one("extract/count_raw.sql")
        assert counted is not None
        self._empty = counted["stored"] == 0
        return counted["stored"], counted["present"]

    def span(self, column: str) -> tuple[Any, Any]:
        """The least and the greatest value of a column of the raw table; None twice when it has no row."""
        statement = files.statement("extract/span.sql", raw=self._raw, column=column)
        row = self.connection.execute(statement).fetchone()
        return row if row is not None else (None, None)

    def cuts(self, lanes: int) -> list[str]:
        """Ids that cut the rows which are not gone into so many lanes of equal length, the greatest first."""
        shares = [number / lanes for number in range(1, lanes)]
        return [row["cut"] for row in self.execute("extract/cuts.sql", shares=shares)]

    def save(self, sync_id: int, batch: Sequence[Placed]) -> None:
        """Store pages and the positions behind them, all or none, and count in them what was done.

        Raises CutoverError ``extract.overtaken`` when another process has stored pages of the same windows.
        """
        try:
            with self.connection.transaction():
                self._save(sync_id, batch, self._write)
        except UNSTORABLE:
            with self.connection.transaction():
                self._save(sync_id, batch, self._write_carefully)

    def _save(self, sync_id: int, batch: Sequence[Placed], write: Callable[[int, Differing], Written]) -> None:
        latest, refused = self._latest(batch)
        known = {} if self._empty else self._hashes(latest)
        differing = {key: (placed, row) for key, (placed, row) in latest.items() if known.get(key, b"") != row.digest}
        for placed in batch:
            placed.new = placed.changed = placed.returned = placed.rejected = placed.adjusted = 0
        stored, unstorable = write(sync_id, differing) if differing else ([], [])
        for key, new in stored:
            placed, row = differing[key]
            placed.new += new
            placed.returned += not new and key in known and known[key] is None
            placed.changed += not new and not (key in known and known[key] is None)
            if row.change:
                placed.adjusted += 1
                self._note_adjustment(sync_id, placed, row)
        for item in (*refused, *unstorable):
            item.placed.rejected += 1
            self._reject(sync_id, item)
        for placed in batch:
            self._store_page(sync_id, placed)

    def _latest(self, batch: Sequence[Placed]) -> tuple[Differing, list[_Refused]]:
        """One row per id, the one modified last or else seen last; and the rows that cannot have a place."""
        latest: Differing = {}
        refused = []
        for placed in batch:
            for row in placed.page.rows:
                if row.refusal is not None:
                    refused.append(_Refused(placed, row, "unreadable", row.refusal))
                elif row.key is None:
                    refused.append(_Refused(placed, row, "no_id", f"it has no usable {self._source.key}"))
                elif self._source.key_type == "bigint" and not _is_bigint(row.key):
                    refused.append(_Refused(placed, row, "unstorable", f"its {self._source.key} is not a bigint"))
                else:
                    earlier = latest.get(row.key)
                    if earlier is None or not _is_older(row.modified, earlier[1].modified):
                        latest[row.key] = (placed, row)
        return latest, refused

    def _hashes(self, keys: Iterable[str]) -> dict[str, bytes | None]:
        """Of the rows that raw has: their hash, None for one that was gone."""
        ids: list[Any] = [int(key) for key in keys] if self._source.key_type == "bigint" else list(keys)
        with self.connection.cursor(binary=True) as cursor:
            return dict(cursor.execute(self._known, {"ids": ids}).fetchall())

    def _write(self, sync_id: int, rows: Differing) -> Written:
        """Write rows at once: the ids that were stored and whether they are new."""
        stored: list[tuple[str, bool]] = []
        for lot in _lots(rows):
            batch = [row for _, row in lot.values()]
            values = {
                "sync_id": sync_id,
                "ids": TextArray(key.encode() for key in lot),
                "content_hashes": ByteaArray(row.digest for row in batch),
                "page_nos": [placed.page_no for placed, _ in lot.values()],
                "responses": JsonbArray(row.response for row in batch),
            }
            stored += self.connection.execute(self._store, values).fetchall()
        return stored, []

    def _write_carefully(self, sync_id: int, rows: Differing) -> Written:
        """Write rows of which PostgreSQL refuses some: by halves, until the refused ones are alone."""
        try:
            with self.connection.transaction():
                return self._write(sync_id, rows)
        except UNSTORABLE as error:
            items = list(rows.items())
            if len(items) == 1:
                placed, row = items[0][1]
                # without the value, which is in the row and need not be anywhere else
                said = _QUOTED.sub("", (error.diag.message_primary or str(error)).strip())
                field = self._field_refused(sync_id, items[0][0], placed, row)
                detail = f"{field}: {said} ({error.sqlstate})" if field else f"{said} ({error.sqlstate})"
                return [], [_Refused(placed, row, "unstorable", detail)]
        middle = len(items) // 2
        stored, refused = self._write_carefully(sync_id, dict(items[:middle]))
        more_stored, more_refused = self._write_carefully(sync_id, dict(items[middle:]))
        return stored + more_stored, refused + more_refused

    def _field_refused(self, sync_id: int, key: str, placed: Placed, row: Row) -> str | None:
        """The member of a row without which it could be stored: what a person looks for first.

        PostgreSQL names no field of a value that cannot be cast. Where an API has changed, it is the same each time.
        """
        members = msgspec.json.decode(row.response, type=dict[str, msgspec.Raw])
        names = [name for name in reversed(self._fields) if name in members]
        for name in [*names, *(name for name in members if name not in self._fields)]:
            self._tries += 1
            if self._tries > _TRIES and name not in names[:1]:
                break
            without = msgspec.json.encode({**members, name: msgspec.Raw(b"null")})
            try:
                with self.connection.transaction(force_rollback=True):
                    self._write(sync_id, {key: (placed, replace(row, response=without))})
            except UNSTORABLE:
                continue
            self._fields.pop(name, None)
            self._fields[name] = None
            return name
        return None

    def _note_adjustment(self, sync_id: int, placed: Placed, row: Row) -> None:
        self.execute(
            "extract/adjust.sql",
            sync_id=sync_id,
            page_no=placed.page_no,
            source_id=row.key,
            change=row.change,
            received=row.received,
        )

    def _reject(self, sync_id: int, refused: _Refused) -> None:
        row = refused.row
        received = row.received if row.received is not None else row.response
        values = {
            "sync_id": sync_id,
            "source_id": row.key,
            "reason": refused.reason,
            "detail": refused.detail,
        }
        try:
            with self.connection.transaction():
                self.execute(
                    "extract/reject.sql",
                    **values,
                    source_row=row.response.decode() if row.refusal is None else None,
                    source_bytes=row.received,
                )
        except UNSTORABLE:
            self.execute("extract/reject.sql", **values, source_row=None, source_bytes=received)

    def _store_page(self, sync_id: int, placed: Placed) -> None:
        page = placed.page
        ids = [row.key for row in page.rows if row.key is not None]
        values = {
            "sync_id": sync_id,
            "page_no": placed.page_no,
            "window_no": placed.window_no,
            "pages_before": placed.pages_before,
            "attempt": page.position.attempt,
            "position": Jsonb(page.position.to_json()),
            "state": "complete" if page.last else "open",
            "request": page.request,
            "fetched_at": page.fetched_at,
            "received_bytes": page.size,
            "rows": len(page.rows),
            "new": placed.new,
            "changed": placed.changed,
            "returned": placed.returned,
            "rejected": placed.rejected,
            "adjusted": placed.adjusted,
            "first_id": ids[0] if ids else None,
            "last_id": ids[-1] if ids else None,
            "ids": TextArray(key.encode() for key in ids),
        }
        try:
            moved = self.connection.execute(self._page, values).fetchone()
        except psycopg.errors.UniqueViolation:
            moved = None  # the page's number is taken: by a page of another window
        if moved is None:
            raise CutoverError(
                "extract.overtaken",
                f"source {self._source.name}, sync {sync_id}",
                "another process has stored pages of this sync meanwhile; this one stored nothing more.",
                "let the other one finish; then clear this task if it is still wanted.",
            )


def _lots(rows: Differing) -> Iterator[Differing]:
    """``rows`` in lots of some megabytes: a statement's parameters are in memory several times while they are sent."""
    lot: Differing = {}
    size = 0
    for key, (placed, row) in rows.items():
        if lot and size + len(row.response) > LARGEST_LOT:
            yield lot
            lot, size = {}, 0
        lot[key] = (placed, row)
        size += len(row.response)
    if lot:
        yield lot


def _is_bigint(key: str) -> bool:
    """Whether PostgreSQL gives the key back as it came: `0001` and `-0` would be found as another one's."""
    return re.fullmatch(r"0|-?[1-9][0-9]{0,18}", key) is not None and -(2**63) <= int(key) < 2**63


def _is_older(modified: str | None, than: str | None) -> bool:
    """Whether a row was surely modified before another one; as times, since `…00Z` is before `…00.5Z`."""
    try:
        return moment(modified or "") < moment(than or "")
    except ValueError:
        return False
