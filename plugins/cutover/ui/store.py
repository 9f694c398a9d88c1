"""What the pages read from a target database: as its Airflow connection's role, read-only, in bounded time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from cutover import chain, samples
from cutover import sql as files
from cutover.connect import opened
from cutover.errors import CutoverError
from cutover.extract.why import Origin, why
from cutover.migration import Migration, load
from cutover.operators.base import connect_to
from cutover.validate.masking import masked_all, masked_row, masked_text

Row = dict[str, Any]

# A page that takes longer than this is of no use to whoever waits for it, and production has better things to do.
STATEMENT_TIMEOUT_MS = 5_000
PAGE = 50
ORIGINS = 20
# Characters of one API response on a page; the whole of it is one SQL statement away.
LONGEST_RESPONSE = 8_000


def migrations() -> list[Migration]:
    """Every migration of this deployment."""
    root = files.include_root() / "sql"
    return [load(path.parent.name) for path in sorted(root.glob("*/migration.yaml"))]


def of_dag(dag_id: str) -> Migration | None:
    """The migration whose launches or rollbacks this DAG runs; None for any other DAG."""
    known = {migration.migration: migration for migration in migrations()}
    return known.get(dag_id) or known.get(dag_id.removesuffix("_rollback"))


@contextmanager
def reading(migration: Migration) -> Iterator[psycopg.Connection]:
    """A read-only look at the target of ``migration`` at one moment. Raises ``connect.*`` CutoverErrors."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        connect = connect_to(migration.target, "cutover pages")
    except AirflowNotFoundException:
        raise CutoverError(
            "connect.unknown",
            f"connection {migration.target}",
            "Airflow has no connection of this name.",
            f"add it, if {migration.migration} is to be run here.",
        ) from None
    with opened(connect) as connection:
        connection.read_only = True
        set_json_loads(partial(json.loads, parse_float=Decimal), connection)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute(
            "select set_config('statement_timeout', %s, true), set_config('row_security', 'off', true), "
            # every name is written in full, and none can be slipped in between; tables are shown with their schema
            "set_config('search_path', '', true)",
            (f"{STATEMENT_TIMEOUT_MS}ms",),
        )
        yield connection


def _rows(connection: psycopg.Connection, path: str, **parameters: Any) -> list[Row]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement(path), parameters).fetchall()


def launches(connection: psycopg.Connection, migration: Migration, before: datetime | None) -> list[Row]:
    """Runs, newest first, one more than ``PAGE`` if there are older ones."""
    return _rows(connection, "ui/launches.sql", migration=migration.migration, before=before, limit=PAGE + 1)


def ledger(connection: psycopg.Connection, migration: Migration, before: int | None) -> list[Row]:
    """Ledger entries, newest first, one more than ``PAGE`` if there are older ones."""
    return _rows(connection, "ui/ledger.sql", migration=migration.migration, before=before, limit=PAGE + 1)


def entry(connection: psycopg.Connection, migration: Migration, number: int) -> Row | None:
    """One entry, with its certificate, approvals, quarantine, maintenance window and place in the chain."""
    found = _rows(connection, "ui/entry.sql", entry=number, migration=migration.migration)
    if not found:
        return None
    run = found[0]["run"]
    link = next((link for link in chain.links(connection) if link.entry == number), None)
    return {
        **found[0],
        "approvals": approvals(connection, run),
        "quarantine": quarantine(connection, run),
        "reconciliation": _rows(connection, "review/reconciliation.sql", run=run),
        "timeline": _rows(connection, "window/timeline.sql", run=run),
        "late_writes": _rows(connection, "ui/late_writes.sql", run=run),
        "broken": link.broken if link else "is not part of the chain",
    }


def chain_state(connection: psycopg.Connection) -> Row:
    """How many entries the whole ledger has, the first broken one if any, and the newest hash."""
    found = chain.links(connection)
    broken = next((asdict(link) for link in found if link.broken), None)
    return {"entries": len(found), "broken": broken, "newest": found[-1].hash if found else None}


def entry_of_run(connection: psycopg.Connection, run: str) -> Row | None:
    """The ledger entry of a run, in short."""
    found = connection.execute(
        "select l.entry, l.recorded_at, l.carried from cutover.ledger as l where l.run = %s", (run,)
    ).fetchone()
    return dict(zip(("entry", "recorded_at", "carried"), found, strict=True)) if found else None


