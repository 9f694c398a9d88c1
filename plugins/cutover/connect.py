"""Connections to PostgreSQL, the same for tasks, tests and benches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from cutover.errors import CutoverError

Connect = Callable[[], psycopg.Connection]
Log = Callable[[str], None]


def connector(dsn: str, name: str, application: str) -> Connect:
    """A function that opens connections to ``dsn``.

    ``name`` is the Airflow connection's, for messages; ``application`` shows in pg_stat_activity. The function
    raises CutoverError ``connect.unreachable``, ``connect.refused`` or ``connect.no-database``, without the DSN and
    so without its secret.
    """

    def connect() -> psycopg.Connection:
        try:
            return psycopg.connect(
                dsn,
                application_name=application,
                connect_timeout=10,
                # a network that went silent must not keep a task, and its locks, for ever
                keepalives_idle=30,
                tcp_user_timeout=60_000,
            )
        except psycopg.OperationalError as error:
            reason = " ".join(str(error).split())
            # libpq tells no SQLSTATE of a connection that was not made
            if re.search(r'database "[^"]*" does not exist', reason):
                raise CutoverError(
                    "connect.no-database",
                    f"connection {name}",
                    f"the server has no such database: {reason}.",
                    f"create the database, or correct its name in the Airflow connection {name} (field Schema).",
                ) from None
            if "authentication" in reason or "password" in reason or "role" in reason:
                raise CutoverError(
                    "connect.refused",
                    f"connection {name}",
                    f"the database does not accept its user or password: {reason}.",
                    f"correct login and password of the Airflow connection {name}.",
                ) from None
            raise CutoverError(
                "connect.unreachable",
                f"connection {name}",
                f"the database does not answer: {reason}.",
                f"start the server, or correct host and port of the Airflow connection {name}.",
            ) from None

    return connect


@contextmanager
def opened(connect: Connect, *, autocommit: bool = False) -> Iterator[psycopg.Connection]:
    """A connection for the time of a block; committed at its end, rolled back on an error, always closed."""
    connection = connect()
    connection.autocommit = autocommit
    with connection:
        yield connection
