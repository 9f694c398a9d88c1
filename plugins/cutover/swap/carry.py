"""Captured production writes applied to the incoming tables: every row once, or in the quarantine with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import psycopg
from psycopg.rows import class_row

from cutover.swap.scope import Scope


@dataclass(frozen=True)
class Carried:
    """What became of the captured writes of one table and operation."""

    table_name: str
    operation: str
    carried: int
    already_gone: int
    quarantined: int


def carry(
    connection: psycopg.Connection, run: str, scope: Scope, since: str, except_xid: str | None
) -> tuple[list[Carried], str]:
    """Apply what ``since`` does not see and this moment does. Returns the counts and this moment's snapshot.

    Called again with that snapshot it goes on where it stopped: first outside the lock for the bulk, then
    inside it for the rest. ``except_xid`` is a transaction whose own writes are not to be carried.
    """
    moment = connection.execute("select pg_current_snapshot()::text").fetchone()
    assert moment is not None
    until: str = moment[0]
    pairs = [(t.outgoing, t.incoming) for t in scope.tables if t.outgoing is not None and t.incoming is not None]
    with connection.cursor(row_factory=class_row(Carried)) as cursor:
        counts = cursor.execute(
            "select * from cutover.carry(%s, %s::oid[], %s::oid[], %s::pg_snapshot, %s::pg_snapshot, %s::xid8)",
            (run, [pair[0] for pair in pairs], [pair[1] for pair in pairs], since, until, except_xid),
        ).fetchall()
    return counts, until


def total(*rounds: list[Carried]) -> list[dict[str, object]]:
    """The rounds added up, one entry per table and operation, ready for JSON."""
    summed: dict[tuple[str, str], Carried] = {}
    for count in (count for counts in rounds for count in counts):
        key = (count.table_name, count.operation)
        so_far = summed.get(key, Carried(*key, 0, 0, 0))
        summed[key] = Carried(
            *key,
            so_far.carried + count.carried,
            so_far.already_gone + count.already_gone,
            so_far.quarantined + count.quarantined,
        )
    return [asdict(summed[key]) for key in sorted(summed)]