def approvals(connection: psycopg.Connection, run: str) -> list[Row]:
    """Every answer given to the question of a run."""
    return _rows(connection, "ui/approvals.sql", run=run)


def notices(connection: psycopg.Connection, run: str) -> list[Row]:
    """Who was told that a run waits for an answer, and where that failed."""
    return [
        {**row, "recipient": masked_text(row["recipient"])} for row in _rows(connection, "approve/notices.sql", run=run)
    ]


def quarantine(connection: psycopg.Connection, run: str) -> list[Row]:
    """Writes that could not be carried, by reason. A reason may quote a value: addresses are masked."""
    return [{**row, "reason": masked_text(row["reason"])} for row in _rows(connection, "ui/quarantine.sql", run=run)]


def captured(connection: psycopg.Connection, migration: Migration, since: str) -> list[Row]:
    """Production writes on the migration's tables that the freeze did not see, by table and operation."""
    names = [sql.Identifier(schema, table).as_string() for schema, table in migration.swapped_tables()]
    oids = connection.execute("select to_regclass(n)::oid from unnest(%s::text[]) as n", (names,)).fetchall()
    tables = [oid for (oid,) in oids if oid is not None]
    return _rows(connection, "review/captured.sql", tables=tables, since=since)


def written_since(connection: psycopg.Connection, run: str) -> list[Row]:
    """Writes on the tables that an entry put in place, made since."""
    return _rows(connection, "ui/written_since.sql", run=run)


def traceable(connection: psycopg.Connection, migration: Migration) -> list[str]:
    """Tables whose rows ``why`` can explain."""
    return [row["table_name"] for row in _rows(connection, "ui/lineage.sql", migration=migration.migration)]


def production_row(connection: psycopg.Connection, migration: Migration, table: str, value: str) -> Row | None:
    """A row of a production table by any column that alone names it, unmasked: callers mask what they show."""
    live = _live_name(migration, table)
    name = live.as_string()
    for key in _rows(connection, "ui/single_keys.sql", name=name):
        query = files.statement("ui/row.sql", live=live, column=key["column_name"])
        # a value that this column's type cannot hold is no value of it
        with suppress(psycopg.DataError), connection.transaction():
            found = connection.execute(query, {"value": value}).fetchone()
            if found:
                return dict(found[0])
    return None


def _live_name(migration: Migration, table: str) -> sql.Identifier:
    schema, _, name = migration.merge.get(table, f"{migration.target_schema}.{table}").partition(".")
    return sql.Identifier(schema, name)


def origins(connection: psycopg.Connection, migration: Migration, table: str, row: Row) -> list[Row]:
    """Where a production row comes from: its API responses, with what is personal in them masked."""
    found = why(connection, table, str(row["id"]))[:ORIGINS]
    return [_shown(connection, migration, origin) for origin in found]


def _shown(connection: psycopg.Connection, migration: Migration, origin: Origin) -> Row:
    source = migration.sources.get(origin.raw_table)
    personal = {_plain(name) for name in source.personal} if source else set()
    columns = _rows(connection, "ui/raw_columns.sql", raw_table=origin.raw_table)
    known = {_plain(row["column_name"]) for row in columns} - personal
    text = json.dumps(_response(origin.api_response, known), indent=2, ensure_ascii=False, default=str)
    if len(text) > LONGEST_RESPONSE:
        text = f"{text[:LONGEST_RESPONSE]}\n… {len(text) - LONGEST_RESPONSE:,} characters more"
    told = {name: value for name, value in vars(origin).items() if name != "api_response"}
    return {**told, "request": masked_text(origin.request or ""), "text": text}


def _response(response: Any, known: set[str]) -> Any:
    """The members that are declared columns and not personal; of others, unknown ones included, only the shape."""
    if not isinstance(response, dict):
        return masked_all(response)
    return {
        name: masked_row(value, ()) if _plain(name) in known else masked_all(value) for name, value in response.items()
    }


def _plain(name: str) -> str:
    """A member's name without its spelling: registeredAt and registered_at are one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def masked_production_row(migration: Migration, table: str, row: Row) -> Row:
    """A production row as a page may show it."""
    return samples.masks(migration.migration).row(table, row)


def require_text(value: str, name: str) -> str:
    """A search word as PostgreSQL can take it. Raises ``why.not-an-id``."""
    if "\0" in value or len(value) > 400:
        raise CutoverError("why.not-an-id", name, "no value of a column looks like this.", "copy the value anew.")
    return value
