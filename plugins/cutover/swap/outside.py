"""Rows of tables outside the set that lose what they refer to: what becomes of them, and how they come back.

In a launch they follow their key's own ON DELETE, as if the application had deleted the row that they refer to; in a
rollback they are set aside whole, whatever the key says. Either way the row as it was is kept in ``cutover.set_aside``,
and comes back with what undoes the entry, or with the next launch that has what it refers to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.connect import Connect, same_moment
from cutover.errors import CutoverError
from cutover.swap.carry import carry
from cutover.swap.scope import Scope

KIND = "outside foreign key"
# migration.yaml speaks of keys, the table of rows
RULES = {"cascade": "delete", "set null": "set null", "set default": "set default", "refuse": "refuse"}


@dataclass(frozen=True)
class Policy:
    """What becomes of rows outside. ``keys``: by key (``table:constraint``) instead of its ON DELETE, as RULES.

    ``aside``: everything is set aside, whatever the keys say.
    """

    keys: Mapping[str, str]
    aside: bool = False

    def as_json(self) -> Jsonb:
        """By key, in the words of ``cutover.set_aside``."""
        return Jsonb({key: RULES[rule] for key, rule in self.keys.items()} if not self.aside else {})


@dataclass(frozen=True)
class Followed:
    """Rows behind one key, and what is done to them (``refuse``: what cannot be done, with the id of one of them)."""

    key_name: str
    operation: str
    rows: int
    sample: str | None = None


def refusing(connection: psycopg.Connection, scope: Scope, policy: Policy) -> Scope:
    """The scope with only those outside keys whose rows must not lose what they refer to."""
    keys = scope.bound(KIND)
    rows = connection.execute(files.statement("outside/rules.sql"), {"keys": keys}).fetchall()
    words = policy.as_json().obj
    followed = {
        key
        for key, name, rule, temporal in rows
        if not temporal and (policy.aside or words.get(name, rule) != "refuse")
    }
    return replace(scope, dependents=tuple(d for d in scope.dependents if not (d.kind == KIND and d.oid in followed)))


def _keys(connection: psycopg.Connection, scope: Scope, policy: Policy) -> list[int]:
    """The outside keys whose rows follow. Keys that are not validated have orphans of their own, and none of ours."""
    refused = set(refusing(connection, scope, policy).bound(KIND))
    rows = connection.execute(
        files.statement("outside/validated.sql"), {"keys": [key for key in scope.bound(KIND) if key not in refused]}
    ).fetchall()
    return [row[0] for row in rows]


def collect(
    connection: psycopg.Connection, run: str, scope: Scope, policy: Policy, *, whole: bool = True
) -> list[Followed]:
    """Find the rows, and with ``whole`` remember them as they are. Locks and changes nothing of production.

    Right only where the incoming tables are at the state that this transaction sees; ``apply`` looks again. Raises
    CutoverError ``swap.orphans`` if a row would go that another one, which stays, refers to.
    """
    incoming = [t.incoming for t in scope.tables if t.incoming is not None]
    connection.execute(files.statement("outside/forget.sql"), {"run": run})
    with connection.cursor(row_factory=class_row(Followed)) as cursor:
        rows = cursor.execute(
            files.statement("outside/collect.sql"),
            {
                "run": run,
                "keys": _keys(connection, scope, policy),
                "incoming_schema": scope.incoming_schema,
                "tables": [*scope.outgoing, *incoming],
                "policy": policy.as_json(),
                "aside": policy.aside,
                "whole": whole,
            },
        ).fetchall()
    _require_allowed(rows)
    return rows


def apply(connection: psycopg.Connection, run: str, scope: Scope, policy: Policy) -> list[dict[str, object]]:
    """Do to the collected rows what is to be done, once clients wait. Raises LockNotAvailable if they have changed."""
    with connection.cursor(row_factory=class_row(Followed)) as cursor:
        return as_json(
            cursor.execute(
                files.statement("outside/apply.sql"),
                {
                    "run": run,
                    "keys": _keys(connection, scope, policy),
                    "incoming_schema": scope.incoming_schema,
                },
            ).fetchall()
        )


def follow_late(
    connection: psycopg.Connection, run: str, key_name: str, tables: list[tuple[str, str]], policy: Policy
) -> list[dict[str, object]]:
    """Do to rows that were written between the last look and the lock what was done to the others; in autocommit.

    ``tables`` are those of the set, in place by now. Does nothing where one of the rows must not follow. Raises
    LockNotAvailable if others are writing just then.
    """
    late = f"{run}/late"
    done: list[Followed] = []
    with connection.transaction():
        row = connection.execute(files.statement("outside/key.sql"), {"key_name": key_name}).fetchone()
        assert row is not None
        key, schema = row
        fixed = catalog.oids(connection, (sql.Identifier(*name) for name in tables))
        connection.execute(files.statement("outside/copy_moved.sql"), {"late": late, "run": run})
        with connection.cursor(row_factory=class_row(Followed)) as cursor:
            rows = cursor.execute(
                files.statement("outside/collect.sql"),
                {
                    "run": late,
                    "keys": [key],
                    "incoming_schema": schema,
                    "tables": [oid for oid in fixed if oid],
                    "policy": policy.as_json(),
                    "aside": policy.aside,
                    "whole": True,
                },
            ).fetchall()
            if any(one.operation == "refuse" for one in rows):
                raise psycopg.Rollback
            done = cursor.execute(
                files.statement("outside/apply.sql"), {"run": late, "keys": [key], "incoming_schema": schema}
            ).fetchall()
        # what undoes the entry puts them back with the others
        connection.execute(files.statement("outside/join_run.sql"), {"run": run, "late": late})
        connection.execute(files.statement("outside/forget_moved.sql"), {"run": late})
    return as_json(done)


def put_back(connection: psycopg.Connection, run: str, migration: str, undone: str | None) -> list[dict[str, object]]:
    """Put rows back whose parents are there now: those of the entry that is undone, and of earlier rollbacks."""
    putting = connection.execute(
        files.statement("outside/put_back.sql"), {"run": run, "migration": migration, "undone": undone}
    ).fetchall()
    return [{"table": table, "operation": operation, "rows": rows} for table, operation, rows in putting]


def may_come_back(connection: psycopg.Connection, run: str) -> bool:
    """Whether any row that another run has set aside still waits: only a swap adds one, and one swaps at a time."""
    return connection.execute(files.statement("outside/waits_of_others.sql"), {"run": run}).fetchone() == (True,)


def waiting(connection: psycopg.Connection, run: str) -> int:
    """How many rows that a run has set aside have not been put back."""
    row = connection.execute(files.statement("outside/waiting.sql"), {"run": run}).fetchone()
    return int(row[0]) if row else 0


def _require_allowed(followed: list[Followed]) -> None:
    refused = [one for one in followed if one.operation == "refuse"]
    if refused:
        listed = "; ".join(f"{one.rows:,} rows of {one.key_name}, such as {one.sample}" for one in refused)
        raise CutoverError(
            "swap.orphans",
            refused[0].key_name,
            f"rows that stay refer to rows which would go with what they refer to: {listed}. Nothing was changed.",
            "delete or re-point them, or say under `leaving` in migration.yaml what becomes of them; then run again.",
        )


def foresee(connect: Connect, run: str, scope: Scope, policy: Policy, since: str, *, snapshot: str) -> list[Followed]:
    """What would follow if everything written until the moment of ``snapshot`` were carried; taken back.

    ``snapshot`` is exported by a session that still holds it.
    """
    with connect() as connection:
        same_moment(connection, snapshot)
        connection.execute("set local search_path = ''")
        carry(connection, run, scope, since, None)
        followed = collect(connection, run, scope, policy, whole=False)
        connection.rollback()
    return followed


def as_json(followed: list[Followed]) -> list[dict[str, object]]:
    """For reviews and the ledger: by key, without the sample."""
    return [{name: value for name, value in asdict(one).items() if name != "sample"} for one in followed]
