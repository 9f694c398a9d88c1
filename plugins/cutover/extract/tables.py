"""Extraction from PostgreSQL: the tables of another database, copied into raw as one consistent picture.

All tables of a source database are read in one REPEATABLE READ, read-only transaction and written in one
transaction, so that a row never arrives without the row it belongs to, and a copy that was killed leaves raw as it
was. The first copy is COPY out → COPY in, binary. Later ones fetch only what differs: every key is compared by its
time of modification where the table has one, else by a hash of the row's content that the source computes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.copy import QueuedLibpqWriter

from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.extract import raw
from cutover.extract.why import install_lineage
from cutover.migration.tables import Table
from cutover.records import ledger

# What psycopg's writer queues is bounded in blocks (1024): 32 MiB at most, whatever the table.
_BLOCK = 32 * 1024
# So many rows are asked for by key; for more, reading the table once is quicker.
_FEW = 10_000
# Blocks of keys, as powers of two. The fewest keep a row from standing for a whole table; the most are what is kept in
# memory of each side: 65,536 digests, some 10 MB.
_FEWEST_BITS, _MOST_BITS = 4, 16
# So many numbers in a row are in one block: what was written together is listed together.
_NEIGHBOURS = 64
# Memory for sorting the rows' digests on each server; with less it goes through files, and takes half as long again.
_SORTING = "64MB"
# The oldest source that can hash a row of its own.
_OLDEST_SERVER = 140_000
# These have no equality or no hash: they are compared as they are written.
_COMPARED_AS_TEXT = frozenset(
    ("json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector", "tsquery")
)
# So few rows may go at once without being doubted, whatever their share.
_FEW_GONE = 20


@dataclass(frozen=True)
class TableReport:
    """What one copy of one table did. Rows; ``seconds`` of wall time; ``total`` rows in raw that are not gone."""

    source: str
    sync_id: int
    mode: str
    because: str
    seconds: float
    read: int
    new: int
    changed: int
    returned: int
    gone: int
    total: int

    @property
    def written(self) -> int:
        """Rows of the raw table that this copy wrote."""
        return self.new + self.changed + self.returned + self.gone

    def summary(self) -> str:
        """One line: what changed, of how many, and how fast."""
        rate = f", {self.read / self.seconds:,.0f} rows/s" if self.read and self.seconds else ""
        return (
            f"{self.source}: {self.written:,} changed of {self.total:,} in {self.seconds:.1f} s{rate} ({self.because})"
        )

    def to_xcom(self) -> dict[str, Any]:
        """What other tasks need."""
        return asdict(self)


def copy_database(
    tables: Sequence[Table],
    source: Connect,
    target: Connect,
    *,
    full: bool = False,
    accept_gone: bool = False,
    log: Log = print,
) -> list[TableReport]:
    """Bring ``raw.<name>`` of every table of one source database up to one moment of that database.

    ``full`` compares every row by content, even where the table has a time of modification, and so does a copy of
    sources in which late writes were found, or which were released, since all rows were last compared so;
    ``accept_gone`` believes a source that misses many rows. Nothing has changed when this raises:
    ``extract.old-server``, ``extract.no-table``, ``extract.schema-changed``, ``extract.hidden-rows``,
    ``extract.not-readable``, ``extract.too-many-gone``, ``extract.busy``, or what the connections raise.
    """
    with opened(source) as reader, opened(target) as writer:
        _begin_reading(reader)
        require_shape(reader, tables)
        _prepare(writer, tables)
        why = "" if full else _why_by_content(writer, tables)
        api = f"{reader.info.host}:{reader.info.port}/{reader.info.dbname}"
        try:
            reports = [
                _Copy(reader, writer, table, full=full or bool(why), accept_gone=accept_gone).run(api, why)
                for table in tables
            ]
        except psycopg.errors.InsufficientPrivilege as error:
            raise _not_readable(reader, error) from error
    for report in reports:
        log(report.summary())
    return reports


def count_differences(
    tables: Sequence[Table], source: Connect, target: Connect, *, schema: str
) -> list[tuple[str, int, int]]:
    """How many rows of each source table differ by content from ``schema.<name>``, and how many it has no more."""
    differences = []
    with opened(source) as reader, opened(target) as writer:
        _begin_reading(reader)
        for table in tables:
            copied = sql.Identifier(schema, table.name)
            compared = _Copy(reader, writer, table, full=True, accept_gone=False).compare(copied, None)
            differences.append((table.name, compared[1], compared[2]))
    return differences


def columns_of(table: Table) -> dict[str, str]:
    """The columns of the raw table that a copy of ``table`` needs, with their types."""
    return {**table.columns, **_PROVENANCE}


def require_shape(reader: psycopg.Connection, tables: Sequence[Table]) -> None:
    """Raise unless every table has exactly the declared columns: a column nobody knows would be lost in silence.

    Raises CutoverError ``extract.no-table`` or ``extract.schema-changed``, which names the columns.
    """
    for table in tables:
        columns: dict[str, str] = dict(
            reader.execute(
                files.statement("extract/tables/columns.sql"), {"table": table.identifier.as_string()}
            ).fetchall()
        )
        if not columns:
            raise CutoverError(
                "extract.no-table",
                f"table {table.table} (connection {table.database})",
                "the source has no such table.",
                "check that the connection names the right database, and the table's name in migration.yaml.",
            )
        differing = [
            *(f"{name} is missing" for name in table.columns if name not in columns),
            *(
                f"{name} is {columns[name]} and not {declared}"
                for name, declared in table.columns.items()
                if name in columns and columns[name] != declared
            ),
            *(f"{name} is not known" for name in columns if name not in table.columns and name not in table.ignore),
        ]
        if differing:
            raise CutoverError(
                "extract.schema-changed",
                f"table {table.table} (connection {table.database})",
                f"its columns are not those of the version that this migration is for: {'; '.join(differing)}.",
                f"bring tables.{table.name}.columns in migration.yaml, and the SQL that uses it, up to the source; "
                "a column that may stay behind goes under `ignore`.",
            )


def _begin_reading(reader: psycopg.Connection) -> None:
    """One picture of the source, which cannot be written to; rows that row-level security hides are an error.

    Raises CutoverError ``extract.old-server``.
    """
    if reader.info.server_version < _OLDEST_SERVER:
        raise CutoverError(
            "extract.old-server",
            f"database {reader.info.dbname}, PostgreSQL {reader.info.parameter_status('server_version')}",
            "a source must be PostgreSQL 14 or later: older ones cannot tell what has changed since the last copy.",
            "upgrade the server, or restore a dump of the source on a newer one and let the connection lead there.",
        )
    reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    reader.read_only = True
    reader.execute("set local row_security = off")


def _prepare(writer: psycopg.Connection, tables: Sequence[Table]) -> None:
    """The engine's tables, and this transaction the only one that copies these sources."""
    ledger.install(writer)
    for migration in {table.migration for table in tables}:
        install_lineage(writer, migration)
    for table in tables:
        if writer.execute(files.statement("extract/tables/lock.sql"), {"source": table.name}).fetchone() != (True,):
            raise CutoverError(
                "extract.busy",
                f"raw.{table.name}",
                "another task is copying into it at this moment.",
                "wait for that task to end, then clear this one.",
            )
    raw.require_plain(writer, [table.name for table in tables])


