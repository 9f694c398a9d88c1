"""What the swap would not get right, found before any work: one query per refusal, in ``catalog/refusals``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cutover.database import catalog
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.swap import owner
from cutover.swap.scope import Scope


@dataclass(frozen=True)
class Refusal:
    """One reason not to swap: its code, the object, why, and the one thing that clears it."""

    code: str
    object: str
    why: str
    remedy: str


# The refusal that is found by making each view once more, under another name.
_BY_TRYING = "view-restated"
# The refusal that compares production's tables with the staged ones: nothing to compare before anything is staged, when
# the ledger whose function it calls need not be there.
_BY_COMPARISON = "columns-changed"


class SwapRefusedError(CutoverError):
    """The swap refuses a set of tables. ``refusals`` holds every reason; the message lists them all."""

    def __init__(self, refusals: list[Refusal]) -> None:
        self.refusals = refusals
        first = refusals[0]
        super().__init__(f"swap.{first.code}", first.object, first.why, first.remedy)

    def __str__(self) -> str:
        return "\n".join(str(CutoverError(f"swap.{r.code}", r.object, r.why, r.remedy)) for r in self.refusals)


def _foreign_code(connection: psycopg.Connection, scope: Scope, followed: list[catalog.Row]) -> list[Refusal]:
    outside = [row["oid"] for row in followed if row["oid"] not in scope.written]
    # that those of another owner cannot be bound to the new tables is refused anyway
    direct = {row["oid"] for row in followed if row["is_direct"]}
    defaulted = {(row["oid"], column) for row in followed for column in row["defaulted"] or []}
    return [
        Refusal("foreign-code", *owner.explained(connection, code))
        for code in [
            *(one for one in owner.foreign_code(connection, scope.outgoing) if one.refused),
            *(one for one in owner.foreign_code(connection, scope.written) if one.runs_on_write),
            *(
                one
                for one in owner.foreign_code(connection, outside)
                if (one.runs_on_follow and not (one.kind == "trigger" and one.relation in direct))
                or (one.kind == "default" and (one.relation, one.name) in defaulted)
            ),
        ]
    ]


def written(connection: psycopg.Connection, scope: Scope) -> list[int]:
    """Every table outside the set that a swap writes to itself."""
    return [*scope.written, *(row["oid"] for row in _followed(connection, scope))]


def _followed(connection: psycopg.Connection, scope: Scope) -> list[catalog.Row]:
    incoming = [table.incoming for table in scope.tables if table.incoming is not None]
    fixed = [*scope.outgoing, *incoming]
    return catalog.rows(connection, "followed_tables", tables=scope.outgoing, fixed=fixed)


def find(connection: psycopg.Connection, scope: Scope, retired: Collection[str] | None = None) -> list[Refusal]:
    """Every reason to refuse this scope, in the order of their codes; an empty list when there is none.

    Before anything is staged, ``retired`` names the tables that will have no successor; afterwards the scope knows.
    """
    disappearing = scope.disappearing
    if retired is not None:
        disappearing = [t.outgoing for t in scope.tables if t.outgoing is not None and t.name in retired]
    followed = _followed(connection, scope)
    parameters = {
        "tables": scope.outgoing,
        "written": [*scope.outgoing, *scope.written, *(row["oid"] for row in followed)],
        "rebuilt": scope.rebuilt,
        "disappearing": disappearing,
        "dependents": [d.oid for d in scope.dependents],
        "functions": scope.bound("function"),
        "new_functions": scope.bound("function", "argument") + scope.bound("function", "result"),
        # before anything is staged there is nothing to compare with
        "replaced": [] if retired is not None else scope.replaced,
        "incoming": [] if retired is not None else [t.incoming for t in scope.tables if t.outgoing and t.incoming],
        "restated": scope.bound("view") + scope.bound("materialized view"),
        "settable": _settable(connection),
        "is_rollback": scope.incoming_schema.startswith("backup_"),
        "relations": scope.bound("view") + scope.bound("materialized view") + _outside_tables(connection, scope),
    }
    return _foreign_code(connection, scope, followed) + [
        Refusal(Path(path).stem, row["object"], f"{row['why']}.", row["remedy"])
        for path in files.files("catalog/refusals")
        if (Path(path).stem != _BY_TRYING or _may_try(connection))
        and (Path(path).stem != _BY_COMPARISON or parameters["replaced"])
        for row in catalog.rows(connection, f"refusals/{Path(path).stem}", **parameters)
    ]


def _settable(connection: psycopg.Connection) -> list[str]:
    """Parameters that only a superuser may set, or who was given that right (since 15), and this role was."""
    if connection.info.server_version < 150_000:
        return []
    return [row["name"] for row in catalog.rows(connection, "settable")]


def _may_try(connection: psycopg.Connection) -> bool:
    """Whether more than reading is possible: not for pages, nor before the engine's functions are installed."""
    installed = connection.execute("select to_regprocedure('cutover.restated(oid)') is not null").fetchone()
    return not connection.read_only and installed == (True,)


def require_none(connection: psycopg.Connection, scope: Scope) -> None:
    """Raise SwapRefusedError, naming every reason, unless the scope can be swapped."""
    refusals = find(connection, scope)
    if refusals:
        raise SwapRefusedError(refusals)


def require_none_on_write(connection: psycopg.Connection, scope: Scope) -> None:
    """The same for ``foreign-code`` alone, once the tables that the migration writes to are locked by its writes."""
    refusals = _foreign_code(connection, scope, _followed(connection, scope))
    if refusals:
        raise SwapRefusedError(refusals)


def _outside_tables(connection: psycopg.Connection, scope: Scope) -> list[int]:
    return [row["oid"] for row in catalog.rows(connection, "outside_tables", **outside_parameters(scope))]


def outside_parameters(scope: Scope) -> dict[str, list[int]]:
    """Parameters of the query ``outside_tables``: what other tables own and the swap re-binds."""
    return {
        "outside_triggers": scope.bound("outside trigger"),
        "outside_defaults": scope.bound("outside default"),
        "outside_checks": scope.bound("outside check"),
        "outside_keys": scope.bound("outside foreign key"),
        "outside_policies": scope.bound("outside policy"),
        "outside_rules": scope.bound("outside rule"),
    }
