"""A quick proof that a table's rows are those of an earlier moment: by the transactions that wrote them.

A row version never changes. If every version that is there now was written by a transaction that had committed at the
earlier moment, each of them was there then; if they are as many as then, nothing else was. An update, an insert, a
load, a rewrite by ``ALTER TABLE``: each makes versions of a new transaction. So the two sets are the same set, which no
hash could prove, for the price of counting rows.

"Had committed at the earlier moment" is told by ``horizon``, the oldest transaction that was running then: whatever is
older had ended, and its subtransactions with it. (To be in the snapshot is not enough: a snapshot lists no
subtransactions, so one of a transaction that was still running looks as if it had ended.) Younger transactions whose
rows were visible then had committed, too, and are listed by number.

How a row reads depends on more than the row, too: the columns' names and order, and the labels of an enum. That is the
``shape``. Where any of it does not hold, nothing is proved, and the digest of the content has to be made again.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import sql

from cutover.database import statements as files

# More transactions than this that ended while the oldest one ran: let the digest decide.
_MOST = 1_000


@dataclass(frozen=True)
class Guard:
    """A table's rows at one moment. ``later``: the transactions that had committed, but not before ``horizon``."""

    oid: int
    shape: str
    rows: int
    horizon: str
    later: list[int]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def take(connection: psycopg.Connection, relation: sql.Identifier) -> Guard | None:
    """What proves later that the rows of ``relation`` are those of this snapshot; None where that cannot be proved.

    In the REPEATABLE READ transaction that everything else about this moment is read in, and a block of ``pinned``.
    """
    shape = _shape(connection, relation)
    if shape is None:
        return None
    row = connection.execute("select pg_snapshot_xmin(pg_current_snapshot())::text").fetchone()
    assert row is not None
    rows, unknown, later = _versions(connection, relation, row[0])
    if unknown or len(later) > _MOST or not _have_committed(connection, later):
        return None
    return Guard(shape[0], shape[1], rows, row[0], later)


def holds(connection: psycopg.Connection, relation: sql.Identifier, earlier: Guard) -> bool:
    """Whether ``relation`` has exactly the rows that it had when ``earlier`` was taken."""
    if _shape(connection, relation) != (earlier.oid, earlier.shape):
        return False
    rows, unknown, later = _versions(connection, relation, earlier.horizon)
    return rows == earlier.rows and not unknown and set(later) <= set(earlier.later)


def _shape(connection: psycopg.Connection, relation: sql.Identifier) -> tuple[int, str] | None:
    name = {"table": relation.as_string(connection)}
    shape = connection.execute(files.statement("fingerprint/shape.sql"), name).fetchone()
    if shape is None or not shape[1]:
        return None
    types = connection.execute(files.statement("fingerprint/types.sql"), name).fetchall()
    text = "\n".join([shape[2] or "", *(f"{row[0]} {row[2]}" for row in types)])
    return shape[0], hashlib.sha256(text.encode()).hexdigest()


def _versions(connection: psycopg.Connection, relation: sql.Identifier, horizon: str) -> tuple[int, int, list[int]]:
    # a percent sign in a name is one in the statement, not a placeholder
    table = sql.SQL(relation.as_string(connection).replace("%", "%%"))
    row = connection.execute(
        files.statement("fingerprint/row_versions.sql", table=table), {"horizon": horizon}
    ).fetchone()
    assert row is not None
    return row


def _have_committed(connection: psycopg.Connection, transactions: list[int]) -> bool:
    """Whether these numbers are the transactions meant, and not younger ones whose bits are the same."""
    row = connection.execute(files.statement("fingerprint/committed.sql"), {"transactions": transactions}).fetchone()
    return row == (True,)
