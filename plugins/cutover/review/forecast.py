"""How long clients will wait at the swap, by what was measured at those before it."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.migration import Migration


def lock_times(connection: psycopg.Connection, migration: Migration) -> list[dict[str, Any]]:
    """How long clients waited in the launches and rollbacks so far: what to expect of the next one."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(files.statement("review/lock_times.sql"), {"migration": migration.migration}).fetchall()
    return [{**row, "waited_ms": round(float(row["waited_ms"]), 1)} for row in rows]


def expected(review: dict[str, Any]) -> str:
    """How long clients will wait, as rehearsed, or by what was measured before."""
    rehearsed_ms = (review.get("rehearsal") or {}).get("hold_ms")
    if rehearsed_ms is not None:
        return f"clients will wait {rehearsed_ms:,.0f} ms, as rehearsed"
    times = sorted(entry["waited_ms"] for entry in review["lock_times"])
    if not times:
        return "how long clients will wait has not been measured yet"
    if len(times) == 1:
        return f"clients waited {times[0]:,.0f} ms the last time"
    return f"clients waited {times[len(times) // 2]:,.0f} ms in the middle of the last {len(times)} times"
