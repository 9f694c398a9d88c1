"""The platform's connections to the unified database, and its statements from include/sql/mula_platform."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from cutover.database.connect import options, whole
from cutover.database.statements import text

Row = dict[str, Any]
# Milliseconds: a page that the database does not answer in this time fails, so that it does not hold a connection.
_STATEMENT_MS = 5_000
# Milliseconds: the longest that a request waits for a lock, a swap's included.
_LOCK_MS = 3_000
# Seconds that a request waits for a connection of the pool before it is told to come again.
_POOL_S = 5.0


class Database:
    """A pool of sessions as the platform's role; ``size`` is the most of them."""

    def __init__(self, dsn: str, size: int) -> None:
        self.pool: ConnectionPool[psycopg.Connection[Row]] = ConnectionPool(
            "",
            kwargs={
                **whole(dsn),
                "application_name": "mula platform",
                "options": options(statement_timeout=str(_STATEMENT_MS), lock_timeout=str(_LOCK_MS)),
                "row_factory": dict_row,
            },
            min_size=1,
            max_size=size,
            timeout=_POOL_S,
            # a server that was restarted costs nobody an error
            check=_check,
            open=False,
        )

    def open(self) -> None:
        """Begin to connect; returns at once, whether or not the database is there."""
        self.pool.open(wait=False)

    def close(self) -> None:
        """End all sessions."""
        self.pool.close()

    @contextmanager
    def autocommit(self) -> Iterator[psycopg.Connection[Row]]:
        """A session that commits each statement by itself: for what only reads, two ways there and back less."""
        with self.pool.connection() as connection:
            connection.autocommit = True
            yield connection

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[Row]]:
        """A transaction: committed at the end of the block, rolled back on an error."""
        with self.pool.connection() as connection:
            # it may have been used for the above before
            connection.autocommit = False
            yield connection


def _check(connection: psycopg.Connection[Row]) -> None:
    """Raise OperationalError for a session that the server has ended.

    Such a server has said so, or closed the connection: there is something to read. Where there is nothing, which is
    nearly always, the server is not asked, which would be another way there and back for each use.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        ConnectionPool.check_connection(connection)


def rows(connection: psycopg.Connection[Row], name: str, /, **values: Any) -> list[Row]:
    """The rows of include/mula_platform/sql/<name>.sql."""
    return connection.execute(text(f"mula_platform/{name}.sql").encode(), values).fetchall()


def row(connection: psycopg.Connection[Row], name: str, /, **values: Any) -> Row | None:
    """The first row of include/mula_platform/sql/<name>.sql, or None."""
    return connection.execute(text(f"mula_platform/{name}.sql").encode(), values).fetchone()


def do(connection: psycopg.Connection[Row], name: str, /, **values: Any) -> int:
    """Execute include/mula_platform/sql/<name>.sql; returns how many rows it changed."""
    return connection.execute(text(f"mula_platform/{name}.sql").encode(), values).rowcount
