"""Where every row of every source went: the balance that a launch has to have."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.errors import CutoverError


def of_run(connection: psycopg.Connection, this_run: str) -> list[dict[str, Any]]:
    """The balance of every source. Raises CutoverError unless read = staged + merged + left out + rejected."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(files.statement("review/reconciliation.sql"), {"run": this_run}).fetchall()
    for row in rows:
        if row["difference"]:
            raise CutoverError(
                "review.not-balanced",
                f"source {row['source']}",
                f"{row['read']} rows were read and {row['difference']} of them are unaccounted for.",
                "this is a fault of the migration's SQL: its prepare and transform files decide where a row goes.",
            )
    return [dict(row) for row in rows]
