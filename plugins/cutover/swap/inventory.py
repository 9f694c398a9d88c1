"""Every catalogue fact about a set of relations and functions, by name, so that two moments can be compared."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass

import psycopg

from cutover.database import catalog
from cutover.database import statements as files
from cutover.swap.refusals import outside_parameters
from cutover.swap.scope import Scope

Fact = tuple[str, str, str]

# A list of constants whose type borrows an operator, as of varchar in ('a', 'b'): PostgreSQL writes it down as
# (ARRAY['a'::character varying])::text[], and what it has read that from, as ARRAY[('a'::character varying)::text]. A
# doubled quote reads as the end of one string and the beginning of the next, which comes to the same.
_ELEMENT = r"""(?:'[^']*'|"[^"]*"|\((?:'[^']*'|"[^"]*"|[^()'"])*\)|[^\[\]'",()])+"""
_TYPE = r"""(?:"[^"]*"|[\w. ]|\(\d+(?:,\d+)?\))+"""
_LIST = re.compile(rf"\(ARRAY\[({_ELEMENT}(?:, {_ELEMENT})*)\]\)::({_TYPE})\[\]")
_EACH = re.compile(rf"({_ELEMENT})(?:, |$)")


@dataclass(frozen=True)
class Watched:
    """The names whose facts a swap must not change. Names, because the oids behind them do change."""

    relations: tuple[str, ...]
    functions: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A fact that only one side has, or has otherwise."""

    kind: str
    object: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Inventory:
    """The facts of one moment: (kind, object, definition), sorted."""

    facts: tuple[Fact, ...]

    @property
    def hash(self) -> str:
        """SHA-256 over the facts, as 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.facts).encode()).hexdigest()

    def compare(self, after: Inventory) -> list[Difference]:
        """What differs, each object once. Two facts of one name (overloads) are told apart by kind and name."""
        if self.facts == after.facts:
            # as good as always, and clients wait for it
            return []
        ours = {(kind, name): definition for kind, name, definition in self.facts}
        theirs = {(kind, name): definition for kind, name, definition in after.facts}
        return [
            Difference(kind, name, ours.get((kind, name)), theirs.get((kind, name)))
            for kind, name in sorted(ours.keys() | theirs.keys())
            if ours.get((kind, name)) != theirs.get((kind, name))
        ]


def watched(connection: psycopg.Connection, scope: Scope) -> Watched:
    """The relations and functions that a swap of this scope touches and must leave as they are by name."""
    outside = catalog.rows(connection, "outside_tables", **outside_parameters(scope))
    replaced = [t.qualified for t in scope.tables if t.outgoing is not None and t.incoming is not None]
    views = [d.name for d in scope.dependents if d.kind in ("view", "materialized view")]
    return Watched(
        relations=tuple(replaced + views + [row["name"] for row in outside]),
        functions=tuple(d.name for d in scope.dependents if d.kind == "function"),
    )


def take(connection: psycopg.Connection, names: Watched) -> Inventory:
    """Read the facts of the given names. A name that resolves to nothing contributes nothing."""
    # not as dictionaries, which would be made while clients wait
    facts = connection.execute(files.statement("catalog/inventory.sql"), _parameters(names), prepare=True).fetchall()
    return Inventory(tuple((kind, name, settled(definition)) for kind, name, definition in facts))


def settled(definition: str) -> str:
    """A definition as PostgreSQL writes it once it has read what it wrote; ``cutover.settled`` does the same."""
    if "(ARRAY[" not in definition:
        return definition
    return _LIST.sub(
        lambda text: f"ARRAY[{', '.join(f'({element})::{text[2]}' for element in _EACH.findall(text[1]))}]", definition
    )


def version(connection: psycopg.Connection, names: Watched) -> str:
    """A value that changes with any catalogue row behind the inventory; a tenth of the inventory's time."""
    row = catalog.prepared_rows(connection, "versions", **_parameters(names))[0]
    return f"{row['objects']} {row['version']}"


def _parameters(names: Watched) -> dict[str, list[str]]:
    return {"relations": list(names.relations), "functions": list(names.functions)}
