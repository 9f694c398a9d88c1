"""Rows that would point at nothing after the move: found before any lock, listed, refused.

Outside tables are written to all the time, and what they refer to is carried later than it is written. So a row that
points at nothing is a suspect at first: it is looked at again when everything has been carried that was committed
before it was seen. Only what is missing then is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover.database import catalog
from cutover.database.connect import Connect, same_moment
from cutover.errors import CutoverError
from cutover.swap.carry import carry
from cutover.swap.scope import Scope

# Suspects of one key that are looked at again by their keys; of more, all rows are looked at again.
_MOST_KEYS = 10_000
# How often a suspect must be missing after everything before has been carried. One is enough, except for a row that is
# deleted and made again under its old key at just that moment.
_CONFIRMATIONS = 2


@dataclass(frozen=True)
class Orphans:
    """Rows behind one foreign key (``table:constraint``) that points at nothing.

    ``side`` says whose they are: ``outside`` tables' or the ``incoming`` ones'.
    """

    key: str
    rows: int
    sample: str
    side: str = "outside"


@dataclass(frozen=True)
class _Suspects:
    orphans: Orphans
    keys: tuple[str, ...]


def find(connection: psycopg.Connection, scope: Scope, *, merged: bool = True) -> list[Orphans]:
    """Count and sample the rows that point at nothing, per foreign key; only keys that have some.

    Right only where the incoming tables are at the very state that this transaction sees: see ``as_carried``.
    Before the merge (``merged`` is False) keys to merged tables are left out.
    """
    return [suspect.orphans for suspect in _find(connection, scope, merged=merged)]


def certain(connection: psycopg.Connection, scope: Scope, since: str) -> list[Orphans]:
    """Of the rows that point at nothing before anything is carried, those that carrying cannot mend; by reading alone.

    What is written after the snapshot ``since`` gets the benefit of the doubt.
    """
    row = connection.execute("select (pg_snapshot_xmin(%s)::text::numeric %% 4294967296)::text", (since,)).fetchone()
    assert row is not None
    return [one.orphans for one in _find(connection, scope, merged=False, bound=row[0])]


def as_carried(
    connect: Connect, run: str, scope: Scope, since: str, *, snapshot: str, merged: bool = True
) -> list[Orphans]:
    """What would point at nothing if everything written until the moment of ``snapshot`` were carried.

    Carries and looks in that exported snapshot, so that both are of the same moment, and takes it all back.
    """
    with connect() as connection:
        same_moment(connection, snapshot)
        connection.execute("set local search_path = ''")
        carry(connection, run, scope, since, None)
        orphans = find(connection, scope, merged=merged)
        connection.rollback()
    return orphans


def require_none(
    connection: psycopg.Connection, scope: Scope, carry_on: Callable[[], None], newer_than: str | None = None
) -> None:
    """Raise CutoverError ``swap.orphans``, listing the keys, if a row would point at nothing.

    ``carry_on`` carries what has been committed by the moment it is called. With ``newer_than`` (a transaction id)
    only rows written by that transaction or a later one are looked at.
    """
    suspects = _find(connection, scope, newer_than=newer_than)
    for _ in range(_CONFIRMATIONS):
        if not suspects:
            return
        carry_on()
        suspects = _find(connection, scope, suspects=suspects)
    if suspects:
        raise refusal([suspect.orphans for suspect in suspects])


def _find(
    connection: psycopg.Connection,
    scope: Scope,
    *,
    suspects: Sequence[_Suspects] | None = None,
    newer_than: str | None = None,
    merged: bool = True,
    bound: str | None = None,
) -> list[_Suspects]:
    """One look, in one statement and so in one snapshot."""
    statements = catalog.rows(
        connection,
        "orphans",
        outside_keys=scope.bound("outside foreign key"),
        outgoing=scope.outgoing,
        replaced=scope.replaced,
        unmerged=[] if merged else list(scope.merged),
        incoming_schema=scope.incoming_schema,
        most=_MOST_KEYS + 1,
        bound=bound,
    )
    known = None if suspects is None else {(s.orphans.side, s.orphans.key): s.keys for s in suspects}
    parts: list[str] = []
    for row in statements:
        text = row["statement"] + row["settled"]
        if known is not None:
            keys = known.get((row["side"], row["object"]))
            if keys is None:
                continue
            if len(keys) <= _MOST_KEYS:
                text += f" and k.key = any({sql.Literal(list(keys)).as_string(connection)})"
        if newer_than is not None:
            # of a row that has been frozen long ago, the number may look new: it is looked at in vain, once
            text += f" and age(o.xmin) <= age({sql.Literal(newer_than).as_string(connection)}::xid)"
        parts.append(text)
    if not parts:
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute("\nunion all\n".join(parts).encode()).fetchall()
    return [
        _Suspects(Orphans(row["object"], row["rows"], row["sample"], row["side"]), tuple(row["keys"]))
        for row in rows
        if row["rows"]
    ]


def refusal(orphans: list[Orphans]) -> CutoverError:
    """The error that lists these orphans."""
    outside = [o for o in orphans if o.side == "outside"]
    listed = "; ".join(f"{o.rows} rows of {o.key}, such as {o.sample[:120]}" for o in outside or orphans)
    if outside:
        return CutoverError(
            "swap.orphans",
            outside[0].key,
            f"rows outside the set refer to rows that the incoming tables do not have: {listed}. Nothing was changed.",
            "delete or re-point those rows, or keep the rows they refer to; then run again.",
        )
    return CutoverError(
        "swap.orphans",
        orphans[0].key,
        f"incoming rows refer to rows of live tables that are not there: {listed}. Nothing was changed.",
        "put those rows into the live table, or leave the incoming ones out in the migration's SQL; then run again.",
    )
