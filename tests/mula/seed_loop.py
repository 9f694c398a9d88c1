"""The seed's own migration scripts, run as they are meant: what they lose is what this migration is measured against.

Kept from the seed: the queries, the order, the two loops over users, ``seen_emails``, ``migrations[source][old] =
new`` for inserted users only, ``user_mappings[source].get(...)`` and ``continue`` for what is not in it. Changed so
that it runs at all: rows are read as dictionaries (the seed indexes tuples by name), the Compatibility half of the
chart script is written out ("same logic as above"), and inserts go into lists instead of a third database.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from psycopg.rows import dict_row


@dataclass(frozen=True)
class Migrated:
    """What the seed's scripts would have inserted, and the charts that they skip."""

    users: list[dict[str, Any]]
    charts: dict[str, list[int]]
    skipped: dict[str, list[int]]


def migrate(dsn: dict[str, str]) -> Migrated:
    """Run migrate_users.py and migrate_birth_charts.py on the two databases."""
    rows = {source: _read(dsn[name]) for source, name in (("dasha", "dasha"), ("compat", "compatibility"))}
    migrations: dict[str, dict[int, str]] = {"dasha": {}, "compat": {}}
    seen_emails = set()
    all_users = []
    for source in ("dasha", "compat"):
        for user in rows[source][0]:
            if user["email"] not in seen_emails:
                all_users.append((source, user))
                seen_emails.add(user["email"])
    for source, user in all_users:
        migrations[source][user["id"]] = str(uuid4())
    charts: dict[str, list[int]] = {"dasha": [], "compat": []}
    skipped: dict[str, list[int]] = {"dasha": [], "compat": []}
    for source in ("dasha", "compat"):
        for chart in rows[source][1]:
            new_user_id = migrations[source].get(chart["user_id"])
            if not new_user_id:
                skipped[source].append(chart["id"])
                continue
            charts[source].append(chart["id"])
    return Migrated([user for _, user in all_users], charts, skipped)


def _read(dsn: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        users = connection.execute("SELECT id, email, username, created_at FROM users ORDER BY id").fetchall()
        return users, connection.execute("SELECT id, user_id FROM birth_charts ORDER BY id").fetchall()
