"""Whole runs of clean_launch on the demonstration's production, without its people: as the DAG's tasks call them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cutover import freeze, migration, preflight, review, rollback, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.migration import load_order
from cutover.records import chain, ledger, phase, run
from cutover.swap.transaction import swap
from cutover.validate import checks
from demo import production
from demo.population import Population
from stack.postgres import EmbeddedPostgres
from tests import databases
from tests.clean_launch_world import RAW_TABLES, World

MIGRATION = migration.load("clean_launch")
PASSWORD = "only-for-this-test-server"


def make_template(server: EmbeddedPostgres, name: str) -> None:
    """A production with all its tables and content, and nobody in it."""
    databases.create(server, name)
    production.load(server.dsn(name), 0, PASSWORD, population=Population(scale=0))
    connect = connector(server.dsn(name, "cutover", PASSWORD), "production", "test")
    freeze.install(connect, MIGRATION)
    with opened(connect) as connection:
        for table in RAW_TABLES:
            connection.execute(files.text(f"clean_launch/extract/{table}.create.sql").encode())


@dataclass
class Launch:
    """One production; ``world`` inserts rows into it and into raw, ``launch`` and ``roll_back`` are whole runs."""

    connect: Connect
    world: World
    migration: migration.Migration = MIGRATION
    messages: list[str] = field(default_factory=list)

    def log(self, message: str) -> None:
        """Keep a message of the engine."""
        self.messages.append(message)

    def begin(self, this_run: str) -> None:
        """The run's row, and preflight."""
        self.world.connection.commit()
        preflight.require_rights(self.connect, self.migration)
        freeze.install(self.connect, self.migration)
        with opened(self.connect) as connection:
            run.begin(
                connection, run=this_run, migration="clean_launch", dag_id="clean_launch", dag_run_id=this_run,
                triggered_by="operator", parameters={},
            )  # fmt: skip
        preflight.check(self.connect, self.migration, this_run, self.log)

    def stage(self, this_run: str) -> None:
        """Everything up to the review; the checks must hold."""
        self.begin(this_run)
        with opened(self.connect) as connection:
            for step in ("preflight", *(f"extract.{name}" for name in self.migration.sources), "capture"):
                phase.record(connection, self.migration, this_run, step)
        freeze.install_capture(self.connect, self.migration, self.log)
        freeze.freeze(self.connect, self.migration, this_run, self.log)
        transform.prepare(self.connect, self.migration, this_run, self.log)
        for step in load_order.steps(self.migration):
            statement = files.text(f"clean_launch/transform/{step}.sql")
            transform.load(self.connect, self.migration, this_run, step=step, statement=statement, log=self.log)
        transform.add_keys(self.connect, self.migration, this_run, self.log)
        with opened(self.connect) as connection:
            connection.execute(
                files.text("clean_launch/validate/reconciliation.sql").encode(),
                {"run": this_run, **review.settings(self.migration)},
            )
        with opened(self.connect) as connection:
            results = checks.run(connection, "clean_launch", this_run)
            validation = {"checks": [result.check for result in results]}
            run.note(connection, this_run, validation=validation)
        with opened(self.connect) as connection:
            digests = {"result": phase.digest(validation), "staged": transform.digest(connection, self.migration)}
        with opened(self.connect) as connection:
            phase.record(connection, self.migration, this_run, "validation", **digests)
        assert [result.check for result in results if not result.success] == []

    def review(self, this_run: str) -> dict[str, Any]:
        """Everything up to the question."""
        self.stage(this_run)
        return review.build(self.connect, self.migration, this_run, self.log)

    def approve(self, this_run: str, action: str = "swap") -> None:
        """A second person's approval of exactly what was reviewed."""
        written = self.world.connection.execute(
            "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
            "decided_at, expires_at) select %s, %s, 'approve', r.fingerprint, 'approve', 1, 'reviewer', now(), "
            "now() + interval '1 hour' from cutover.run as r where r.run = %s returning approval_id",
            (this_run, action, this_run),
        ).fetchone()
        assert written is not None
        self.world.connection.commit()
        with opened(self.connect) as connection:
            chain.cover(connection, "approval", this_run, ("approvals", written[0]))

    def swap(self, this_run: str, **policy: Any) -> ledger.Entry:
        """The swap of what was approved."""
        with opened(self.connect) as connection:
            row = run.get(connection, this_run)
        return swap(self.connect, review.order(self.migration, row, **policy), self.log)

    def launch(self, this_run: str) -> ledger.Entry:
        """A whole run."""
        self.review(this_run)
        self.approve(this_run)
        return self.swap(this_run)

    def preview(self, this_run: str) -> dict[str, Any]:
        """The rollback of the newest entry, up to its question."""
        self.world.connection.commit()
        with opened(self.connect) as connection:
            run.begin(
                connection, run=this_run, migration="clean_launch", dag_id="clean_launch_rollback",
                dag_run_id=this_run, triggered_by="operator", parameters={},
            )  # fmt: skip
        return rollback.review(self.connect, self.migration, this_run, self.log)

    def roll_back(self, this_run: str) -> ledger.Entry:
        """A whole rollback of the newest entry."""
        self.preview(this_run)
        self.approve(this_run, "rollback")
        return rollback.run_reviewed(self.connect, self.migration, this_run, self.log)
