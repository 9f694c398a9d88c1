"""The tasks of a launch and of its rollback: thin, one per step of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import Asset

from cutover.errors import PROGRAM, CutoverError
from cutover.migration import load
from cutover.operators import metrics
from cutover.operators.approvers import approvers, require_enough
from cutover.operators.base import (
    CutoverOperator,
    Rows,
    asked_for,
    has_ended,
    keep_evidence,
    opened,
    triggered_by,
)
from cutover.operators.timing import freezes, require_plan

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cutover.database.connect import Connect
    from cutover.migration import Migration


def production_assets(migration: Migration) -> list[Asset]:
    """One asset per table that a launch puts in place; its event says that the table has been swapped."""
    return [
        Asset(name=f"{migration.target}.{schema}.{table}", uri=f"x-cutover://{migration.target}/{schema}/{table}")
        for schema, table in migration.swapped_tables()
    ]


def _held_by_another(connect: Connect, context: Context, this_run: str) -> CutoverError | None:
    """Why ``this_run`` could not have the schemas now; None if it could.

    The question of a run that was marked as failed while it waited takes no answer any more. It is withdrawn, and what
    was staged for it is nobody's. An approval that has not been used yet stays good: its swap can still be cleared. But
    one that waits for a time of its own would keep the schemas until then: it is called off.
    """
    from cutover import approve, wait
    from cutover.records import workspace

    with opened(connect) as connection:
        holding = workspace.holder(connection)
        if (
            holding is not None
            and holding.run != this_run
            and holding.until is not None
            and has_ended(context["ti"], holding.dag_id, holding.dag_run_id)
        ):
            if holding.is_asking:
                approve.withdraw(connection, load(holding.migration), holding.run, "swap", "its run has ended")
            else:
                wait.call_off(connection, load(holding.migration), holding.run)
        return workspace.waits_for(connection, this_run)


class PreflightOperator(CutoverOperator):
    """Installs the engine's tables, records the run, and looks for everything that would stop it later."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns what was found: server version, dependents, sizes."""
        from cutover import freeze, preflight
        from cutover.records import phase
        from cutover.validate import validation

        validation.docs_root().require_writable()
        require_enough(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        preflight.require_signing_key()
        connect = self.connect(context)
        with opened(connect) as connection:
            require_plan(connection, context, self.declaration.target)
        preflight.require_rights(connect, self.declaration)
        freeze.install(connect, self.declaration)
        self.begin_run(context, connect)
        limit = self.declaration.pace.given(context["params"])
        report = vars(preflight.check(connect, self.declaration, self.this_run(context), self.report, limit))
        self.record(context, phase.CHECKED, **report)
        taken = _held_by_another(connect, context, self.this_run(context))
        if taken is not None:
            self.log.warning("freeze.snapshot will have to wait: %s", taken)
        return report


class CaptureOperator(CutoverOperator):
    """Starts recording the application's writes, before the snapshot that the run is made from."""

    def run_phase(self, context: Context) -> None:
        """Safe to repeat."""
        from cutover import freeze

        made_from = self.require(context, "capture")
        freeze.install_capture(self.connect(context), self.declaration, self.report)
        self.record(context, "capture", made_from)


class FreezeOperator(CutoverOperator):
    """Copies sources and production into ``input`` in one snapshot."""

    lineage_step = "snapshot"

    def run_phase(self, context: Context) -> dict[str, int]:
        """Returns rows per input table. Waits while another run needs the schemas; not with sources fenced."""
        from cutover import erase, freeze

        connect = self.connect(context)
        taken = _held_by_another(connect, context, self.this_run(context))
        if taken is not None and asked_for(context):
            raise CutoverError(
                "freeze.no-time-to-wait", taken.obj, taken.why, "trigger a new run when that one is done."
            )
        rows = freeze.freeze(connect, self.declaration, self.this_run(context), self.report, self.pace(context))
        with opened(connect) as connection:
            for table, back in erase.returned(connection, self.declaration).items():
                self.log.warning(
                    "%s has %s rows of people who were erased: their source has brought them back. Erase them there, "
                    "and then here again: %s erase",
                    table,
                    back,
                    PROGRAM,
                )
        return rows

    def rows(self, result: dict[str, int]) -> int:
        """The rows of all input tables."""
        return sum(result.values())

    def lineage_rows(self, result: dict[str, int]) -> Rows:
        """The rows of each input table."""
        return Rows({f"input.{table}": rows for table, rows in result.items()}, {})


class PrepareOperator(CutoverOperator):
    """Empties ``staging`` and makes the intermediate tables that several transforms use."""

    lineage_step = "prepare"

    def run_phase(self, context: Context) -> None:
        """Safe to repeat."""
        from cutover import transform

        this_run, pace = self.this_run(context), self.pace(context)
        transform.prepare(self.connect(context), self.declaration, this_run, self.report, pace)


class LoadOperator(CutoverOperator):
    """Fills one staging table by the migration's own statement, which the UI shows under Rendered Templates."""

    template_fields = ("migration", "sql")
    template_ext = (".sql",)
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "postgresql"}

    def __init__(self, *, step: str, sql: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.sql = sql
        self.lineage_step = f"load.{step}"

    @property
    def about(self) -> str:
        """The statement's file."""
        return f"include/sql/{self.migration}/transform/{self.step}.sql"

    def run_phase(self, context: Context) -> int:
        """Returns the rows staged."""
        from cutover import transform

        return transform.load(
            self.connect(context),
            self.declaration,
            self.this_run(context),
            step=self.step,
            statement=self.sql,
            log=self.report,
            pace=self.pace(context),
        )

    def rows(self, result: int) -> int:
        """The rows staged."""
        return result

    @property
    def lineage_outputs(self) -> list[str]:
        """The staged table."""
        return [f"staging.{self.step.split('.', maxsplit=1)[0]}"]

    def lineage_rows(self, result: int) -> Rows:
        """The rows staged."""
        return Rows(dict.fromkeys(self.lineage_outputs, result), {})


class KeysOperator(CutoverOperator):
    """Gives the loaded tables their keys, indexes, foreign keys, policies, triggers and grants."""

    def run_phase(self, context: Context) -> None:
        """Safe to repeat."""
        from cutover import transform

        this_run, pace = self.this_run(context), self.pace(context)
        transform.add_keys(self.connect(context), self.declaration, this_run, self.report, pace)


class RehearseOperator(CutoverOperator):
    """Does the swap on production to its last statement, and takes it back, before anybody is asked."""

    def run_phase(self, context: Context) -> dict[str, Any] | None:
        """Returns what was found; None without the parameter ``rehearse``. What would fail the swap fails this."""
        from cutover import review
        from cutover.operators.window import hold_fences

        if not context["params"].get("rehearse"):
            self.log.info("not rehearsed: the parameter rehearse is off")
            return None
        with opened(self.connect(context)) as connection:
            # it builds what the swap would, in one transaction, in which nothing is waited for
            self.pace(context).wait(connection)
        with hold_fences(self, context, swaps=False) as require_fenced:
            rehearsal = review.rehearse(
                self.connect(context), self.declaration, self.this_run(context), self.report, require=require_fenced
            )
        if rehearsal.reason is not None:
            self.log.warning("the swap was not rehearsed: %s", rehearsal.reason)
        return rehearsal.as_dict()


class ProbeOperator(CutoverOperator):
    """Runs queries on today's tables and on the rehearsed ones, before anybody is asked."""

    def run_phase(self, context: Context) -> dict[str, Any] | None:
        """Returns how many came out how; None without the parameter ``probe``. A broken assertion fails this."""
        from cutover import review

        if not context["params"].get("probe"):
            self.log.info("no queries were compared: the parameter probe is off")
            return None
        report = review.probe(self.connect(context), self.declaration, self.this_run(context), self.report)
        if report.reason is not None:
            self.log.warning("queries were not compared: %s", report.reason)
        return report.counted()


class ReviewOperator(CutoverOperator):
    """Makes what the approver reads, and the fingerprint of what it is about."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the figures, without samples: XCom is no place for personal data."""
        from cutover import review

        made = review.build(
            self.connect(context),
            self.declaration,
            self.this_run(context),
            self.report,
            freezes=freezes(self.declaration.target),
        )
        return {"fingerprint": made["fingerprint"], "tables": made["tables"]}


def _measure_entry(connect: Connect, migration: Migration) -> None:
    """Report the swap or rollback that has just happened. Never raises: it has happened, whatever is known of it."""
    import psycopg

    from cutover import status

    try:
        with opened(connect) as connection:
            newest = status.newest_entry(connection, migration)
    except (CutoverError, psycopg.Error):
        return  # the DAG outlook reports the same
    if newest is not None:
        metrics.entry(migration.migration, newest)
        metrics.lock_span(newest)


class SwapOperator(CutoverOperator):
    """The swap itself: one transaction, after looking up the recorded approval."""

    gated = True
    is_news = True
    lineage_step = "swap"

    @property
    def lineage_outputs(self) -> list[str]:
        """The tables that are replaced."""
        return [".".join(name) for name in self.declaration.swapped_tables()]

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the ledger entry's key figures."""
        from cutover import review
        from cutover.operators.window import hold_fences
        from cutover.records import ledger, phase, run
        from cutover.swap.transaction import swap

        connect = self.connect(context)
        with opened(connect) as connection:
            row = run.get(connection, self.this_run(context))
            has_swapped = ledger.find(connection, row.run) is not None
            if not has_swapped:
                phase.require(connection, self.declaration, row.run, phase.SWAP)
        if has_swapped:
            entry = swap(connect, review.order(self.declaration, row), self.report)
        else:
            order = review.order(self.declaration, row, freezes=freezes(self.declaration.target))
            with hold_fences(self, context) as require_fenced:
                entry = swap(connect, order, self.report, require=require_fenced, pace=self.pace(context))
        with opened(connect) as connection:
            run.note(connection, self.this_run(context), finished_at=entry.recorded_at)
        _measure_entry(connect, self.declaration)
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
        from cutover.swap import outside

        connect, this_run = self.connect(context), self.this_run(context)
        figures = verify.certificate(connect, this_run, self.report, outside.Policy(self.declaration.leaving))
        if self.has_begun(context):
            self.record(context, "verify", [], **figures)
        keep_evidence(connect, self.declaration, this_run, self.report)
        return figures


class PreviewOperator(CutoverOperator):
    """Finds the entry to take back, and tells what would be carried back and what could not be."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the preview; raises if the rollback would be refused."""
        from cutover import freeze, preflight, revert, rollback

        by_window = context["params"].get(revert.PARAMETER)
        if by_window is None:
            approvers(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        preflight.require_signing_key()
        connect = self.connect(context)
        freeze.install(connect, self.declaration)
        this_run = self.this_run(context)
        self.begin_run(context, connect)
        if by_window is not None:
            with opened(connect) as connection:
                window = revert.require_open(connection, self.declaration, by_window)
            revert.require_another_person(window, triggered_by(context))
        return rollback.review(connect, self.declaration, this_run, self.report)


class RollbackOperator(CutoverOperator):
    """Moves the old tables back in one transaction, with the writes made since."""

    gated = True
    is_news = True
    lineage_step = "rollback"

    @property
    def lineage_outputs(self) -> list[str]:
        """The tables that come back."""
        return [".".join(name) for name in self.declaration.swapped_tables()]

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns the ledger entry's key figures."""
        from cutover import rollback
        from cutover.records import ledger, phase

        this_run = self.this_run(context)
        with opened(self.connect(context)) as connection:
            if ledger.find(connection, this_run) is None:
                phase.require(connection, self.declaration, this_run, "rollback", phase.ROLLBACK)
        entry = rollback.run_reviewed(self.connect(context), self.declaration, self.this_run(context), self.report)
        _measure_entry(self.connect(context), self.declaration)
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

        from cutover import freeze, preflight, retention

        approvers(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        preflight.require_signing_key()
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

    gated = True

    def run_phase(self, context: Context) -> list[str]:
        """Returns the names of the schemas that are gone. Safe to repeat."""
        from cutover import retention

        self.require(context, "drop", retention.ACTION)
        return retention.drop(self.connect(context), self.declaration, self.this_run(context), self.report)


class _PreviewRequestOperator(CutoverOperator):
    """Says what a request about people would do; who is meant stays in the database."""

    def run_phase(self, context: Context) -> list[str]:
        """Returns the figures in words."""
        from cutover import freeze, preflight

        approvers(self.declaration, triggered_by(context))  # raises if nobody could answer in the end
        preflight.require_signing_key()
        connect = self.connect(context)
        freeze.install(connect, self.declaration)
        this_run = self.this_run(context)
        self.begin_run(context, connect)
        return self.review(connect, this_run, context["params"]["request"])

    def review(self, connect: Connect, this_run: str, request: int) -> list[str]:
        """Make what a person is asked about, and store it. Returns the figures in words."""
        raise NotImplementedError


class PreviewErasureOperator(_PreviewRequestOperator):
    """Counts what a request of ``erase --ask`` would take out."""

    def review(self, connect: Connect, this_run: str, request: int) -> list[str]:
        """Returns the figures in words."""
        from cutover import erase
        from cutover.validate.validation import docs_root

        return erase.review(connect, self.declaration, this_run, request, self.report, docs=docs_root())


class PreviewRestorationOperator(_PreviewRequestOperator):
    """Compares the rows of whom a request of ``restore --ask`` names with those of the backup."""

    def review(self, connect: Connect, this_run: str, request: int) -> list[str]:
        """Returns the figures in words."""
        from cutover import restore

        return restore.review(connect, self.declaration, this_run, request, self.report)


class RestoreOperator(CutoverOperator):
    """Puts the rows of the approved people back as they were, in one transaction."""

    gated = True

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns how many rows, table by table. Safe to repeat."""
        from cutover import restore

        self.require(context, "restore", restore.ACTION)
        return restore.restore_reviewed(self.connect(context), self.declaration, self.this_run(context), self.report)


class EraseOperator(CutoverOperator):
    """Takes the approved person out of everything that the engine keeps, in one transaction."""

    def run_phase(self, context: Context) -> dict[str, Any]:
        """Returns how many rows, table by table."""
        from cutover import erase
        from cutover.validate.validation import docs_root

        self.require(context, "erase", erase.ACTION)
        connect = self.connect(context)
        done = erase.erase_reviewed(connect, self.declaration, self.this_run(context), self.report, docs_root())
        for run in done.get("runs_of_pages", []):
            # the archive that was kept had the pages in it
            keep_evidence(connect, self.declaration, run, self.report)
        return done
