"""The time by the database's clock: what all hosts that work on one launch have in common."""

from __future__ import annotations

from datetime import datetime

import psycopg


def now(connection: psycopg.Connection) -> datetime:
    """The moment, however long ago the transaction of ``connection`` began."""
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    return row[0]  # type: ignore[no-any-return]
