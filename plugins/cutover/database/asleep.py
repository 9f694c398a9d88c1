"""Tables whose triggers sleep meanwhile: rows are put where they were, and no code of others runs as the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from cutover.database import statements as files


@contextmanager
def asleep(connection: psycopg.Connection, tables: Sequence[sql.Identifier], *, captures: bool) -> Iterator[None]:
    """The triggers of tables do not run within the block, and are as they were afterwards; in a transaction.

    ``captures``: neither does the engine's own write capture.
    """
    stopped: list[tuple[sql.Identifier, str, str]] = []
    for table in tables:
        parameters = {"name": table.as_string(), "captures": captures}
        for name, way in connection.execute(files.statement("catalog/awake_triggers.sql"), parameters).fetchall():
            connection.execute(sql.SQL("alter table {} disable trigger {}").format(table, sql.Identifier(name)))
            stopped.append((table, name, way))
    yield
    # in case of an error the transaction is rolled back, and they are as they were
    for table, name, way in stopped:
        # the word is one of three of ours
        statement = {"": "enable trigger", "replica": "enable replica trigger", "always": "enable always trigger"}[way]
        connection.execute(sql.SQL("alter table {} {} {}").format(table, sql.SQL(statement), sql.Identifier(name)))
