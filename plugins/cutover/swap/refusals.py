"""What the swap would not get right, found before any work: one query per refusal, in ``catalog/refusals``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import psycopg

from cutover import catalog
from cutover import sql as files
from cutover.errors import CutoverError
from cutover.swap.scope import Scope


@dataclass(frozen=True)
class Refusal:
    """One reason not to swap: its code, the object, why, and the one thing that clears it."""

    code: str
    object: str
    why: str
    remedy: str


class SwapRefusedError(CutoverError):
    """The swap refuses a set of tables. ``refusals`` holds every reason; the message lists them all."""

    def __init__(self, refusals: list[Refusal]) -> None:
        self.refusals = refusals
        first = refusals[0]
        super().__init__(f"swap.{first.code}", first.object, first.why, first.remedy)

    def __str__(self) -> str:
        return "\n".join(str(CutoverError(f"swap.{r.code}", r.object, r.why, r.remedy)) for r in self.refusals)


def find(connection: psycopg.Connection, scope: Scope, retired: Collection[str] | None = None) -> list[Refusal]:
    """Every reason to refuse this scope, in the order of their codes; an empty list when there is none.

    Before anything is staged, ``retired`` names the tables that will have no successor; afterwards the scope knows.
    """
    disappearing = scope.disappearing
    if retired is not None:
        disappearing = [t.outgoing for t in scope.tables if t.outgoing is not None and t.name in retired]
    parameters = {
        "tables": scope.outgoing,
        "disappearing": disappearing,
        "dependents": [d.oid for d in scope.dependents],
        "functions": scope.bound("function"),
        "relations": scope.bound("view") + scope.bound("materialized view") + _outside_tables(connection, scope),
    }
    return [
        Refusal(Path(path).stem, row["object"], f"{row['why']}.", row["remedy"])
        for path in files.files("catalog/refusals")
        for row in catalog.rows(connection, f"refusals/{Path(path).stem}", **parameters)
    ]


def require_none(connection: psycopg.Connection, scope: Scope) -> None:
    """Raise SwapRefusedError, naming every reason, unless the scope can be swapped."""
    found = find(connection, scope)
    if found:
        raise SwapRefusedError(found)


def _outside_tables(connection: psycopg.Connection, scope: Scope) -> list[int]:
    return [row["oid"] for row in catalog.rows(connection, "outside_tables", **outside_parameters(scope))]


def outside_parameters(scope: Scope) -> dict[str, list[int]]:
    """Parameters of the query ``outside_tables``: the keys, policies and rules that other tables own."""
    return {
        "outside_keys": scope.bound("outside foreign key"),
        "outside_policies": scope.bound("outside policy"),
        "outside_rules": scope.bound("outside rule"),
    }
