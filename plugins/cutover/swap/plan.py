"""Every statement of the move, written down from the catalogue before any lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from cutover.database import catalog
from cutover.database import statements as files
from cutover.swap import inventory, locks, proof, refusals
from cutover.swap.order import Order, read_scope
from cutover.swap.scope import Scope


@dataclass(frozen=True)
class Statement:
    """One statement of the move: which step it belongs to, which object it is about, and its text."""

    step: str
    object: str
    text: str


@dataclass(frozen=True)
class Stage:
    """Statements of one kind: their step, and what they are for.

    None takes a further lock that a client would wait for: what they alter is locked when they begin, or new.
    """

    step: str
    purpose: str
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Plan:
    """Everything decided before the lock."""

    scope: Scope
    names: inventory.Watched
    before: inventory.Inventory
    # the catalogue's state that ``before`` was read from; if it is the same in the lock, so is the inventory
    version: str
    locks: locks.LockOrder
    # before, and after, the last writes are carried
    ahead: list[Stage]
    after: list[Stage]
    validate: list[str]
    # foreign keys of partitioned tables that come back after the lock, and what the inventory calls their parts
    attach: list[dict[str, Any]]
    later: list[str]

    @property
    def statements(self) -> list[Statement]:
        """Those of all stages, in their order."""
        return [statement for stage in self.ahead + self.after for statement in stage.statements]

    def text(self) -> str:
        """The plan as people read it: what is locked, then stage by stage what is executed."""
        counted = f"{len(self.statements)} statements in {len(self.ahead + self.after)} stages"
        lines = [f"{counted}, under these locks and no others:", *(f"  {line}" for line in self.locks.text)]
        for stage in self.ahead + self.after:
            lines.append(f"{stage.step}: {stage.purpose} ({len(stage.statements)})")
            lines += [f"  {statement.object}" for statement in stage.statements]
        return "\n".join(lines)


# What the steps of the move are for.
_AHEAD = {
    "10_release": "sequences and publications let go of the old tables",
    "20_identity": "the new tables' identities go on where the old ones stand",
}
_AFTER = {
    "30_move_out": "the old tables go to the backup",
    "40_move_in": "the new tables take their names",
    "50_live_foreign_keys": "their keys to tables that stay, not validated yet",
    "55_functions": "functions that take or return their rows",
    "60_views": "views over them",
    "65_own_rules": "their rules",
    "70_outside_foreign_keys": "keys of other tables point at them, not validated yet",
    "75_outside_policies": "policies and rules of other tables that read them",
    "78_outside_expressions": "triggers, defaults and checks of other tables that name them",
    "80_trigger_states": "their triggers come alive, and write capture with them",
    "90_publications": "publications list them",
    "95_drop_old_functions": "functions of the old row types go",
}
_DROP = "what came with a table that goes now"
_CREATE = "what comes with a table that is new"


def plan(connection: psycopg.Connection, order: Order) -> Plan:
    """Read the catalogue, refuse what would not come out right, and write down every statement of the move."""
    scope = read_scope(connection, order)
    refusals.require_none(connection, scope)
    names = inventory.watched(connection, scope)
    with catalog.by_index(connection):
        version = inventory.version(connection, names)
        before = inventory.take(connection, names)
        # asked here so that the server keeps a plan of it: clients wait for its answer inside the lock
        proof.left_behind(connection, order.backup_schema)
    views = scope.bound("materialized view", "direct")
    parameters = _parameters(connection, scope, views)
    # Ahead of the carried writes: the tables stand still under their old names. After them: the move itself.
    ahead = [Stage("drop", _DROP, _files("drop", order.drop))] if scope.disappearing else []
    ahead += _stages(connection, _AHEAD, parameters)
    after = _stages(connection, _AFTER, parameters)
    if scope.arriving and order.create:
        after.append(Stage("create", _CREATE, (_arriving(connection, scope), *_files("create", order.create))))
    return Plan(
        scope=scope,
        names=names,
        before=before,
        version=version,
        locks=locks.order(connection, scope),
        ahead=[stage for stage in ahead if stage.statements],
        after=[stage for stage in after if stage.statements],
        validate=[row["object"] for row in catalog.rows(connection, "validated_keys", **parameters)],
        attach=catalog.rows(connection, "attached_keys", **parameters),
        later=parameters["later"],
    )


def _parameters(connection: psycopg.Connection, scope: Scope, views: list[int]) -> dict[str, Any]:
    moved_in = [(t.incoming, t.schema) for t in scope.tables if t.incoming is not None]
    for view in views:
        row = connection.execute(
            files.statement("catalog/arriving_view.sql"), {"incoming_schema": scope.incoming_schema, "view": view}
        ).fetchone()
        assert row is not None
        moved_in.append((row[0], row[1]))
    attached = scope.bound("outside foreign key", "partition by partition")
    parts = catalog.rows(connection, "key_parts", keys=attached)
    return {
        "attached_keys": attached,
        "leaf_keys": [part["oid"] for part in parts if part["is_leaf"]],
        "later": [part["object"] for part in parts if not part["is_leaf"]],
        "outgoing": scope.outgoing,
        "replaced": scope.replaced,
        "merged": list(scope.merged),
        "incoming_schema": scope.incoming_schema,
        "backup_schema": scope.backup_schema,
        "materialized_views": views,
        "incoming_relations": [oid for oid, _ in moved_in],
        "incoming_targets": [schema for _, schema in moved_in],
        "functions": scope.bound("function"),
        "argument_functions": scope.bound("function", "argument"),
        "result_functions": scope.bound("function", "result"),
        "views": scope.bound("view", "direct"),
        "arriving": [t.name for t in scope.tables if t.outgoing is None and t.incoming is not None],
        "arriving_schemas": [t.schema for t in scope.tables if t.outgoing is None and t.incoming is not None],
        "names": [table.qualified for table in scope.tables if table.incoming is not None],
        **refusals.outside_parameters(scope),
    }


def _stages(connection: psycopg.Connection, steps: dict[str, str], parameters: dict[str, Any]) -> list[Stage]:
    return [
        Stage(
            step,
            purpose,
            tuple(
                Statement(step, row["object"], row["statement"])
                for row in catalog.rows(connection, f"move/{step}", **parameters)
            ),
        )
        for step, purpose in steps.items()
    ]


def _files(step: str, paths: Sequence[str]) -> tuple[Statement, ...]:
    return tuple(Statement(step, Path(path).stem, files.text(path)) for path in paths)


def _arriving(connection: psycopg.Connection, scope: Scope) -> Statement:
    """Tells the files ``create_*.sql`` which tables are new: what production has already keeps what it has."""
    names = [table.qualified for table in scope.tables if table.outgoing is None and table.incoming is not None]
    text = sql.SQL("select set_config('cutover.arriving', {}::text, true)").format(sql.Literal(names))
    return Statement("create", "cutover.arriving", text.as_string(connection))
