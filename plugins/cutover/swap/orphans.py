"""Rows of outside tables that would point at nothing after the move: found before any lock, listed, refused."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from cutover import catalog
from cutover.errors import CutoverError
from cutover.swap.scope import Scope


@dataclass(frozen=True)
class Orphans:
    """Rows behind one outside foreign key (``table:constraint``) that the incoming tables do not have."""

    key: str
    rows: int
    sample: str


def find(connection: psycopg.Connection, scope: Scope) -> list[Orphans]:
    """Count and sample the rows that would be orphaned, per outside foreign key; only keys that have some."""
    found = []
    keys = catalog.rows(
        connection,
        "orphans",
        outside_keys=scope.bound("outside foreign key"),
        incoming_schema=scope.incoming_schema,
    )
    for key in keys:
        row = connection.execute(key["statement"].encode()).fetchone()
        if row is not None and row[0]:
            found.append(Orphans(key["object"], row[0], row[1]))
    return found


def require_none(connection: psycopg.Connection, scope: Scope) -> None:
    """Raise CutoverError ``swap.orphans``, listing the keys, if a row outside would lose what it points at."""
    found = find(connection, scope)
    if found:
        raise refusal(found)


def refusal(found: list[Orphans]) -> CutoverError:
    """The error that lists these orphans."""
    listed = "; ".join(f"{o.rows} rows of {o.key}, such as {o.sample[:120]}" for o in found)
    return CutoverError(
        "swap.orphans",
        found[0].key,
        f"rows outside the set refer to rows that the incoming tables do not have: {listed}. Nothing was changed.",
        "delete or re-point those rows, or keep the rows they refer to; then run again.",
    )
