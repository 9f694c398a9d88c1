"""Who is in the way of a lock, in words for the person who waits for it."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from cutover.database import catalog


def blockers(connection: psycopg.Connection, relations: Sequence[int | None]) -> list[str]:
    """A line per session or prepared transaction that holds a lock on one of ``relations``, by their oid.

    Each says who, since when, what it holds, and its statement. What PostgreSQL keeps from the role that asks (since
    when, and the statement, of sessions of others) is said to be kept, and what would show it.
    """
    return [_line(row) for row in catalog.rows(connection, "blockers", relations=list(relations))]


def _line(row: catalog.Row) -> str:
    who = f"pid {row['pid']}" if row["pid"] is not None else "a prepared transaction of"
    who += f" user {row['user']} ({row['application'] or 'no application name'}"
    holds = f"holds {row['locks']}"
    if row["hidden_from"] is not None:
        return (
            f"{who}) {holds}; since when, and its statement, are hidden from role {row['hidden_from']}: "
            f"grant pg_read_all_stats to {row['hidden_from']}"
        )
    return f"{who}, {row['state']}, open for {str(row['age']).split('.')[0]}) {holds}: {row['query']}"
