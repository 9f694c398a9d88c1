"""The raw tables are plain: reading and writing them runs nobody's code.

The role that fills them may be another than the engine's and owns them then. What it put on them (a trigger, a check, a
view in a table's place) would run with the rights of whoever writes or reads there next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.swap import owner


def has_shape(connection: psycopg.Connection, name: str, columns: Mapping[str, str]) -> bool:
    """Whether ``raw.<name>`` is there, with exactly these columns, name → type, in this order."""
    table = sql.Identifier("raw", name).as_string()
    there = connection.execute(files.statement("extract/tables/columns.sql"), {"table": table}).fetchall()
    return there == list(columns.items())


def create(connection: psycopg.Connection, name: str, columns: Mapping[str, str]) -> None:
    """Make ``raw.<name>`` of these columns, empty and without a key."""
    listed = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind)) for column, kind in columns.items()
    )
    connection.execute(sql.SQL("create table {} ({})").format(sql.Identifier("raw", name), listed))


def require_plain(connection: psycopg.Connection, sources: Iterable[str]) -> None:
    """Raise CutoverError ``extract.foreign-code`` unless each ``raw.<source>`` that there is runs nothing of others."""
    names = [sql.Identifier("raw", name).as_string() for name in sources]
    for row in catalog.rows(connection, "not_plain", names=names):
        raise CutoverError(
            "extract.foreign-code",
            row["object"],
            f"{row['why']}: it would run with the rights of {connection.info.user}.",
            f"find out who made it so; then let the next full sync make it anew: drop {row['object']}.",
        )
    oids = connection.execute(files.statement("extract/raw_oids.sql"), {"names": names}).fetchone()
    for code in owner.foreign_code(connection, oids[0] if oids else []):
        if code.runs_on_write:
            raise CutoverError("extract.foreign-code", *owner.explained(connection, code))
