"""The rows of every table of a database, as the bytes in which COPY writes them: on a server, and in an archive.

``pg_dump`` writes the rows of a table with COPY, in the order in which they lie in it. The same statement in the same
snapshot gives the same bytes, and so does a table into which they were loaded. So a number of rows and a digest for
each table tell whether two of them hold the same, with nothing to sort and no hash of PostgreSQL's to trust.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

import psycopg
from psycopg import sql

from cutover.database import statements as files

# How much of a stream is read at once; a row may be longer, and is never held whole.
BLOCK = 1024 * 1024
_QUOTED = r'("(?:[^"]|"")+"|[^".\s(]+)'
_BEGIN = re.compile(rf"COPY {_QUOTED}\.{_QUOTED} .*FROM stdin;".encode())
_END = b"\\.\n"


@dataclass(frozen=True)
class Rows:
    """The rows of one table: how many, and the SHA-256 of their bytes."""

    rows: int
    sha256: str


# schema.table, unquoted → its rows
Tables = dict[str, Rows]


def of_database(connection: psycopg.Connection) -> Tables:
    """The rows of every table that a dump of this database would hold, as the session's transaction sees them.

    Rows that row-level security would hide are an error of PostgreSQL's.
    """
    connection.execute("set local row_security = off")
    # a scan that joins another one under way would begin in the middle
    connection.execute("set local synchronize_seqscans = off")
    return {
        f"{schema}.{name}": _of_table(connection, schema, name, columns) for schema, name, columns in listed(connection)
    }


def listed(connection: psycopg.Connection) -> list[tuple[str, str, list[str]]]:
    """Schema, name and columns of every table that a dump would hold rows of."""
    return connection.execute(files.statement("dumps/tables.sql")).fetchall()


def _of_table(connection: psycopg.Connection, schema: str, name: str, columns: list[str]) -> Rows:
    digest, rows = hashlib.sha256(), 0
    wanted = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Identifier, columns))) if columns else sql.SQL("")
    statement = sql.SQL("copy {} {} to stdout").format(sql.Identifier(schema, name), wanted)
    with connection.cursor() as cursor, cursor.copy(statement) as copied:
        for row in copied:
            digest.update(row)
            rows += 1
    return Rows(rows, digest.hexdigest())


def of_script(script: IO[bytes]) -> Tables:
    """The rows of every table in the script that ``pg_restore --data-only`` makes of an archive.

    A script that ends in the middle of a table has that table without its last rows.
    """
    tables: Tables = {}
    table, digest, rows = "", hashlib.sha256(), 0
    begins_line = True
    # a piece is a line, or a part of one that is longer
    while piece := script.readline(BLOCK):
        if table and begins_line and piece == _END:
            tables[table] = Rows(rows, digest.hexdigest())
            table = ""
        elif table:
            digest.update(piece)
            rows += piece.endswith(b"\n")
        elif begins_line and (begun := _BEGIN.fullmatch(piece.rstrip(b"\n"))):
            table, digest, rows = f"{_name(begun[1])}.{_name(begun[2])}", hashlib.sha256(), 0
        begins_line = piece.endswith(b"\n")
    if table:
        tables[table] = Rows(rows, digest.hexdigest())
    return tables


def differences(source: Mapping[str, Rows], other: Mapping[str, Rows]) -> list[str]:
    """In words, each table of the source that is not the same in the other."""
    lines = []
    for name, rows in source.items():
        counterpart = other.get(name)
        if counterpart is None:
            lines.append(f"{name} is missing")
        elif counterpart.rows != rows.rows:
            lines.append(f"{name} has {counterpart.rows:,} rows and not {rows.rows:,}")
        elif counterpart != rows:
            lines.append(f"{name} has other content")
    return lines


def _name(identifier: bytes) -> str:
    text = identifier.decode()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text
