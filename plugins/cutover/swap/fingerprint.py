"""A fingerprint of staged rows and columns: what the approver was shown, and what the swap must find."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from cutover import sql as files
from cutover.swap import inventory


def tables(
    connection: psycopg.Connection, schema: str, names: Iterable[str], live: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Per table of ``schema``: its columns, number of rows, and an order-independent sum of row hashes.

    ``live`` are the (schema, name) that the tables are to have in production. Those that are not there yet are new:
    with them, everything else about the table counts too. The others are made equal to production's by the swap.

    One pass over each table, about half a second per million rows. The sum is binary: it depends neither on
    time zone nor on date style. Comparable within one major version of PostgreSQL only.
    """
    found: dict[str, Any] = {}
    new = {
        name
        for home, name in live
        if connection.execute("select to_regclass(%s)", (sql.Identifier(home, name).as_string(),)).fetchone() == (None,)
    }
    for name in sorted(names):
        relation = sql.Identifier(schema, name)
        columns = connection.execute(files.statement("catalog/columns.sql"), {"table": relation.as_string()}).fetchall()
        # json, xml and the geometric types cannot be hashed as they are; their text can
        hashable = all(row[2] for row in columns)
        query = "catalog/fingerprint.sql" if hashable else "catalog/fingerprint_as_text.sql"
        row = connection.execute(files.statement(query, table=relation)).fetchone()
        assert row is not None
        found[name] = {"columns": [list(c[:2]) for c in columns], "rows": row[0], "sum": str(row[1])}
        if name in new:
            found[name]["definition"] = _definition(connection, relation.as_string())
    return found


def _definition(connection: psycopg.Connection, relation: str) -> str:
    """SHA-256 over keys, indexes, defaults, policies, triggers, rules, grants and the rest of what a table is."""
    # names in definitions are written in full only where the search_path is empty
    before = connection.execute(
        "select current_setting('search_path'), set_config('search_path', '', false)"
    ).fetchone()
    facts = inventory.take(connection, inventory.Watched((relation,), ()))
    assert before is not None
    connection.execute("select set_config('search_path', %s, false)", before[:1])
    # write capture comes and goes with the engine's own steps
    return inventory.Inventory(tuple(fact for fact in facts.facts if "cutover_capture" not in fact[1])).hash


def combine(staged: Mapping[str, Any], evidence: Mapping[str, Any]) -> str:
    """SHA-256 over the staged tables' fingerprints and further evidence (the validation result's digest)."""
    canonical = json.dumps({"tables": staged, "evidence": evidence}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
