"""The tasks of a launch and of its rollback: thin, one per step of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import Asset

from cutover.connect import opened
from cutover.operators.approvers import approvers
from cutover.operators.base import CutoverOperator, triggered_by

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cutover.migration import Migration


def production_assets(migration: Migration) -> list[Asset]:
    """One asset per table that a launch puts in place; its event says that the table has been swapped."""
    return [
        Asset(name=f"{migration.target}.{schema}.{table}", uri=f"x-cutover://{migration.target}/{schema}/{table}")
        for schema, table in migration.swapped_tables()
    ]


class PreflightOperator(CutoverOperator):
    """Installs the engine's tables, records the run, and looks for everything that would stop it later."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns what was found: server version, dependents, sizes."""
        from cutover import freeze, preflight
        from cutover.validate import data_docs, validation

        data_docs.require_writable(validation.docs_root())
        approvers(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        connect = self.connect(context)
        preflight.require_rights(connect, self.declaration)
        freeze.install(connect, self.declaration)
        self.begin_run(context, connect)
        return vars(preflight.check(connect, self.declaration, self.this_run(context), self.report))


class CaptureOperator(CutoverOperator):
    """Starts recording the application's writes, before the snapshot that the run is made from."""

    def run_phase(self, context: Context) -> None:
        """Safe to repeat."""
        from cutover import freeze

        freeze.install_capture(self.connect(context), self.declaration, self.report)


class FreezeOperator(CutoverOperator):
    """Copies sources and production into ``input`` in one snapshot."""

    def run_phase(self, context: Context) -> dict[str, int]:
        """Returns rows per input table."""
        from cutover import freeze

        return freeze.freeze(self.connect(context), self.declaration, self.this_run(context), self.report)


class PrepareOperator(CutoverOperator):
    """Empties ``staging`` and makes the intermediate tables that several transforms use."""

    def run_phase(self, context: Context) -> None:
        """Safe to repeat."""
        from cutover import stage

        stage.prepare(self.connect(context), self.declaration, self.this_run(context), self.report)


class LoadOperator(CutoverOperator):
    """Fills one staging table by the migration's own statement, which the UI shows under Rendered Templates."""

    template_fields = ("migration", "sql")
    template_ext = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "postgresql"}

    def __init__(self, *, step: str, sql: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.sql = sql

    @property
    def about(self) -> str:
        """The statement's file."""
        return f"include/sql/{self.migration}/transform/{self.step}.sql"

    def run_phase(self, context: Context) -> int:
        """Returns the rows staged."""
        from cutover import stage

        return stage.load(
            self.connect(context),
            self.declaration,
            self.this_run(context),
            step=self.step,
            statement=self.sql,
            log=self.report,
        )


class KeysOperator(CutoverOperator):
    """Gives the loaded tables their keys, indexes, foreign keys, policies, triggers and grants."""

    def run_phase(self, context: Context) -> None:
        """Safe to repeat."""
        from cutover import stage

        stage.add_keys(self.connect(context), self.declaration, self.this_run(context), self.report)


class ReviewOperator(CutoverOperator):
    """Makes what the approver reads, and the fingerprint of what it is about."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the figures, without samples: XCom is no place for personal data."""
        from cutover import review

        made = review.build(self.connect(context), self.declaration, self.this_run(context), self.report)
        return {"fingerprint": made["fingerprint"], "tables": made["tables"]}


class SwapOperator(CutoverOperator):
    """The swap itself: one transaction, after looking up the recorded approval."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the ledger entry's key figures."""
        from cutover import review, run
        from cutover.swap import move

        connect = self.connect(context)
        with opened(connect) as connection:
            row = run.get(connection, self.this_run(context))
        policy = {name: context["params"][name] for name in ("on_drift", "carry_limit") if name in context["params"]}
        entry = move.swap(connect, review.order(self.declaration, row, **policy), self.report)
        with opened(connect) as connection:
            run.note(connection, self.this_run(context), finished_at=entry.recorded_at)
        return {
            "entry": entry.entry,
            "backup_schema": entry.backup_schema,
            "clients_waited_ms": round((entry.recorded_at - entry.locked_at).total_seconds() * 1000, 1),
            "attempts": entry.attempts,
            "carried": entry.carried,
        }


class CertificateOperator(CutoverOperator):
    """Reads the certificate again, after the fact: nothing points at yesterday, every foreign key is validated."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the certificate. Raises ``verify.certificate`` if it does not hold any more."""
        from cutover import verify

        return verify.certificate(self.connect(context), self.this_run(context), self.report)


class PreviewOperator(CutoverOperator):
    """Finds the entry to take back, and tells what would be carried back and what could not be."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the preview; raises if the rollback would be refused."""
        from cutover import freeze, rollback

        approvers(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        connect = self.connect(context)
        freeze.install(connect, self.declaration)
        this_run = self.this_run(context)
        self.begin_run(context, connect)
        return rollback.review(connect, self.declaration, this_run, self.report)


class RollbackOperator(CutoverOperator):
    """Moves the old tables back in one transaction, with the writes made since."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the ledger entry's key figures."""
        from cutover import rollback

        entry = rollback.run_reviewed(self.connect(context), self.declaration, self.this_run(context), self.report)
        return {
            "entry": entry.entry,
            "undoes": entry.undoes,
            "backup_schema": entry.backup_schema,
            "clients_waited_ms": round((entry.recorded_at - entry.locked_at).total_seconds() * 1000, 1),
            "carried": entry.carried,
        }


class ListBackupsOperator(CutoverOperator):
    """Lists the backups that are older than the DAG parameter ``days``; skips the run when there are none."""

    def run_phase(self, context: Context) -> list[str]:
        """Returns the names of the schemas."""
        from airflow.sdk.exceptions import AirflowSkipException

        from cutover import freeze, retention

        approvers(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        connect = self.connect(context)
        freeze.install(connect, self.declaration)
        this_run = self.this_run(context)
        self.begin_run(context, connect)
        schemas = retention.review(connect, self.declaration, this_run, context["params"]["days"], self.report)
        if not schemas:
            raise AirflowSkipException("no backup is old enough to be dropped")
        return schemas


class DropBackupsOperator(CutoverOperator):
    """Drops the approved backups, and the captured writes that only they needed."""

    def run_phase(self, context: Context) -> list[str]:
        """Returns the names of the schemas that are gone. Safe to repeat."""
        from cutover import retention

        return retention.drop(self.connect(context), self.declaration, self.this_run(context), self.report)
