"""
# mula_unification

Makes one database of two: every account, chart, result and subscription of the Dasha Timer and of Compatibility, in
the unified schema, by one swap that a second person approves and that can be rolled back.

| phase | what happens | sources | unified database |
|---|---|---|---|
| `preflight` | everything that would stop the run later | read | read |
| `dump` | both sources dumped, each dump proved to hold what its source held | read | untouched |
| `extract` | both sources copied, each as it was at one moment | read | untouched |
| `window` | only with a maintenance window: sources fenced, last writes copied | **read-only** | untouched |
| `freeze` | write capture installed, then one consistent copy | | writes are captured |
| `transform` | the new tables, built in schema `staging` | | untouched |
| `validate` | expectation suites and cross-table checks; what was written since the copy | read | untouched |
| `review` | figures before and after, who is billed twice, who was merged | | read |
| `approve` | waits for a person who did not trigger the run | | untouched |
| `swap` | one transaction; or nothing | | **swapped** |
| `verify` | suites and certificate, and the sources once more | read | read |
| `rehearse` | the platform is asked whether every account gets in and sees its rows | | read |
| `release` | the fence is opened again, unless the swap has happened | **open again** | |
| `outcome` | fails the run when its window has ended without a swap | | |

The first launch makes the tables; a repeat brings what the sources have besides and keeps what the unified
application has written: a row changed there stays as it is there, a row deleted there stays deleted.

**A task has failed?** Its last log lines say what clears it, and nothing has changed. Without a maintenance window,
clear the failed task to go on. With one, `release` has opened the sources again: start a new run.

**Something is wrong after the swap?** Trigger `mula_unification_rollback`: it also opens the sources again.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

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
    ReviewOperator,
    SwapOperator,
    production_assets,
)
from cutover.operators.rehearsal import rehearsal_group
from cutover.operators.validate import ValidateOperator
from cutover.operators.watch import BaselineOperator
from cutover.operators.window import (
    LateWritesOperator,
    OutcomeOperator,
    ReleaseOperator,
    WindowCheckOperator,
    window_group,
)

MIGRATION = "mula_unification"

with DAG(
    dag_id=MIGRATION,
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # A second run would stage over what the first one's approver is reading.
    max_active_runs=1,
    template_searchpath=[str(include_root() / "sql")],
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
    tags=["cutover", "launch"],
    params={
        "dry_run": parameters.dry_run(),
        "full": parameters.full(
            "Compare every row by content",
            "Also where a table has a time of modification: finds what was changed without touching it.",
        ),
        "accept_gone": parameters.accept_gone(),
        "dump_sources": parameters.dump_sources(),
        "approval_hours": parameters.approval_hours(
            24, "After this the run fails, nothing has changed. At most the length of a maintenance window."
        ),
        "on_drift": parameters.on_drift("the unified database"),
        "carry_limit": parameters.carry_limit(),
        "rejects_share": parameters.rejects_share(load(MIGRATION).rejects_limit.share),
        "rejects_rows": parameters.rejects_rows(load(MIGRATION).rejects_limit.rows),
        "maintenance_window": Param(
            False,
            type="boolean",
            title="Maintenance window",
            description="Fence the sources read-only before the last copy; released again if anything fails.",
        ),
        "window_opens": Param(
            None,
            type=["null", "string"],
            format="date-time",
            title="When the window opens",
            description="The sources are copied before it. Empty: as soon as they are.",
        ),
        "window_minutes": Param(
            60,
            type="integer",
            minimum=1,
            maximum=1440,
            title="Length of the window, in minutes",
            description="The wait for the approval has to fit into it; else the run stops before anything is copied.",
        ),
        "drain_minutes": Param(
            5,
            type="number",
            minimum=0,
            maximum=120,
            title="Minutes to wait for writers of a source to finish",
            description="Nobody is ended: if somebody goes on writing, the run stops and the sources stay open.",
        ),
        "rehearse_sign_ins": parameters.rehearse_sign_ins(),
        "sign_in_failures_percent": parameters.sign_in_failures_percent(),
        "minimum_users": parameters.fewest(1, "people"),
        "minimum_birth_charts": parameters.fewest(1, "birth charts"),
    },
) as dag:
    with TaskGroup("preflight", tooltip="Everything that would stop the run later") as preflight:
        PreflightOperator(task_id="check", migration=MIGRATION)
        # For people to read; it stops nothing.
        AssessOperator(task_id="assess", migration=MIGRATION)
        DumpCheckOperator(task_id="dump", migration=MIGRATION)
        fenceable = WindowCheckOperator(task_id="window", migration=MIGRATION).as_setup()

    dump = dump_group(MIGRATION)
    extract = extract_group(MIGRATION)
    window = window_group(MIGRATION)
    freeze = freeze_group(MIGRATION)
    transform = transform_group(MIGRATION)

    with TaskGroup("validate", tooltip="Suites and cross-table checks over the staged tables") as validate:
        ValidateOperator(task_id="suites", migration=MIGRATION)
        # Does not fail: what was written since the copy is for the approver to judge.
        LateWritesOperator(task_id="sources", migration=MIGRATION, moment="review")

    with TaskGroup("review", tooltip="What the approver reads") as review:
        ReviewOperator(task_id="build", migration=MIGRATION)

    # What the launch is compared with once it is live: beside the question, so that it can keep nobody from launching.
    review >> BaselineOperator(task_id="baseline", migration=MIGRATION)

    approve = ApprovalSensor(task_id="approve", migration=MIGRATION, action="swap")

    # A killed swap may be run again at any time: its ledger row is in its transaction, it cannot happen twice.
    swap = SwapOperator(task_id="swap", migration=MIGRATION, retries=3, outlets=production_assets(load(MIGRATION)))

    with TaskGroup("verify", tooltip="What the swap promised, looked up again") as verify:
        CertificateOperator(task_id="certificate", migration=MIGRATION)
        ValidateOperator(task_id="suites", migration=MIGRATION, phase="production")
        LateWritesOperator(task_id="sources", migration=MIGRATION, moment="verify")

    # While the sources are still fenced: the platform itself is asked, for every account, whether its person gets in.
    rehearse = rehearsal_group(MIGRATION)

    # A teardown: it comes last, whatever has failed before it, and leaves the run's own state to the tasks before it.
    # Airflow leaves out a teardown none of whose setups has succeeded. The fence alone will not do: it fails half-way
    # where one source is fenced and the other one's writers do not stop.
    setups = [fenceable, dag.get_task("window.fence")]
    release = ReleaseOperator(task_id="release", migration=MIGRATION).as_teardown(setups=setups)
    # A run that somebody ends inside its window has skipped whatever was left, and would count as a good one.
    outcome = OutcomeOperator(task_id="outcome", migration=MIGRATION).as_teardown(
        setups=setups, on_failure_fail_dagrun=True
    )

    # The dumps and the long copy are made while the applications are in use; the window only sees what they wrote
    # meanwhile.
    preflight >> [dump, extract] >> window >> freeze >> transform >> validate >> review >> approve
    approve >> swap >> verify >> rehearse >> release >> outcome
