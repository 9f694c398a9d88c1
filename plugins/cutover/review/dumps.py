"""The dumps that were made of the sources, and what they do not go to prove."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

from cutover.migration import Migration
from cutover.records import phase, run
from cutover.review.sections import Section


def of_run(
    connection: psycopg.Connection, migration: Migration, row: run.Run
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A figure of the dumps that were made of the sources, and a warning of what they do not go to prove."""
    records, dumped = phase.newest(connection, row.run), migration.dumped(row.parameters)
    rows, limits = [], []
    for name, database in migration.databases.items():
        if name not in dumped:
            asked = bool(row.parameters.get("dump_sources"))
            no_role = "migration.yaml names no connection to dump it by (databases, `dump`)"
            limits.append([name, no_role if asked and database.dump is None else "no dump was asked for"])
            continue
        dump, proof = records[f"dump.{name}"].result, records[f"proof.{name}"].result
        where = proof["restored_on"]
        verdict = f"all rows read back{f', restored on {where}' if where else ''}"
        size = Decimal(dump["bytes"]).scaleb(-6).quantize(Decimal("0.1"))
        server = f"PostgreSQL {dump['server_version']}"
        moment, digest = dump["taken_at"], dump["sha256"]
        rows.append([name, moment, proof["rows"], proof["tables"], size, digest, dump["location"], server, verdict])
        if where is None:
            limits.append([name, "its dump was read back, and restored nowhere: there is no connection `rehearsal`"])
    columns = ["source", "as of", "rows", "tables", "MB", "sha256", "location", "server", "proof"]
    numbers = ["rows", "tables", "MB"]
    title = "Dumps of the sources, made before anything could change"
    figure = Section("dumps", title, len(rows), columns, numbers, rows)
    title = "Sources without a dump that was restored once"
    warning = Section("undumped", title, len(limits), ["source", "why"], [], limits)
    return [figure.as_dict()] if rows else [], [warning.as_dict()] if limits else []
