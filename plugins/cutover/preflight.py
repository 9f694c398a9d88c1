"""Preflight: everything that would stop the run later, found before an hour of work."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from cutover import catalog, transform
from cutover import sql as files
from cutover.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.swap import refusals, scope

OLDEST_SERVER = 140_000

_PLURAL = {
    "view": "views",
    "materialized view": "materialized views",
    "function": "functions",
    "outside foreign key": "outside foreign keys",
    "outside policy": "outside policies",
    "outside rule": "outside rules",
}


class PreflightError(CutoverError):
    """One or more reasons not to start. The message lists them all."""

    def __init__(self, reasons: list[CutoverError]) -> None:
        self.reasons = reasons
        first = reasons[0]
        super().__init__(first.code, first.obj, first.why, first.remedy)

    def __str__(self) -> str:
        return "\n".join(str(reason) for reason in self.reasons)


@dataclass(frozen=True)
class Findings:
    """What preflight saw: server version, what depends on the tables, and their size."""

    server_version: str
    dependents: dict[str, int]
    tables: list[str]
    bytes: int


def require_rights(connect: Connect, migration: Migration) -> None:
    """Look at server and rights, before anything is made there. Raises PreflightError with every reason found."""
    with opened(connect) as connection:
        reasons = [*_server(connection), *_rights(connection, migration)]
    if reasons:
        raise PreflightError(reasons)


def check(connect: Connect, migration: Migration, this_run: str, log: Log) -> Findings:
    """Look at leftovers, shapes and dependents; needs the engine's tables, and the rights of ``require_rights``.

    Raises PreflightError with every reason found.
    """
    with opened(connect) as connection:
        reasons = _unfinished(connection, migration, this_run)
        found = scope.read(
            connection,
            migration.swapped_tables(),
            incoming_schema="staging",
            backup_schema=f"backup_{this_run}",
            merged=migration.merged_tables(),
        )
        reasons += [
            CutoverError(f"preflight.{r.code}", r.object, r.why, r.remedy)
            for r in refusals.find(connection, found, retired=migration.retire)
        ]
        reasons += _shapes(connection, migration)
        if reasons:
            raise PreflightError(reasons)
        kinds: dict[str, int] = {}
        for dependent in found.dependents:
            kinds[dependent.kind] = kinds.get(dependent.kind, 0) + 1
        size = connection.execute(
            "select coalesce(sum(pg_total_relation_size(t)), 0)::bigint from unnest(%s::oid[]) as t", (found.outgoing,)
        ).fetchone()
        assert size is not None
        findings = Findings(
            server_version=str(connection.info.parameter_status("server_version")),
            dependents=kinds,
            tables=[f"{table.schema}.{table.name}" for table in found.tables],
            bytes=size[0],
        )
    log(f"PostgreSQL {findings.server_version}; tables: {', '.join(findings.tables)}")
    log(
        "bound to them: "
        + (", ".join(f"{n} {_PLURAL[kind] if n > 1 else kind}" for kind, n in sorted(kinds.items())) or "nothing")
    )
    there = findings.bytes / 2**20
    log(f"the tables hold {there:,.0f} MiB; keep about {2 * there:,.0f} MiB free for the copies this run makes")
    return findings


def _server(connection: psycopg.Connection) -> list[CutoverError]:
    if connection.info.server_version >= OLDEST_SERVER:
        return []
    return [
        CutoverError(
            "preflight.old-server",
            f"PostgreSQL {connection.info.parameter_status('server_version')}",
            "the swap needs PostgreSQL 14 or later.",
            "upgrade the server first.",
        )
    ]


def _rights(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    merged, inserted = migration.merged_tables(), migration.inserted_tables()
    found = catalog.rows(
        connection,
        "rights",
        merged_schemas=[schema for schema, _ in merged],
        merged_tables=[table for _, table in merged],
        insert_schemas=[schema for schema, _ in inserted],
        insert_tables=[table for _, table in inserted],
        target_schema=migration.target_schema,
    )
    return [CutoverError(f"preflight.{r['code']}", r["object"], f"{r['why']}.", r["remedy"]) for r in found]


def _unfinished(connection: psycopg.Connection, migration: Migration, this_run: str) -> list[CutoverError]:
    """A swap that committed but was not finished: its foreign keys are not validated, its backup still holds on."""
    found = connection.execute(
        "select l.run, l.action from cutover.ledger as l where l.migration = %s and l.run <> %s "
        "and not exists (select from cutover.certificate as c where c.run = l.run)",
        (migration.migration, this_run),
    ).fetchall()
    return [
        CutoverError(
            "preflight.unfinished-run",
            f"{action} {run}",
            "it committed, but what follows after the lock (validated keys, certificate) was not completed.",
            f"clear its task {action}: it finds the {action} done and completes the rest.",
        )
        for run, action in found
    ]


def _shapes(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """The columns that the migration declares for a table must be production's: same names, order and types."""
    reasons: list[CutoverError] = []
    with connection.transaction(force_rollback=True):
        connection.execute("drop schema if exists staging cascade")
        connection.execute("create schema staging")
        for table in migration.staging_tables():
            production = sql.Identifier(migration.target_schema, table).as_string()
            if table in migration.merge or not _columns(connection, production):
                continue
            connection.execute("reset search_path")
            create = transform.split_foreign_keys(files.text(f"{migration.migration}/staging/{table}.sql"))[0][0]
            connection.execute(create.encode())
            declared = _columns(connection, sql.Identifier("staging", table).as_string())
            actual = _columns(connection, production)
            if declared != actual:
                reasons.append(_shape_differs(production, declared, actual))
    connection.execute("set search_path = ''")
    return reasons


def _columns(connection: psycopg.Connection, table: str) -> list[str]:
    rows = connection.execute(files.statement("catalog/columns.sql"), {"table": table}).fetchall()
    return [f"{row[0]} {row[1]}" for row in rows]


def _shape_differs(table: str, declared: list[str], actual: list[str]) -> CutoverError:
    only_declared = [column for column in declared if column not in actual]
    only_actual = [column for column in actual if column not in declared]
    if only_declared or only_actual:
        why = f"only the migration has: {', '.join(only_declared) or 'nothing'}; only production has: " + (
            ", ".join(only_actual) or "nothing"
        )
    else:
        why = f"the columns are the same, their order is not; production's is {', '.join(actual)}"
    return CutoverError(
        "preflight.shape-differs",
        table,
        why + ".",
        "change production first (adding a nullable column is instant), or correct the migration's staging DDL.",
    )
