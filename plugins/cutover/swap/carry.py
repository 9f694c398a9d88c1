"""Captured production writes applied to the incoming tables: every row once, or in the quarantine with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.swap.scope import Scope


@dataclass(frozen=True)
class Carried:
    """What became of the captured writes of one table and operation."""

    table_name: str
    operation: str
    carried: int
    already_gone: int
    quarantined: int


def prepared(connection: psycopg.Connection, scope: Scope, since: str, except_xid: str | None) -> Jsonb:
    """What carrying needs to know of the tables, for a call that clients wait for. Holds while none is altered."""
    outgoing, incoming = _pairs(scope)
    row = connection.execute(
        files.statement("swap/carry_pairs.sql"),
        {"except_xid": except_xid, "outgoing": outgoing, "incoming": incoming, "since": since},
    ).fetchone()
    assert row is not None
    return Jsonb(row[0])


def _pairs(scope: Scope) -> tuple[list[int], list[int]]:
    pairs = [(t.outgoing, t.incoming) for t in scope.tables if t.outgoing is not None and t.incoming is not None]
    return [outgoing for outgoing, _ in pairs], [incoming for _, incoming in pairs]


def carry(
    connection: psycopg.Connection,
    run: str,
    scope: Scope,
    since: str,
    except_xid: str | None,
    *,
    known: Jsonb | None = None,
) -> tuple[list[Carried], str]:
    """Apply what ``since`` does not see and this moment does. Returns the counts and this moment's snapshot.

    Called again with that snapshot it goes on where it stopped: first outside the lock for the bulk, then
    inside it for the rest. ``except_xid`` is a transaction whose own writes are not to be carried; ``known`` is what
    ``prepared`` found.
    """
    moment = connection.execute("select pg_current_snapshot()::text").fetchone()
    assert moment is not None
    until: str = moment[0]
    outgoing, incoming = _pairs(scope)
    parameters: dict[str, object] = {
        "run": run,
        "outgoing": outgoing,
        "incoming": incoming,
        "since": since,
        "until": until,
        "except_xid": except_xid,
        "known": known,
    }
    try:
        with connection.transaction():
            return _carry(connection, {**parameters, "careful": False}), until
    except (psycopg.errors.IntegrityError, psycopg.errors.GeneratedAlways):
        # a deferrable constraint that is broken in the end, or an identity that was set to its default
        return _carry(connection, {**parameters, "careful": True}), until


def _carry(connection: psycopg.Connection, parameters: Mapping[str, object]) -> list[Carried]:
    with connection.cursor(row_factory=class_row(Carried)) as cursor:
        return cursor.execute(files.text("swap/carry.sql").encode(), parameters).fetchall()


def require_all_carried(migration: str, *rounds: list[Carried]) -> None:
    """Raise CutoverError ``revert.cannot-carry`` if a write has gone into quarantine where nobody could decide that."""
    quarantined = sum(count.quarantined for counts in rounds for count in counts)
    if quarantined:
        raise CutoverError(
            "revert.cannot-carry",
            f"{quarantined:,} {'write' if quarantined == 1 else 'writes'} made since the swap",
            "they cannot be carried back, which nobody knew who approved beforehand that it is taken back. Nothing was "
            "changed.",
            f"trigger {migration}_rollback without `revert`: its preview names them, and a second person decides.",
        )


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
