"""Preflight: everything that would stop the run later, found before an hour of work."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cutover import inspection, room
from cutover.database import catalog
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened, pin_search_path
from cutover.database.words import said
from cutover.errors import CutoverError
from cutover.migration import Migration, added, declared, load, load_order
from cutover.migration.pace import PaceLimit
from cutover.records import signing
from cutover.swap import pace, refusals, scope

OLDEST_SERVER = 140_000

_PLURAL = {
    "view": "views",
    "materialized view": "materialized views",
    "function": "functions",
    "outside foreign key": "outside foreign keys",
    "outside policy": "outside policies",
    "outside rule": "outside rules",
    "outside trigger": "outside triggers",
    "outside default": "outside defaults",
    "outside check": "outside checks",
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
    """What preflight saw: server version, what depends on the tables, their size, and the room that a launch needs."""

    server_version: str
    dependents: dict[str, int]
    tables: list[str]
    bytes: int
    room: dict[str, Any]


def require_signing_key() -> None:
    """Raise CutoverError ``preflight.no-signing-key`` unless evidence can be signed: nothing else would be believed."""
    try:
        signing.signer()
    except CutoverError as error:
        if error.code == "chain.no-signing-key":
            raise CutoverError("preflight.no-signing-key", error.obj, error.why, error.remedy) from None
        raise


def require_rights(connect: Connect, migration: Migration) -> None:
    """Look at server and rights, before anything is made there. Raises PreflightError with every reason found."""
    with opened(connect) as connection:
        reasons = [
            *_server(connection),
            *_encoding(connection),
            *_event_triggers(connection, migration),
            *_rights(connection, migration),
            *_publications(connection, migration),
        ]
    if reasons:
        raise PreflightError(reasons)


def check(connect: Connect, migration: Migration, this_run: str, log: Log, limit: PaceLimit | None = None) -> Findings:
    """Look at leftovers, shapes and dependents; needs the engine's tables, and the rights of ``require_rights``.

    ``limit`` is the run's own, else the migration's: whether replicas can be looked after is seen here.

    Raises PreflightError with every reason found.
    """
    with opened(connect) as connection:
        reasons = [*inspection.of_files(migration), *_overlaps(connection, migration)]
        # what could not be read is not looked at further
        if reasons:
            raise PreflightError(reasons)
        reasons = _unfinished(connection, migration, this_run)
        tables = scope.read(
            connection,
            migration.swapped_tables(),
            incoming_schema="staging",
            backup_schema=f"backup_{this_run}",
            merged=migration.merged_tables(),
            written=migration.written_tables(),
        )
        reasons += [
            CutoverError(f"preflight.{r.code}", r.object, r.why, r.remedy)
            for r in refusals.find(connection, tables, retired=migration.retire)
        ]
        reasons += _shapes(connection, migration)
        reasons += _own(connection, migration)
        reasons += _replicas(connect, migration, migration.pace if limit is None else limit, log)
        if not reasons:
            # else they would be blamed for what is already named
            reasons = _statements(connection, migration)
        if reasons:
            raise PreflightError(reasons)
        kinds: dict[str, int] = {}
        for dependent in tables.dependents:
            kinds[dependent.kind] = kinds.get(dependent.kind, 0) + 1
        size = connection.execute(files.statement("preflight/size.sql"), {"tables": tables.outgoing}).fetchone()
        assert size is not None
        needed = room.estimate(connect, connection, migration, size[0])
        if reasons := room.require(needed, migration):
            raise PreflightError(reasons)
        findings = Findings(
            server_version=str(connection.info.parameter_status("server_version")),
            dependents=kinds,
            tables=[f"{table.schema}.{table.name}" for table in tables.tables],
            bytes=size[0],
            room=asdict(needed),
        )
    log(f"PostgreSQL {findings.server_version}; tables: {', '.join(findings.tables)}")
    log(
        "bound to them: "
        + (", ".join(f"{n} {_PLURAL[kind] if n > 1 else kind}" for kind, n in sorted(kinds.items())) or "nothing")
    )
    log(f"the tables hold {findings.bytes / 1e6:,.0f} MB; {needed.in_words()}")
    return findings


def _replicas(connect: Connect, migration: Migration, limit: PaceLimit, log: Log) -> list[CutoverError]:
    """Whether it can be told how far replicas are behind; that one is, at this moment, is only said."""
    try:
        lags = pace.look(connect, migration, limit)
    except CutoverError as error:
        return [error]
    for lag in lags:
        reason = lag.reason(limit)
        log(f"replica {lag.replica}: {reason.words if reason else 'within its bounds'}")
    return []


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


def _encoding(connection: psycopg.Connection) -> list[CutoverError]:
    """A database that cannot hold what the sources have: every text of theirs may have any character."""
    row = connection.execute(files.statement("preflight/encoding.sql")).fetchone()
    assert row is not None
    if row[0] == "UTF8":
        return []
    why = "would take any bytes for text" if row[0] == "SQL_ASCII" else "has no room for most characters"
    return [
        CutoverError(
            "preflight.encoding",
            f"database {row[1]}",
            f"its encoding is {row[0]}, which {why}; the sources' texts are Unicode.",
            "create a database with encoding 'UTF8', and restore this one into it (pg_dump, pg_restore).",
        )
    ]


def _event_triggers(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """Event triggers that forbid this role what a launch does, found by trying in a transaction that is undone.

    In a schema of its own, and where the tables of the set are: a trigger may guard only those.
    """
    rows = connection.execute(files.statement("preflight/event_triggers.sql")).fetchall()
    if not rows:
        return []
    may = connection.execute("select has_database_privilege(current_database(), 'CREATE')").fetchone()
    if may != (True,):  # which is said as what it is
        return []
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(
                files.statement("preflight/try_in.sql"),
                {"schema": migration.target_schema, "tables": [*migration.staging_tables(), *migration.retire]},
            )
            connection.execute(files.text("catalog/try_ddl.sql").encode())
    except psycopg.Error as error:
        return [
            CutoverError(
                "preflight.ddl-refused",
                f"event trigger {', '.join(row[0] for row in rows)}",
                f"the database forbids {connection.info.user} a statement that a launch needs: {said(error)}.",
                f"let its function leave {connection.info.user} alone, or for the time of the launch: "
                "alter event trigger ... disable;",
            )
        ]
    return []


def _rights(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    merged, inserted = migration.merged_tables(), migration.inserted_tables()
    deleted = migration.deleted_tables()
    rights = catalog.rows(
        connection,
        "rights",
        merged_schemas=[schema for schema, _ in merged],
        merged_tables=[table for _, table in merged],
        insert_schemas=[schema for schema, _ in inserted],
        insert_tables=[table for _, table in inserted],
        delete_schemas=[schema for schema, _ in deleted],
        delete_tables=[table for _, table in deleted],
        target_schema=migration.target_schema,
    )
    return [CutoverError(f"preflight.{r['code']}", r["object"], f"{r['why']}.", r["remedy"]) for r in rights]


def _publications(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """Looked for before the engine makes its first table, which would be published."""
    publications = catalog.rows(
        connection, "publications_of_all_tables", tolerated=list(migration.tolerated_publications)
    )
    return [
        CutoverError(
            "preflight.publication-of-all-tables",
            f"publication {row['name']}",
            "it sends every table, also the engine's own and those of staging and backups; a native subscriber stops "
            "at the first that it does not have, and its slot keeps the WAL.",
            "publish schemas or tables by name instead (create publication ... for tables in schema public); or, if "
            f"its consumer passes over tables that it does not know, add {row['name']} to tolerated_publications in "
            "migration.yaml.",
        )
        for row in publications
    ]


def _overlaps(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """Other migrations on this database that swap a table of this one: the rollback of either would undo the other.

    Those that are declared here, and those that another deployment has launched and could still take back.
    """
    own = migration.swapped_tables()
    names: dict[str, list[str]] = {}
    for other in declared():
        if other == migration.migration:
            continue
        try:
            tables = load(other).swapped_tables() if load(other).target == migration.target else []
        except CutoverError:
            # its own preflight says what is wrong with it, and it cannot be launched before
            continue
        if shared := [f"{schema}.{table}" for schema, table in own if (schema, table) in tables]:
            names[other] = shared
    asked = {
        "migration": migration.migration,
        "schemas": [schema for schema, _ in own],
        "names": [table for _, table in own],
    }
    launched: dict[str, list[str]] = {}
    for run, other, schema, table in connection.execute(files.statement("swap/overlapping.sql"), asked).fetchall():
        if other not in names:
            launched.setdefault(f"{other} (run {run})", []).append(f"{schema}.{table}")
    why = "swaps them, too: the rollback of one would take the other's launch back with it."
    return [
        CutoverError(
            "preflight.sets-overlap",
            f"{migration.migration} and {other}, {', '.join(tables)}",
            f"{other} {why}",
            f"leave each table to one migration: take it out of the folder staging of {migration.migration} or of "
            f"{other}, with its transform, suite and checks.",
        )
        for other, tables in names.items()
    ] + [
        CutoverError(
            "preflight.sets-overlap",
            f"{migration.migration} and {other}, {', '.join(tables)}",
            f"{other} has launched them, and can still take that back: that would take this launch back with it.",
            "roll that launch back first; or, if it is to stay for good, drop its backups (DAG drop_backups).",
        )
        for other, tables in launched.items()
    ]


def _statements(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """What PostgreSQL finds wrong with the migration's own statements."""
    try:
        return inspection.of_statements(connection, migration)
    except psycopg.errors.LockNotAvailable:
        # another run works in the schemas at this moment; what is wrong then shows in its own task
        return []


