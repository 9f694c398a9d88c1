"""A small world of clean_launch that is launched, and rolled back, by the engine's own functions."""

from __future__ import annotations

from typing import Any

from cutover import freeze, review, rollback, transform
from cutover.database import statements as files
from cutover.database.connect import connector, opened
from cutover.migration import load, load_order
from cutover.records import chain, phase, run
from cutover.records.ledger import Entry
from cutover.swap.transaction import swap
from tests.clean_launch_world import World

MIGRATION = load("clean_launch")


class Launched(World):
    """A world that is launched by the engine's own functions."""

    dsn: str
    said: list[str]

    def connect(self) -> Any:
        """As the engine connects."""
        return connector(self.dsn, "production", "cutover tests")

    def begin(self, this_run: str, dag_id: str = "clean_launch") -> None:
        """The run's row."""
        freeze.install(self.connect(), MIGRATION)
        with opened(self.connect()) as connection:
            run.begin(
                connection, run=this_run, migration="clean_launch", dag_id=dag_id, dag_run_id=this_run,
                triggered_by="operator", parameters={},
            )  # fmt: skip

    def stage(self, this_run: str) -> None:
        """From the freeze to the review."""
        connect = self.connect()
        self.begin(this_run)
        with opened(connect) as connection:
            for step in ("preflight", *(f"extract.{name}" for name in MIGRATION.sources), "capture"):
                phase.record(connection, MIGRATION, this_run, step)
        freeze.install_capture(connect, MIGRATION, self.said.append)
        freeze.freeze(connect, MIGRATION, this_run, self.said.append)
        transform.prepare(connect, MIGRATION, this_run, self.said.append)
        for step in load_order.steps(MIGRATION):
            text = files.text(f"clean_launch/transform/{step}.sql")
            transform.load(connect, MIGRATION, this_run, step=step, statement=text, log=self.said.append)
        transform.add_keys(connect, MIGRATION, this_run, self.said.append)
        with opened(connect) as connection:
            validation = {"success": True, "suites": [], "checks": []}
            run.note(connection, this_run, validation=validation)
        with opened(connect) as connection:
            digests = {"result": phase.digest(validation), "staged": transform.digest(connection, MIGRATION)}
        with opened(connect) as connection:
            phase.record(connection, MIGRATION, this_run, "validation", **digests)
        review.build(connect, MIGRATION, this_run, self.said.append)

    def approve(self, this_run: str, action: str) -> None:
        """By a second person."""
        with opened(self.connect()) as connection:
            connection.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) select %s, %s, 'approve', r.fingerprint, 'approve', 1, 'reviewer', now(), "
                "now() + interval '1 hour' from cutover.run as r where r.run = %s",
                (this_run, action, this_run),
            )
            (number,) = connection.execute("select max(approval_id) from cutover.approvals").fetchone() or (None,)
            chain.cover(connection, "approval", this_run, ("approvals", number))

    def launch(self, this_run: str) -> Entry:
        """A whole run."""
        self.stage(this_run)
        self.approve(this_run, "swap")
        with opened(self.connect()) as connection:
            row = run.get(connection, this_run)
        return swap(self.connect(), review.order(MIGRATION, row), self.said.append)

    def roll_back(self, this_run: str) -> Entry:
        """A whole run of the rollback."""
        self.begin(this_run, "clean_launch_rollback")
        rollback.review(self.connect(), MIGRATION, this_run, self.said.append)
        self.approve(this_run, "rollback")
        return rollback.run_reviewed(self.connect(), MIGRATION, this_run, self.said.append)

    def value(self, query: str, *values: Any) -> Any:
        """The only value of a query."""
        (row,) = self.row(query, *values).values()
        return row

    def people(self, schema: str = "public") -> set[str]:
        """Who has a profile."""
        return {row["email"] for row in self.rows(f"select email from {schema}.unified_profiles")}
