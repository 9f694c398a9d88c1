"""What a staged table is, beside its rows: every fact by name, and which facts are not as they were reviewed.

Between the review and the swap the engine itself brings the staged tables to production's state of that moment
(``preparation.dress``), again on every try. What that changes is what production has: so a fact that differs from the
reviewed one is as it should be if production's table says the same; or, if the fact is gone, if production's table has
it not, or the swap leaves facts of its kind off until the move. The swap proves at its end that what is in place is
what production had. For a table that production does not have, nothing may differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from cutover.database import statements as files
from cutover.swap import inventory

Facts = dict[str, str]

# Kinds that a table in the wings may lack although production's has them: the move adds them.
_LATER = ("rule ", "policy ", "trigger ", "constraint ")
# A table that production does not have gets these in the move; the others get production's.
_OF_NEW = "live key "


def facts(connection: psycopg.Connection, schema: str, name: str) -> Facts:
    """Kind and object → definition, of one table and the types of its columns; the table itself is written ``*``.

    To be called in a block of ``pinned``: names are in full, and the same whoever asks.
    """
    row = connection.execute("select format('%%I.%%I', %s::text, %s::text)", (schema, name)).fetchone()
    assert row is not None
    qualified = str(row[0])
    definitions = {
        f"{kind} {_of_table(obj, qualified)}": definition or ""
        for kind, obj, definition in inventory.take(connection, inventory.Watched((qualified,), ())).facts
    }
    given = {"table": sql.Identifier(schema, name).as_string(connection)}
    for type_name, definition, _ in connection.execute(files.statement("fingerprint/types.sql"), given).fetchall():
        definitions[f"type {type_name}"] = definition
    given |= {"schema": schema, "name": name}
    for kind, obj, definition in connection.execute(files.statement("fingerprint/relatives.sql"), given).fetchall():
        definitions[f"{kind} {obj}"] = definition
    return definitions


def _of_table(obj: str, qualified: str) -> str:
    return f"*{obj.removeprefix(qualified)}" if obj.startswith(qualified) else obj.replace(f":{qualified}", ":*")


def changed(reviewed: Facts, now: Facts, production: Facts | None, schemas: Sequence[str]) -> list[str]:
    """The facts that are neither as reviewed nor as production's table has them, by name.

    ``production`` is None for a table that is new; ``schemas`` are those whose name does not count when a staged table
    is compared with production's: the one where tables are staged, and production's own.
    """
    differing = sorted(key for key in reviewed.keys() | now.keys() if reviewed.get(key) != now.get(key))
    if production is None:
        return differing
    live = {_anywhere(key, schemas): _anywhere(fact, schemas) for key, fact in production.items()}
    return [
        key
        for key in differing
        if live.get(_anywhere(key, schemas)) != (_anywhere(now[key], schemas) if key in now else None)
        and not (key.startswith(_LATER) and key not in now)
        and not key.startswith(_OF_NEW)
    ]


def _anywhere(text: str, schemas: Sequence[str]) -> str:
    """The text without the names of the schemas; and without triggers' states, which are off until the swap."""
    names = "|".join(re.escape(form) for schema in schemas for form in (schema, sql.Identifier(schema).as_string()))
    return re.sub(r"\benabled=\w\b", "enabled", re.sub(rf"(?<![\w\"])(?:{names})\.", "", text))


def positions(connection: psycopg.Connection, relations: Mapping[str, sql.Identifier]) -> dict[str, str]:
    """Where the sequences stand that belong to these tables: the next number that each gives out."""
    places = {}
    for name, relation in relations.items():
        owned = connection.execute(
            files.statement("fingerprint/sequences.sql"), {"table": relation.as_string(connection)}
        ).fetchall()
        for schema, sequence in owned:
            row = connection.execute(
                files.statement("fingerprint/sequence.sql", sequence=sql.Identifier(schema, sequence))
            ).fetchone()
            assert row is not None
            places[f"{name} {sequence}"] = row[0]
    return places
