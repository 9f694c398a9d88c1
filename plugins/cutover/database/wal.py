"""The WAL that the server writes: everybody's, since it does not say whose (PostgreSQL 14 to 17 count by server)."""

from __future__ import annotations

import psycopg

from cutover.database import answer
from cutover.database import statements as files


def position(connection: psycopg.Connection) -> str | None:
    """Where the WAL ends now; None where a provider does not tell (Aurora)."""
    row = _asked(connection, None)
    return None if row is None else str(row[0])


def written(connection: psycopg.Connection, since: str | None) -> int | None:
    """Bytes of WAL written since a position; None where that is not known."""
    row = None if since is None else _asked(connection, since)
    return None if row is None else int(row[1])


def shown(size: int | None) -> str:
    """Bytes of WAL as the end of a line of progress; nothing where they are not known."""
    return "" if size is None else f", {size / 1e6:,.1f} MB of WAL"


def _asked(connection: psycopg.Connection, since: str | None) -> tuple[str, int] | None:
    try:
        # in a transaction of the caller's, a refusal must not end that
        with connection.transaction():
            row = connection.execute(files.statement("pace/wal.sql"), {"since": since}).fetchone()
    except psycopg.Error as error:
        if answer.lost(error):
            raise
        return None
    return row
