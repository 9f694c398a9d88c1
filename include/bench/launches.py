"""Launches of mula_unification without Airflow, for measurements of what is in them or after them."""

from __future__ import annotations

import psycopg
from psycopg import sql

from bench.window import PASSWORD, ROLES, silent, timed
from cutover import freeze, migration, preflight, review, transform
from cutover.database import statements as files
from cutover.database.connect import Connect, connector, opened
from cutover.extract.tables import copy_database
from cutover.migration import load_order
from cutover.records import chain, phase, run
from cutover.swap.transaction import swap
from cutover.validate import checks
from demo import mula
from stack.postgres import EmbeddedPostgres

MIGRATION = migration.load("mula_unification")
EMPTY = mula.Size(*([0] * 12))


class Launches:
    """Three databases whose names begin with ``prefix``, and the tasks of a launch between them.

    ``names`` and ``dsns`` (as superuser) are by dasha, compatibility and unified.
    """

    def __init__(self, server: EmbeddedPostgres, prefix: str, size: mula.Size = EMPTY) -> None:
        self.names = names = {name: f"{prefix}_{name}" for name in mula.DATABASES}
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            for name in names.values():
                admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        self.dsns = {name: server.dsn(database) for name, database in names.items()}
        mula.load(self.dsns, dict.fromkeys(ROLES, PASSWORD), size)
        self.target = connector(server.dsn(names["unified"], "cutover", PASSWORD), "unified", "bench")
        self.sources: dict[str, Connect] = {
            name: connector(server.dsn(names[name], "mula_reader", PASSWORD), name, "bench")
            for name in MIGRATION.databases
        }

    def launch(self, this_run: str) -> float:
        """A whole launch; the seconds of its review."""
        self._stage(this_run)
        seconds = timed(lambda: review.build(self.target, MIGRATION, this_run, silent))
        with psycopg.connect(self.dsns["unified"]) as admin:
            admin.execute(
                "insert into cutover.approvals (run, action, decision, fingerprint, task_id, try_number, approved_by, "
                "decided_at, expires_at) select r.run, 'swap', 'approve', r.fingerprint, 'approve', 1, 'reviewer', "
                "now(), now() + interval '1 hour' from cutover.run as r where r.run = %s",
                (this_run,),
            )
        with opened(self.target) as connection:
            newest = connection.execute("select max(approval_id) from cutover.approvals").fetchone()
            chain.cover(connection, "approval", this_run, ("approvals", newest[0] if newest else None))
            row = run.get(connection, this_run)
        swap(self.target, review.order(MIGRATION, row), silent)
        return seconds

    def _stage(self, this_run: str) -> None:
        freeze.install(self.target, MIGRATION)
        with opened(self.target) as connection:
            run.begin(
                connection, run=this_run, migration=MIGRATION.migration, dag_id=MIGRATION.migration,
                dag_run_id=this_run, triggered_by="operator", parameters={},
            )  # fmt: skip
        preflight.check(self.target, MIGRATION, this_run, silent)
        self._record(this_run, "preflight")
        for name, source in self.sources.items():
            copy_database(MIGRATION.tables_of(name), source, self.target, log=silent)
            self._record(this_run, f"extract.{name}")
        freeze.install_capture(self.target, MIGRATION, silent)
        self._record(this_run, "capture")
        freeze.freeze(self.target, MIGRATION, this_run, silent)
        transform.prepare(self.target, MIGRATION, this_run, silent)
        for step in load_order.steps(MIGRATION):
            statement = files.text(f"mula_unification/transform/{step}.sql")
            transform.load(self.target, MIGRATION, this_run, step=step, statement=statement, log=silent)
        transform.add_keys(self.target, MIGRATION, this_run, silent)
        with opened(self.target) as connection:
            record = {"checks": [result.check for result in checks.run(connection, MIGRATION.migration, this_run)]}
            run.note(connection, this_run, validation=record)
            digests = {"result": phase.digest(record), "staged": transform.digest(connection, MIGRATION)}
        self._record(this_run, "validation", **digests)
        self._record(this_run, "late_writes")

    def _record(self, this_run: str, step: str, **result: str) -> None:
        with opened(self.target) as connection:
            phase.record(connection, MIGRATION, this_run, step, None, **result)
