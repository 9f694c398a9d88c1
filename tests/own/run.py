"""Whole runs of any migration on any target, its phases called as its DAG's tasks call them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cutover import freeze, preflight, review, rollback, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, opened
from cutover.extract.client import Access
from cutover.extract.drop import sync_drop
from cutover.extract.sync import sync
from cutover.extract.tables import copy_database
from cutover.migration import Migration, load, load_order
from cutover.operators.extract import folder
from cutover.records import chain, ledger, phase, run
from cutover.swap.transaction import swap
from cutover.validate import checks, suites, validation


@dataclass
class Launches:
    """Runs of one migration. ``sources``: Airflow connection → how to reach it (an address, or an opener)."""

    name: str
    connect: Connect
    sources: dict[str, Any] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    @property
    def migration(self) -> Migration:
        """As its files are now."""
        return load(self.name)

    def log(self, message: str) -> None:
        """Kept."""
        self.messages.append(message)

    def begin(self, this_run: str) -> None:
        """The task of preflight."""
        preflight.require_rights(self.connect, self.migration)
        freeze.install(self.connect, self.migration)
        self._begin(this_run, self.name)
        preflight.check(self.connect, self.migration, this_run, self.log)
        self._record(this_run, "preflight")

    def extract(self, this_run: str) -> None:
        """Every source into raw."""
        for name, source in self.migration.sources.items():
            address, key = self.sources[source.connection]
            sync(source, self.migration.service(source), Access(source.connection, address, key), self.connect)
            self._record(this_run, f"extract.{name}")
        for name, drop in self.migration.files.items():
            sync_drop(drop, folder(drop), self.connect, log=self.log)
            self._record(this_run, f"extract.{name}")
        for database in self.migration.databases:
            copy_database(self.migration.tables_of(database), self.sources[database], self.connect, log=self.log)
            self._record(this_run, f"extract.{database}")

    def stage(self, this_run: str) -> None:
        """Freeze and transform."""
        freeze.install_capture(self.connect, self.migration, self.log)
        self._record(this_run, "capture")
        freeze.freeze(self.connect, self.migration, this_run, self.log)
        transform.prepare(self.connect, self.migration, this_run, self.log)
        for step in load_order.steps(self.migration):
            statement = files.text(f"{self.name}/transform/{step}.sql")
            transform.load(self.connect, self.migration, this_run, step=step, statement=statement, log=self.log)
        transform.add_keys(self.connect, self.migration, this_run, self.log)

    def validate(self, this_run: str, *, with_suites: bool = False) -> None:
        """The checks, and the suites if asked for: Great Expectations takes seconds. All must hold."""
        with opened(self.connect) as connection:
            results = checks.run(connection, self.name, this_run, self.migration.rejects_limit)
            record = {"checks": [result.check for result in results]}
            run.note(connection, this_run, validation=record)
            digests = {"result": phase.digest(record), "staged": transform.digest(connection, self.migration)}
        self._record(this_run, "validation", **digests)
        if self.migration.databases:
            self._record(this_run, "late_writes")
        broken = [(result.check, result.sample) for result in results if not result.success]
        assert broken == [], broken
        if with_suites:
            failed = self.suites(validation.STAGING)
            assert failed == [], failed

    def suites(self, phase_: str) -> list[str]:
        """The expectations that do not hold over the tables of a phase."""
        place = validation.place(self.migration, phase_)
        outcome = suites.run(self.connect, suites.load(self.name), place, {}, self.log)
        return [f"{suite.suite}: {one.expectation}" for suite in outcome.suites for one in suite.failed]

    def review(self, this_run: str, *, with_suites: bool = False) -> dict[str, Any]:
        """Everything up to the question."""
        self.begin(this_run)
        self.extract(this_run)
        self.stage(this_run)
        self.validate(this_run, with_suites=with_suites)
        return review.build(self.connect, self.migration, this_run, self.log)

    def launch(self, this_run: str, before_swap: Callable[[], object] = lambda: None) -> ledger.Entry:
        """A whole run."""
        self.review(this_run)
        before_swap()
        self._approve(this_run, "swap")
        with opened(self.connect) as connection:
            row = run.get(connection, this_run)
        return swap(self.connect, review.order(self.migration, row), self.log)

    def roll_back(self, this_run: str) -> ledger.Entry:
        """A whole rollback of the newest entry."""
        self._begin(this_run, f"{self.name}_rollback")
        rollback.review(self.connect, self.migration, this_run, self.log)
        self._approve(this_run, "rollback")
        return rollback.run_reviewed(self.connect, self.migration, this_run, self.log)

    def _begin(self, this_run: str, dag_id: str) -> None:
        with opened(self.connect) as connection:
            run.begin(
                connection, run=this_run, migration=self.name, dag_id=dag_id, dag_run_id=this_run,
                triggered_by="operator", parameters={},
            )  # fmt: skip

    def _record(self, this_run: str, step: str, **result: Any) -> None:
        with opened(self.connect) as connection:
            phase.record(connection, self.migration, this_run, step, **result)

    def _approve(self, this_run: str, action: str) -> None:
        with opened(self.connect) as connection:
            written = connection.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) select %s, %s, 'approve', r.fingerprint, 'approve', 1, 'reviewer', now(), "
                "now() + interval '1 hour' from cutover.run as r where r.run = %s returning approval_id",
                (this_run, action, this_run),
            ).fetchone()
            assert written is not None
            chain.cover(connection, "approval", this_run, ("approvals", written[0]))
