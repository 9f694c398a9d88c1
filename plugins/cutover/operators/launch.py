"""The two DAGs of a migration, made of its declaration: a DAG file is a call, and what is special about it.

``launch("shop", doc_md=__doc__)`` and ``rollback("shop", doc_md=__doc__)``. Which tasks there are follows from
``migration.yaml``: databases are dumped, copied, fenced and compared; a service that lets people in is rehearsed.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, TaskGroup

from cutover.database.statements import include_root
from cutover.migration import load
from cutover.operators import parameters
from cutover.operators.approve import ApprovalSensor
from cutover.operators.assess import AssessOperator
from cutover.operators.dump import DumpCheckOperator, dump_group
from cutover.operators.extract import extract_group
from cutover.operators.groups import freeze_group, transform_group
from cutover.operators.phases import (
    CertificateOperator,
    PreflightOperator,
    PreviewOperator,
    ProbeOperator,
    RehearseOperator,
    ReviewOperator,
    RollbackOperator,
    SwapOperator,
    production_assets,
)
from cutover.operators.rehearsal import rehearsal_group
from cutover.operators.timing import SwapTimeSensor
from cutover.operators.validate import ValidateOperator
from cutover.operators.watch import BaselineOperator
from cutover.operators.window import (
    LateWritesOperator,
    OutcomeOperator,
    ReleaseOperator,
    WindowCheckOperator,
    window_group,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import BaseNotifier

    from cutover.migration import Migration

# Airflow wants one; nothing is scheduled.
_BEGIN = datetime(2025, 1, 1, tzinfo=timezone.utc)


def launch(
    migration: str, doc_md: str | None = None, *, notifiers: Sequence[BaseNotifier] = (), **special: Param
) -> DAG:
    """The DAG that takes a migration live, with its name. ``special`` are parameters of its own, beside the usual ones.

    ``notifiers`` are told of its question, beside those that are configured for every message (docs/notices.md).

    Raises as ``cutover.migration.load`` does: the DAG is then listed among Airflow's import errors.
    """
    declared = load(migration)
    with _dag(migration, doc_md, "launch", {**_parameters(declared), **special}) as dag:
        setups: list[Any] = []
        with TaskGroup("preflight", tooltip="Everything that would stop the run later") as preflight:
            PreflightOperator(task_id="check", migration=migration)
            if declared.databases:
                # For people to read; it stops nothing.
                AssessOperator(task_id="assess", migration=migration)
            if _is_dumped(declared):
                DumpCheckOperator(task_id="dump", migration=migration)
            if declared.window:
                fenceable = WindowCheckOperator(task_id="window", migration=migration)
                setups.append(fenceable.as_setup())  # type: ignore[no-untyped-call]

        # Dumps and the long copy are made while the applications are in use, and before the freeze: writes that come
        # between it and the swap have to be carried.
        before = [dump_group(migration)] if _is_dumped(declared) else []
        before.append(extract_group(migration))
        for group in before:
            preflight >> group
        if declared.window:
            window = window_group(migration)
            setups.append(dag.get_task("window.fence"))
            for group in before:
                group >> window
            before = [window]
        freeze, transform = freeze_group(migration), transform_group(migration)
        for group in before:
            group >> freeze
        with TaskGroup("validate", tooltip="Suites and cross-table checks over the staged tables") as validate:
            # One task: loading Great Expectations takes longer than most suites.
            ValidateOperator(task_id="suites", migration=migration)
            if declared.databases:
                # Does not fail: what was written since the copy is for the approver to judge.
                LateWritesOperator(task_id="sources", migration=migration, moment="review")
        with TaskGroup("review", tooltip="What the approver reads") as review:
            rehearse = RehearseOperator(task_id="rehearse", migration=migration)
            (
                rehearse
                >> ProbeOperator(task_id="probe", migration=migration)
                >> ReviewOperator(task_id="build", migration=migration)
            )
        # What the launch is compared with once it is live: beside the question, so that it keeps nobody from launching.
        review >> BaselineOperator(task_id="baseline", migration=migration)
        # In a dry run this one, and so everything after it, is skipped.
        approve = ApprovalSensor(task_id="approve", migration=migration, action="swap", notifiers=notifiers)
        # Beside the clock of the swap itself: what this lets through too early, that refuses.
        wait = SwapTimeSensor(task_id="wait", migration=migration)
        # A killed swap may be run again at any time, so it is: its ledger row is in its transaction.
        swap = SwapOperator(task_id="swap", migration=migration, retries=3, outlets=production_assets(declared))
        with TaskGroup("verify", tooltip="What the swap promised, looked up again") as verify:
            # The certificate does not wait for the suites: whoever is on call wants it first.
            CertificateOperator(task_id="certificate", migration=migration)
            ValidateOperator(task_id="suites", migration=migration, phase="production")
            if declared.databases:
                LateWritesOperator(task_id="sources", migration=migration, moment="verify")
        freeze >> transform >> validate >> review >> approve >> wait >> swap >> verify
        last = verify
        if declared.sign_ins:
            # While the sources are still fenced: the service is asked for every account whether its person gets in.
            last = rehearsal_group(migration)
            verify >> last
        if setups:
            _end(migration, last, setups)
    return dag


def rollback(migration: str, doc_md: str | None = None, *, notifiers: Sequence[BaseNotifier] = ()) -> DAG:
    """The DAG that takes the newest swap of a migration back: ``<migration>_rollback``.

    ``notifiers`` are told of its question. Raises as ``launch`` does.
    """
    declared = load(migration)
    hours = parameters.approval_hours(4, "After this the run fails and nothing has changed.")
    given = {
        "take_back": parameters.take_back(),
        "revert": parameters.revert(),
        "rehearse": parameters.rehearse(),
        "approval_hours": hours,
    }
    with _dag(f"{migration}_rollback", doc_md, "rollback", given) as dag:
        preview = PreviewOperator(task_id="preview", migration=migration)
        approve = ApprovalSensor(task_id="approve", migration=migration, action="rollback", notifiers=notifiers)
        taken_back = RollbackOperator(
            task_id="rollback", migration=migration, retries=3, outlets=production_assets(declared)
        )
        with TaskGroup("verify", tooltip="What the rollback promised, looked up again") as verify:
            CertificateOperator(task_id="certificate", migration=migration)
        # The preview is what the approver reads; the rollback refuses if another entry has come in between.
        preview >> approve >> taken_back >> verify
        if declared.window:
            # Last, and only after a rollback that holds: until then the target may be the one in use.
            verify >> ReleaseOperator(task_id="release", migration=migration, undone=True)
    return dag


def _dag(dag_id: str, doc_md: str | None, kind: str, params: dict[str, Param]) -> DAG:
    return DAG(
        dag_id=dag_id,
        doc_md=doc_md,
        schedule=None,
        start_date=_BEGIN,
        catchup=False,
        allowed_run_types=parameters.BY_HAND,
        # A second run would stage over what the first one's approver is reading.
        max_active_runs=1,
        template_searchpath=[str(include_root() / "sql")],
        default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
        tags=["cutover", kind],
        params=params,
    )


def _is_dumped(declared: Migration) -> bool:
    return any(database.dump is not None for database in declared.databases.values())


def _end(migration: str, last: Any, setups: list[Any]) -> None:
    """The sources opened again, whatever has failed before; and a run that its window has ended counts as failed."""
    # A teardown comes last, and leaves the run's own state to the tasks before it. Airflow leaves out a teardown none
    # of whose setups has succeeded. The fence alone will not do: it fails half-way where one source is fenced and the
    # other one's writers do not stop.
    release = ReleaseOperator(task_id="release", migration=migration).as_teardown(setups=setups)
    # A run that somebody ends inside its window has skipped whatever was left, and would count as a good one.
    outcome = OutcomeOperator(task_id="outcome", migration=migration).as_teardown(
        setups=setups, on_failure_fail_dagrun=True
    )
    last >> release >> outcome


def _parameters(declared: Migration) -> dict[str, Param]:
    """Those of every launch, and those of what its declaration has."""
    lapse = "After this the run fails, and nothing has changed."
    if declared.window:
        lapse += " At most the length of a maintenance window."
    written = "production" if declared.target == "production" else f"the {declared.target} database"
    return {
        "dry_run": parameters.dry_run(),
        "rehearse": parameters.rehearse(),
        "probe": parameters.probe(),
        "full": parameters.full(has_databases=bool(declared.databases)),
        **({"accept_gone": parameters.accept_gone()} if declared.databases or declared.files else {}),
        **({"dump_sources": parameters.dump_sources()} if _is_dumped(declared) else {}),
        "approval_hours": parameters.approval_hours(24, lapse),
        "on_drift": parameters.on_drift(written),
        "carry_limit": parameters.carry_limit(),
        **parameters.timing(),
        "rejects_share": parameters.rejects_share(declared.rejects_limit.share),
        "rejects_rows": parameters.rejects_rows(declared.rejects_limit.rows),
        "lag_megabytes": parameters.lag_megabytes(declared.pace.lag_megabytes),
        **(parameters.window() if declared.window else {}),
        **(parameters.sign_ins() if declared.sign_ins else {}),
    }