def _unfinished(connection: psycopg.Connection, migration: Migration, this_run: str) -> list[CutoverError]:
    """A swap that committed but was not finished: its foreign keys are not validated, its backup still holds on."""
    rows = connection.execute(
        files.statement("preflight/unfinished.sql"), {"migration": migration.migration, "run": this_run}
    ).fetchall()
    return [
        CutoverError(
            "preflight.unfinished-run",
            f"{action} {run}",
            "it committed, but what follows after the lock (validated keys, certificate) was not completed.",
            f"clear its task {action}: it finds the {action} done and completes the rest.",
        )
        for run, action in rows
    ]


def _shapes(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """The columns that the migration declares for a table must be production's: same names, order and types.

    Behind them production may have others, which a new row can do without (``cutover.added``).
    """
    reasons: list[CutoverError] = []
    pin_search_path(connection)
    with connection.transaction(force_rollback=True):
        # out of the way, and not dropped: a drop would lock what is in it, and whatever that hangs on
        if connection.execute("select to_regnamespace('staging') is not null").fetchone() == (True,):
            connection.execute("set local lock_timeout = '5s'")
            connection.execute("alter schema staging rename to staging_during_preflight")
        connection.execute("create schema staging")
        for table in migration.staging_tables():
            production = sql.Identifier(migration.target_schema, table).as_string()
            if table in migration.merge or not _columns(connection, production):
                continue
            create = load_order.split_foreign_keys(files.text(f"{migration.migration}/staging/{table}.sql"))[0][0]
            connection.execute(create.encode())
            declared = _columns(connection, sql.Identifier("staging", table).as_string())
            actual = _columns(connection, production)
            beyond = added.columns(connection, migration, table)
            if declared != actual[: len(declared)] or not all(column["is_possible"] for column in beyond):
                reasons.append(_shape_differs(production, declared, actual))
    return reasons


def _own(connection: psycopg.Connection, migration: Migration) -> list[CutoverError]:
    """What the migration itself knows to be in the way: its folder ``preflight``, one query for each code.

    Each returns ``object``, ``why`` and ``remedy``.
    """
    reasons = []
    for path in files.files(f"{migration.migration}/preflight"):
        with connection.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(files.text(path).encode()).fetchall()
        code = f"preflight.{Path(path).stem}"
        reasons += [CutoverError(code, row["object"], f"{row['why']}.", row["remedy"]) for row in rows]
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
        "change production first (adding a nullable column is instant), or correct the migration's staging DDL. Only "
        "columns that may be null or have a default may stand behind those declared.",
    )
