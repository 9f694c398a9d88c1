"""A fingerprint of staged rows and columns: what the approver was shown, and what the swap must find."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from cutover import sql as files


def tables(connection: psycopg.Connection, schema: str, names: Iterable[str]) -> dict[str, Any]:
    """Per table of ``schema``: its columns, number of rows, and an order-independent sum of row hashes.

    One pass over each table, about half a second per million rows. The sum is binary: it depends neither on
    time zone nor on date style. Comparable within one major version of PostgreSQL only.
    """
    found: dict[str, Any] = {}
    for name in sorted(names):
        relation = sql.Identifier(schema, name)
        columns = connection.execute(files.statement("catalog/columns.sql"), {"table": relation.as_string()}).fetchall()
        # json, xml and the geometric types cannot be hashed as they are; their text can
        hashable = all(row[2] for row in columns)
        query = "catalog/fingerprint.sql" if hashable else "catalog/fingerprint_as_text.sql"
        row = connection.execute(files.statement(query, table=relation)).fetchone()
        assert row is not None
        found[name] = {"columns": [list(c[:2]) for c in columns], "rows": row[0], "sum": str(row[1])}
    return found


def combine(staged: Mapping[str, Any], evidence: Mapping[str, Any]) -> str:
    """SHA-256 over the staged tables' fingerprints and further evidence (the validation result's digest)."""
    canonical = json.dumps({"tables": staged, "evidence": evidence}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
