"""Two applications and a unified database on one server, and the phases of a run as the DAG's tasks call them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from cutover import freeze, migration, preflight, review, rollback, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.extract.tables import TableReport, copy_database
from cutover.migration import load_order
from cutover.records import NEWEST_ENTRY, chain, ledger, phase, run
from cutover.swap import fingerprint
from cutover.swap.transaction import swap
from cutover.validate import checks
from cutover.validate.result import ValidationResult

MIGRATION = migration.load("mula_unification")
APPROVER = "reviewer"


@dataclass
class World:
    """``dsn`` maps a role's connection (dasha, dasha_owner, unified …) to its DSN; ``admin`` a database's superuser."""

    dsn: dict[str, str]
    admin: dict[str, str]
    messages: list[str] = field(default_factory=list)

    def connect(self, name: str) -> Connect:
        """A function that opens the connection of that name."""
        return connector(self.dsn[name], name, "test")

    # rows

    def insert(self, application: str, table: str, **values: Any) -> None:
        """One row of an application's table; dicts and lists become jsonb."""
        with psycopg.connect(self.admin[application]) as connection:
            connection.execute("set timezone = 'UTC'")
            connection.execute(
                sql.SQL("insert into public.{} ({}) values ({})").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, values)),
                    sql.SQL(", ").join(sql.Placeholder() * len(values)),
                ),
                [Jsonb(value) if isinstance(value, dict | list) else value for value in values.values()],
            )

    def user(self, application: str, number: int, email: str | None, **values: Any) -> None:
        """An account."""
        self.insert(application, "users", id=number, email=email, **({"created_at": "2025-11-10"} | values))

    def chart(self, application: str, number: int, user: int, **values: Any) -> None:
        """A birth chart."""
        row = {"birth_date": "1990-05-17 06:30", "created_at": "2025-11-11"} | values
        self.insert(application, "birth_charts", id=number, user_id=user, **row)

    def execute(self, database: str, statement: str, *values: Any) -> None:
        """A statement as superuser."""
        with psycopg.connect(self.admin[database]) as connection:
            connection.execute(statement.encode(), values or None)

    def rows(self, statement: str, *values: Any, database: str = "unified") -> list[dict[str, Any]]:
        """The rows of a query, as superuser."""
        with psycopg.connect(self.admin[database], row_factory=dict_row) as connection:
            return connection.execute(statement.encode(), values or None).fetchall()

    def row(self, statement: str, *values: Any, database: str = "unified") -> dict[str, Any]:
        """The only row of a query."""
        (row,) = self.rows(statement, *values, database=database)
        return row

    def value(self, statement: str, *values: Any, database: str = "unified") -> Any:
        """The only value of a query."""
        (row,) = self.row(statement, *values, database=database).values()
        return row

    # phases

    def copy(self, **options: Any) -> list[TableReport]:
        """Copy both sources into raw."""
        return [
            report
            for database in MIGRATION.databases
            for report in copy_database(
                MIGRATION.tables_of(database),
                self.connect(database),
                self.connect("unified"),
                log=self.messages.append,
                **options,
            )
        ]

    def begin(self, this_run: str) -> None:
        """Preflight."""
        unified = self.connect("unified")
        freeze.install(unified, MIGRATION)
        with opened(unified) as connection:
            run.begin(
                connection,
                run=this_run,
                migration=MIGRATION.migration,
                dag_id=MIGRATION.migration,
                dag_run_id=this_run,
                triggered_by="operator",
                parameters={},
            )
        preflight.check(unified, MIGRATION, this_run, self.messages.append)
        self.record(this_run, "preflight")

    def record(self, this_run: str, *steps: str, **result: Any) -> None:
        """What the tasks record that are not run here."""
        for step in steps:
            with opened(self.connect("unified")) as connection:
                phase.record(connection, MIGRATION, this_run, step, **result)

    def stage(self, this_run: str) -> None:
        """Freeze, transform, check: everything up to the review."""
        unified = self.connect("unified")
        self.record(this_run, *(f"extract.{name}" for name in MIGRATION.databases))
        freeze.install_capture(unified, MIGRATION, self.messages.append)
        self.record(this_run, "capture")
        freeze.freeze(unified, MIGRATION, this_run, self.messages.append)
        transform.prepare(unified, MIGRATION, this_run, self.messages.append)
        for step in load_order.steps(MIGRATION):
            statement = files.text(f"mula_unification/transform/{step}.sql")
            transform.load(unified, MIGRATION, this_run, step=step, statement=statement, log=self.messages.append)
        transform.add_keys(unified, MIGRATION, this_run, self.messages.append)

    def check(self, this_run: str) -> dict[str, int]:
        """The checks across tables that do not hold, with how many rows offend."""
        with opened(self.connect("unified")) as connection:
            results = checks.run(connection, MIGRATION.migration, this_run)
            validation = {"checks": [result.check for result in results]}
            run.note(connection, this_run, validation=validation)
            digests = {"result": phase.digest(validation), "staged": transform.digest(connection, MIGRATION)}
        self.record(this_run, "validation", **digests)
        self.record(this_run, "late_writes")
        return {result.check: result.offending for result in results if not result.success}

    def validate(self, this_run: str, phase: str = "staging") -> ValidationResult:
        """Suites and checks, as the DAG's task runs them."""
        from cutover.validate import validation

        return validation.validate(
            self.connect("unified"), MIGRATION, this_run, phase=phase, given={}, log=self.messages.append
        )

    def review(self, this_run: str) -> dict[str, Any]:
        """What the approver reads."""
        return review.build(self.connect("unified"), MIGRATION, this_run, self.messages.append)

    def prepare(self, this_run: str, *, copy: bool = True) -> dict[str, Any]:
        """Everything up to the approval; the checks must hold. Returns the review."""
        self.begin(this_run)
        if copy:
            self.copy()
        self.stage(this_run)
        problems = self.check(this_run)
        assert problems == {}, problems
        return self.review(this_run)

    def approve(self, this_run: str, action: str = "swap") -> None:
        """A second person's approval of exactly what is staged."""
        self.execute(
            "unified",
            "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
            "decided_at, expires_at) select %s, %s, 'approve', r.fingerprint, 'approve', 1, %s, now(), "
            "now() + interval '1 hour' from cutover.run as r where r.run = %s",
            this_run,
            action,
            APPROVER,
            this_run,
        )
        with opened(self.connect("unified")) as connection:
            written = connection.execute("select max(approval_id) from cutover.approvals").fetchone()
            assert written is not None
            chain.cover(connection, "approval", this_run, ("approvals", written[0]))

    def swap(self, this_run: str) -> ledger.Entry:
        """The swap of what was approved."""
        unified = self.connect("unified")
        with opened(unified) as connection:
            row = run.get(connection, this_run)
        return swap(unified, review.order(MIGRATION, row), self.messages.append)

    def launch(self, this_run: str) -> ledger.Entry:
        """A whole run."""
        self.prepare(this_run)
        self.approve(this_run)
        return self.swap(this_run)

    def roll_back(self, this_run: str, take_back: str = NEWEST_ENTRY) -> ledger.Entry:
        """A whole run of the rollback DAG."""
        unified = self.connect("unified")
        with opened(unified) as connection:
            run.begin(
                connection,
                run=this_run,
                migration=MIGRATION.migration,
                dag_id="mula_unification_rollback",
                dag_run_id=this_run,
                triggered_by="operator",
                parameters={"take_back": take_back},
            )
        rollback.review(unified, MIGRATION, this_run, self.messages.append)
        self.approve(this_run, "rollback")
        return rollback.run_reviewed(unified, MIGRATION, this_run, self.messages.append)

    def fingerprint(self, names: Sequence[str], schema: str = "staging") -> dict[str, Any]:
        """What is staged, as the approval sees it."""
        with opened(self.connect("unified")) as connection, fingerprint.pinned(connection):
            return {name: fingerprint.content(connection, sql.Identifier(schema, name)) for name in names}

    def rejects(self, this_run: str) -> list[tuple[str, str, str]]:
        """(source, id, reason), sorted."""
        rows = self.rows("select source, source_id, reason from cutover.rejects where run = %s", this_run)
        return sorted((row["source"], row["source_id"], row["reason"]) for row in rows)

    def balance(self, this_run: str) -> dict[str, dict[str, Any]]:
        """The reconciliation by source."""
        return {
            row["source"]: row for row in self.rows("select * from cutover.reconciliation where run = %s", this_run)
        }
