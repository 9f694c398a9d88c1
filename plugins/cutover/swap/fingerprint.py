"""The digest of a table's content: a proof of what the approver was shown, for anybody to compute again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cutover.database import statements as files

# Every setting that has a say in how PostgreSQL writes a value, and those that let it use its workers.
PINNED = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "quote_all_identifiers": "off",
    "search_path": "pg_catalog, pg_temp",
    # rows that a policy hides are an error, not missing
    "row_security": "off",
    "parallel_setup_cost": "0",
    "parallel_tuple_cost": "0",
    # workers are for the rows of large tables: to start them takes longer than any question to the catalogue
    "enable_parallel_append": "off",
    "work_mem": "32MB",
    "jit": "off",
}


@dataclass(frozen=True)
class Content:
    """The rows of a table: how many, and the root of the tree over their digests."""

    rows: int
    digest: str


@contextmanager
def pinned(connection: psycopg.Connection) -> Iterator[None]:
    """The settings of ``PINNED`` for the time of a block, in a transaction; afterwards those of before."""
    with connection.transaction():
        before = {name: connection.execute("select current_setting(%s)", (name,)).fetchone() for name in PINNED}
        _set(connection, PINNED)
        yield
        _set(connection, {name: row[0] for name, row in before.items() if row is not None})


def _set(connection: psycopg.Connection, settings: Mapping[str, str]) -> None:
    connection.execute(
        files.statement("fingerprint/pin.sql"), {"names": list(settings), "values": list(settings.values())}
    )


def content(connection: psycopg.Connection, relation: sql.Identifier) -> Content:
    """The digest of the rows of ``relation``, whatever their types; docs/review.md has its format.

    To be called in a block of ``pinned``. Five or six times as long as a sum of row hashes, but a proof: anybody can
    compute it again from a dump (``plugins/cutover/sql/fingerprint/content.psql``), on any version of PostgreSQL.
    """
    columns = connection.execute(
        files.statement("fingerprint/columns.sql"), {"table": relation.as_string(connection)}
    ).fetchall()
    # the bytes of a database without an encoding cannot be converted
    encoding = connection.execute(
        "select case when getdatabaseencoding() = 'SQL_ASCII' then 'SQL_ASCII' else 'UTF8' end"
    ).fetchone()
    assert encoding is not None
    row = connection.execute(
        files.statement(
            "fingerprint/content.sql",
            table=relation,
            columns=sql.SQL(", ").join(sql.Identifier("r", name) for (name,) in columns),
            encoding=sql.Literal(encoding[0]),
        )
    ).fetchone()
    assert row is not None
    return Content(*row)
