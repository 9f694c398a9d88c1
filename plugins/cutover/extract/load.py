"""The rows of one file of a drop on their way: typed by PostgreSQL, those that have no place set apart."""

from __future__ import annotations

import re
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.extract.folder import File
from cutover.extract.records import Record, Reject, records
from cutover.extract.store import UNSTORABLE
from cutover.extract.sync import ALL_REJECTED, FEW_REJECTED
from cutover.masking import masked_text
from cutover.migration.files import FileDrop

# What is sent to the database at once, in rows and in characters: also what a row that is refused is looked for in.
_MOST_ROWS = 5_000
_MOST_CHARACTERS = 4 * 1024 * 1024
# Rows that are tried behind one that was refused, and twice as many each time: where one is bad, the next may be.
_AFTER_REFUSED = 64
# Above so many rejected rows that are more than half of those read, the rest of the file is not worth reading.
_HOPELESS = 1_000
# Where PostgreSQL says that it could not read a value: of which row of the batch, and of which column.
_CONTEXT = re.compile(r"COPY fetched, line (\d+)(?:, column (\w+))?")
# The value that PostgreSQL quotes in its message, whatever quotes are in it.
_QUOTED = re.compile(r":? \".*\"", re.DOTALL)


class Load:
    """The rows of one file on their way: into temporary tables batch by batch, then into the raw table at once."""

    def __init__(self, connection: psycopg.Connection, drop: FileDrop, file: File) -> None:
        self._connection = connection
        self._drop = drop
        self._file = file
        self._rows = 0
        self._rejects: list[Reject] = []
        self._rejects_size = 0
        self._rejected = 0
        self._first_reject = ""
        self._raw = sql.Identifier("raw", drop.name)
        self._listed = sql.SQL(", ").join(map(sql.Identifier, drop.columns))
        self._copy = sql.SQL("copy pg_temp.fetched ({}, api_response, source_line) from stdin").format(self._listed)

    def all(self, stream: Any) -> None:
        """Read the stream to its end. Raises what ``records`` does, and ``extract.too-many-rejected``."""
        names = {"columns": self._listed, "raw": self._raw, "key": sql.Identifier(self._drop.key)}
        with self._connection.transaction():
            self._connection.execute(files.statement("extract/files/make_temporary.sql", **names))
        batch: list[Record] = []
        size = 0
        for item in records(stream, self._drop, self._file.name, self._file.shown):
            self._rows += 1
            if isinstance(item, Reject):
                self._reject(item)
            else:
                batch.append(item)
                size += len(item.response)
                if len(batch) >= _MOST_ROWS or size >= _MOST_CHARACTERS:
                    self._write(batch)
                    batch, size = [], 0
        self._write(batch)
        self._keep_rejects()
        with self._connection.transaction():
            self._connection.execute("analyze pg_temp.fetched")

    def require_believable(self) -> None:
        """Raise CutoverError ``extract.too-many-rejected`` if not the rows are odd but the file is another."""
        bad = self._rejected
        if bad > max(FEW_REJECTED, self._drop.rejected_share * self._rows) or (
            bad == self._rows and bad >= ALL_REJECTED
        ):
            raise self._not_believed("")

    def store(self, sync_id: int, page_no: int) -> dict[str, int]:
        """The rows into the raw table; how many became what."""
        return self._stored("extract/files/store.sql", "excluded", sync_id, page_no)

    def refill(self, sync_id: int, page_no: int) -> dict[str, int]:
        """Those rows into the raw table that a file of a later name has lost; how many became what."""
        return self._stored("extract/files/refill.sql", "latest", sync_id, page_no)

    def _stored(self, path: str, origin: str, sync_id: int, page_no: int) -> dict[str, int]:
        assignments = sql.SQL(", ").join(
            sql.SQL("{0} = {1}.{0}").format(sql.Identifier(name), sql.Identifier(origin)) for name in self._drop.columns
        )
        names = {"raw": self._raw, "columns": self._listed, "assignments": assignments}
        statement = files.statement(path, key=self._drop.key, **names)
        values = {"sync_id": sync_id, "page_no": page_no, "name": self._file.name, "whole": self._drop.whole}
        with self._connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(statement, values).fetchone()
        assert row is not None
        keys = row.pop("keys")
        return {
            **row,
            "rows": self._rows,
            "rejected": self._rejected,
            "repeated": self._rows - self._rejected - keys,
            "unchanged": keys - sum(row.values()),
        }

    def _write(self, batch: list[Record]) -> None:
        """Write rows of which PostgreSQL may refuse some: by parts, until each refused one is alone."""
        begin, size = 0, len(batch)
        while begin < len(batch):
            part = batch[begin : begin + size]
            try:
                self._write_all(part)
            except UNSTORABLE as error:
                named = _CONTEXT.search(error.diag.context or "")
                line = int(named.group(1)) if named else 0
                if len(part) == 1 or line == 1:
                    self._reject(_refused(part[0], error, named.group(2) if named else None))
                    begin, size = begin + 1, _AFTER_REFUSED
                else:
                    # up to the row that PostgreSQL names; without a name, by halves
                    size = line - 1 if 1 < line <= len(part) else len(part) // 2
            else:
                begin, size = begin + size, max(2 * size, _AFTER_REFUSED)

    def _write_all(self, part: list[Record]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor, cursor.copy(self._copy) as copy:
            for record in part:
                copy.write_row((*record.values, record.response, record.line))

    def _reject(self, reject: Reject) -> None:
        self._rejected += 1
        self._first_reject = self._first_reject or f"line {reject.line}: {reject.detail}"
        self._rejects.append(reject)
        self._rejects_size += len(reject.received or reject.response or "")
        if len(self._rejects) >= _MOST_ROWS or self._rejects_size >= _MOST_CHARACTERS:
            self._keep_rejects()
        if self._rejected >= _HOPELESS and self._rejected * 2 > self._rows:
            raise self._not_believed(", and the rest was not read")

    def _keep_rejects(self) -> None:
        values = [self._of_reject(one) for one in self._rejects]
        self._rejects, self._rejects_size = [], 0
        statement = files.statement("extract/files/reject.sql")
        try:
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.executemany(statement, values)
        except UNSTORABLE:
            for one in values:
                self._keep_reject(statement, one)

    def _keep_reject(self, statement: sql.Composed, values: dict[str, Any]) -> None:
        """One of those of which PostgreSQL does not take some: what no jsonb and no text holds is kept as bytes."""
        try:
            with self._connection.transaction():
                self._connection.execute(statement, values)
        except UNSTORABLE:
            received = values["source_bytes"] or str(values["source_row"]).encode(errors="replace")
            with self._connection.transaction():
                self._connection.execute(
                    statement, {**values, "source_id": None, "source_row": None, "source_bytes": received}
                )

    def _of_reject(self, one: Reject) -> dict[str, Any]:
        return {
            "source_id": one.key,
            "reason": one.reason,
            "detail": f"{masked_text(self._file.name)}, line {one.line}: {one.detail}",
            "source_row": one.response,
            "source_bytes": None if one.received is None else one.received.encode(errors="surrogateescape"),
        }

    def _not_believed(self, beyond: str) -> CutoverError:
        return CutoverError(
            "extract.too-many-rejected",
            self._file.shown,
            f"{self._rejected:,} of {self._rows:,} rows cannot be stored{beyond}; the first on {self._first_reject}.",
            f"compare files.{self._drop.name} in migration.yaml (`columns`, `encoding`, `delimiter`, `no_value`) with "
            "the file; or have it written again.",
        )


def _refused(record: Record, error: psycopg.Error, column: str | None) -> Reject:
    """A row that PostgreSQL refuses, with the column and without the value, which is in the row."""
    said = _QUOTED.sub("", (error.diag.message_primary or str(error)).strip())
    detail = f"{said} ({error.sqlstate})" if error.sqlstate else said
    # what jsonb itself refuses is kept as it was written
    if column == "api_response":
        return Reject(record.line, "unstorable", detail, record.key, None, record.response)
    return Reject(record.line, "unstorable", f"{column}: {detail}" if column else detail, record.key, record.response)