def _why_by_content(writer: psycopg.Connection, tables: Sequence[Table]) -> str:
    """Why rows are compared by content although tables have a time of modification; empty where they need not be.

    What an application writes while nobody expects it to comes without a time as likely as with one.
    """
    for migration in {table.migration for table in tables}:
        asked = {"migration": migration, "sources": [table.name for table in tables if table.migration == migration]}
        row = writer.execute(files.statement("extract/tables/open_since.sql"), asked).fetchone()
        if row == (True,):
            return ", for sources were written to, or open again, since they last were"
    return ""


def _not_readable(reader: psycopg.Connection, error: psycopg.Error) -> CutoverError:
    said = error.diag.message_primary or str(error)
    hidden = "row-level security" in said
    return CutoverError(
        "extract.hidden-rows" if hidden else "extract.not-readable",
        f"database {reader.info.dbname}, role {reader.info.user}",
        f"{said}.",
        f"alter role {reader.info.user} bypassrls;" if hidden else f"grant select on the table to {reader.info.user};",
    )


# block → rows in it, and the digest of what they are compared by
_Blocks = dict[int, tuple[int, bytes]]


class _Copy:
    """One table's share of the transaction."""

    def __init__(
        self, reader: psycopg.Connection, writer: psycopg.Connection, table: Table, *, full: bool, accept_gone: bool
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._table = table
        self._full = full
        self._accept_gone = accept_gone
        self._raw = sql.Identifier("raw", table.name)
        self._columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        # Kept in raw where it is what later copies go by; a hash that nobody needs is a third of the source's work.
        self._keeps_hash = table.updated is None
        # What `compare` has found: how many bits number a block, and the blocks that differ.
        self._bits = _FEWEST_BITS
        self._differing: list[int] = []

    def run(self, api: str, why: str = "") -> TableReport:
        began = time.monotonic()
        first = self._create()
        stamp = None if self._full else self._table.updated
        mode, because = (
            ("full", "raw had no row of it")
            if first
            else ("incremental", f"rows compared by {stamp}" if stamp else f"rows compared by content{why}")
        )
        started = self._statement(
            "begin",
            source=self._table.name,
            mode=mode,
            because=because,
            api=api,
            account=self._reader.info.user,
            declaration=self._table.model_dump_json(include={"table", "columns"}),
        )
        sync_id = int(started[0])
        if first:
            read = self._transfer(sync_id, self._raw)
            self._writer.execute(
                sql.SQL("alter table {} add primary key ({})").format(self._raw, sql.Identifier(self._table.key))
            )
            self._writer.execute(sql.SQL("analyze {}").format(self._raw))
            new, changed, returned, gone = read, 0, 0, 0
        else:
            read, new, changed, returned, gone = self._refresh(sync_id, stamp)
        total = self._statement("count")[0]
        self._statement(
            "complete",
            sync_id=sync_id,
            rows=read,
            new=new,
            changed=changed,
            returned=returned,
            gone=gone,
            unchanged=total - new - changed - returned,
            total=total,
        )
        seconds = time.monotonic() - began
        return TableReport(self._table.name, sync_id, mode, because, seconds, read, new, changed, returned, gone, total)

    def _create(self) -> bool:
        """Make the raw table if it is not there, or not of these columns; returns whether it has no row."""
        any_row = files.statement("extract/tables/any_row.sql", raw=self._raw)
        columns = columns_of(self._table)
        if raw.has_shape(self._writer, self._table.name, columns) and self._writer.execute(any_row).rowcount:
            return False
        # Without its key, which is quicker to add behind the rows.
        self._writer.execute(sql.SQL("drop table if exists {}").format(self._raw))
        raw.create(self._writer, self._table.name, columns)
        return True

    def _refresh(self, sync_id: int, stamp: str | None) -> tuple[int, int, int, int, int]:
        """Compare every row, fetch what differs, mark what is gone: rows read, new, changed, returned, gone."""
        table = self._table
        read, different, missing, present = self.compare(self._raw, stamp)
        self._require_believable(missing, present)
        new = changed = returned = 0
        names = self._names(self._raw, stamp)
        if different:
            self._temporary("fetched", sql.SQL("like {}").format(self._raw))
            keys = None
            if different <= _FEW:
                keys = [
                    row[0]
                    for row in self._writer.execute(files.statement("extract/tables/different.sql", **names)).fetchall()
                ]
            self._transfer(sync_id, sql.Identifier("pg_temp", "fetched"), keys)
            new, changed, returned = self._writer.execute(
                files.statement(
                    "extract/tables/store.sql",
                    **names,
                    columns=self._columns,
                    before=self._compared("stored"),
                    after=self._compared("excluded"),
                    assignments=sql.SQL(", ").join(
                        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in table.columns
                    ),
                )
            ).fetchone() or (0, 0, 0)
        if missing:
            self._writer.execute(files.statement("extract/tables/mark_gone.sql", **names))
        return read, new, changed, returned, missing

    def compare(self, copied: sql.Identifier, stamp: str | None) -> tuple[int, int, int, int]:
        """Compare the source with ``copied``: rows of the source, rows that differ, rows missing, rows copied.

        Both servers digest what their rows are compared by, block by block of keys; the keys are listed of those
        blocks only that differ, into ``pg_temp.listed``.
        """
        table = self._table
        self._bits = self._block_bits(copied)
        source, stored = self._digests(copied, stamp)
        read, present = (sum(rows for rows, _ in blocks.values()) for blocks in (source, stored))
        self._differing = sorted(
            block for block in source.keys() | stored.keys() if source.get(block) != stored.get(block)
        )
        if not self._differing:
            return read, 0, 0, present
        self._temporary(
            "listed",
            sql.SQL("{} {}, stamp {}").format(
                sql.Identifier(table.key),
                sql.SQL(table.columns[table.key]),
                sql.SQL(table.columns[stamp] if stamp else "bigint"),
            ),
        )
        listing = files.statement(
            "extract/tables/list_keys.sql",
            key=table.key,
            stamp=stamp or self._content("t"),
            source=table.identifier,
            condition=self._differs("t"),
        )
        self._copy(_to_stdout(listing), sql.SQL("copy pg_temp.listed from stdin (format binary)"))
        self._writer.execute("analyze pg_temp.listed")
        counted = self._writer.execute(
            files.statement("extract/tables/compare.sql", **self._names(copied, stamp))
        ).fetchone()
        assert counted is not None
        return read, *counted, present

    def _digests(self, copied: sql.Identifier, stamp: str | None) -> tuple[_Blocks, _Blocks]:
        """The blocks of the source, and those of what was copied; the two servers work at the same time."""
        table = self._table

        def as_digest(alias: str) -> sql.Composable:
            if stamp:
                pair = (sql.Identifier(alias, name) for name in (table.key, stamp))
                return sql.SQL("hash_record_extended(row({}), 0)").format(sql.SQL(", ").join(pair))
            return self._known(None) if alias == "stored" else self._content(alias)

        def read(connection: psycopg.Connection, alias: str, of: sql.Composable, is_there: str) -> _Blocks:
            connection.execute(sql.SQL("set local work_mem = {}").format(sql.Literal(_SORTING)))
            statement = files.statement(
                "extract/tables/digests.sql",
                block=self._block(alias),
                told=as_digest(alias),
                table=sql.SQL("{} as {}").format(of, sql.Identifier(alias)),
                is_there=sql.SQL(is_there),
            )
            with connection.cursor(binary=True) as cursor:
                return {block: (rows, digest) for block, rows, digest in cursor.execute(statement)}

        with ThreadPoolExecutor(1) as beside:
            source = beside.submit(read, self._reader, "t", table.identifier, "true")
            stored = read(self._writer, "stored", copied, "stored.gone_at is null")
            return source.result(), stored

    def _block_bits(self, copied: sql.Identifier) -> int:
        """The blocks, as a power of two: about as many as the copy has pages, so one has as many rows as a page."""
        row = self._writer.execute(
            files.statement("extract/tables/pages.sql"), {"table": copied.as_string()}
        ).fetchone()
        assert row is not None
        return min(max(int(row[0]).bit_length(), _FEWEST_BITS), _MOST_BITS)

    def _block(self, alias: str) -> sql.Composed:
        """The block of a row, by its key alone: neighbours together where keys are numbers, else by a hash."""
        key = sql.Identifier(alias, self._table.key)
        if self._table.columns[self._table.key] in ("smallint", "integer", "bigint"):
            number = sql.SQL("{}::bigint / {}").format(key, sql.Literal(_NEIGHBOURS))
        else:
            number = sql.SQL("hash_record_extended(row({}), 0)").format(key)
        return sql.SQL("(({}) & {})::integer").format(number, sql.Literal(2**self._bits - 1))

    def _differs(self, alias: str) -> sql.Composed:
        """Whether a row is in a block that differs."""
        blocks = sql.Literal(self._differing)
        return sql.SQL("{} = any({}::integer[])").format(self._block(alias), blocks)

    def _known(self, stamp: str | None) -> sql.Composable:
        """What a copied row is compared by."""
        if stamp is None and not self._keeps_hash:
            return self._content("stored")
        return sql.Identifier("stored", stamp or "content_hash")

    def _names(self, copied: sql.Identifier, stamp: str | None) -> dict[str, str | sql.Composable]:
        """What the statements that compare are composed of; ``stamp`` is what a copied row is compared by."""
        return {
            "key": self._table.key,
            "stamp": self._known(stamp),
            "raw": copied,
            "differs": self._differs("stored"),
        }

    def _content(self, alias: str) -> sql.Composed:
        """The hash of a row's declared columns: 64 bits, comparable within one major version of PostgreSQL.

        After an upgrade of the source every row of a table that is compared by content is copied once more.
        """
        return sql.SQL("hash_record_extended(row({}), 0)").format(self._compared(alias))

    def _compared(self, alias: str) -> sql.Composed:
        """The declared columns as they can be compared and hashed."""
        return sql.SQL(", ").join(
            sql.SQL("{}::text" if kind.removesuffix("[]") in _COMPARED_AS_TEXT else "{}").format(
                sql.Identifier(alias, name)
            )
            for name, kind in self._table.columns.items()
        )

    def _require_believable(self, missing: int, present: int) -> None:
        if missing > max(_FEW_GONE, self._table.gone_share * present) and not self._accept_gone:
            raise CutoverError(
                "extract.too-many-gone",
                f"raw.{self._table.name}",
                f"the source lacks {missing:,} of the {present:,} rows known, more than {self._table.gone_share:.0%}; "
                "none was marked as gone.",
                "look whether the connection names the right database; if the rows are really gone, start it again "
                "with the parameter accept_gone.",
            )

    def _temporary(self, name: str, columns: sql.Composable) -> None:
        self._writer.execute(sql.SQL("drop table if exists pg_temp.{}").format(sql.Identifier(name)))
        self._writer.execute(sql.SQL("create temp table {} ({}) on commit drop").format(sql.Identifier(name), columns))

    def _transfer(self, sync_id: int, into: sql.Identifier, keys: list[Any] | None = None) -> int:
        """Copy whole rows with where they come from; those of ``keys`` only, if given. Returns the rows."""
        chosen: sql.Composable = sql.SQL("true")
        if keys is not None:
            chosen = sql.SQL("{} = any({})").format(sql.Identifier(self._table.key), sql.Literal(keys))
        read, written = self._columns, self._columns
        if self._keeps_hash:
            read = sql.SQL("{}, {}").format(read, self._content("t"))
            written = sql.SQL("{}, content_hash").format(written)
        # The provenance is the same for every row, so it does not travel: it is the default of its columns meanwhile.
        origin = {"sync_id": sql.Literal(sync_id), "api_synced_at": sql.SQL("transaction_timestamp()")}
        for name, value in origin.items():
            self._writer.execute(
                sql.SQL("alter table {} alter column {} set default {}").format(into, sql.Identifier(name), value)
            )
        copied = self._copy(
            _to_stdout(
                files.statement(
                    "extract/tables/read_rows.sql", columns=read, source=self._table.identifier, condition=chosen
                )
            ),
            sql.SQL("copy {} ({}) from stdin (format binary)").format(into, written),
        )
        for name in origin:
            self._writer.execute(
                sql.SQL("alter table {} alter column {} drop default").format(into, sql.Identifier(name))
            )
        return copied

    def _copy(self, out: sql.Composed, into: sql.SQL | sql.Composed) -> int:
        """From one server to the other, as the bytes come. Returns the rows.

        libpq hands out one row at a time; they are only gathered into blocks, never looked into. The blocks are
        written by a thread of the driver's, so that reading and writing overlap.
        """
        cursor = self._writer.cursor()
        with (
            self._reader.cursor().copy(out) as source,
            cursor.copy(into, writer=QueuedLibpqWriter(cursor)) as sink,
        ):
            block: list[bytes | bytearray | memoryview] = []
            size = 0
            for row in source:
                block.append(row)
                size += len(row)
                if size >= _BLOCK:
                    sink.write(b"".join(block))
                    block.clear()
                    size = 0
            sink.write(b"".join(block))
        return cursor.rowcount

    def _statement(self, name: str, **values: Any) -> tuple[Any, ...]:
        row = self._writer.execute(files.statement(f"extract/tables/{name}.sql", raw=self._raw), values).fetchone()
        assert row is not None
        return row


# Beside the source's columns: what tells where a row comes from, under the names that every raw table has.
_PROVENANCE = {
    "content_hash": "bigint",
    "sync_id": "bigint",
    "api_synced_at": "timestamp with time zone",
    "gone_at": "timestamp with time zone",
}


def _to_stdout(query: sql.Composable) -> sql.Composed:
    return sql.SQL("copy ({}) to stdout (format binary)").format(query)
