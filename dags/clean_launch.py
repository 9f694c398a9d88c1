"""
# clean_launch

Takes the company's data from Xendit and Systeme.io to one clean production database, in one swap that a second
person approves and that can be rolled back.

| phase | what happens | production |
|---|---|---|
| `preflight` | everything that would stop the run later | read |
| `extract` | the raw tables brought up to what the APIs show | untouched |
| `freeze` | write capture installed, then one consistent copy of sources and production | writes are captured |
| `transform` | the new tables, built in schema `staging` in foreign-key order | untouched |
| `validate` | expectation suites and cross-table checks; a failure stops the run here | untouched |
| `review` | every figure before and after, warnings, and a fingerprint of all of it | read |
| `approve` | waits for a person who did not trigger the run | untouched |
| `swap` | one transaction of milliseconds; or nothing | **swapped** |
| `verify` | the suites again, on production, and the certificate | read |

**A task has failed?** Its last log lines say what clears it, and production is as it was. Clear the failed task to
go on; after `approve` was rejected or has expired, trigger a new run. A swap that was killed may be cleared at any
time: it finds out whether it has happened.

**Something is wrong after the swap?** Trigger `clean_launch_rollback`: no write made in between is lost.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, TaskGroup

from cutover.database.statements import include_root
from cutover.migration import load
from cutover.operators import parameters
from cutover.operators.approve import ApprovalSensor
from cutover.operators.extract import extract_group
from cutover.operators.groups import freeze_group, transform_group
from cutover.operators.phases import (
    CertificateOperator,
    PreflightOperator,
    ReviewOperator,
    SwapOperator,
    production_assets,
)
from cutover.operators.validate import ValidateOperator
from cutover.operators.watch import BaselineOperator

MIGRATION = "clean_launch"

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
            "Read the sources in full",
            "Read every row of the APIs again, instead of what may have changed since the last sync.",
        ),
        "approval_hours": parameters.approval_hours(24, "After this the run fails and production stays as it is."),
        "on_drift": parameters.on_drift("production"),
        "carry_limit": parameters.carry_limit(),
        "rejects_share": parameters.rejects_share(load(MIGRATION).rejects_limit.share),
        "rejects_rows": parameters.rejects_rows(load(MIGRATION).rejects_limit.rows),
        "minimum_profiles": parameters.fewest(6000, "profiles"),
        "minimum_transactions": parameters.fewest(6000, "transactions"),
        "minimum_enrollments": parameters.fewest(6000, "enrolments"),
    },
) as dag:
    with TaskGroup("preflight", tooltip="Everything that would stop the run later") as preflight:
        PreflightOperator(task_id="check", migration=MIGRATION)

    extract = extract_group(MIGRATION)
    freeze = freeze_group(MIGRATION)
    transform = transform_group(MIGRATION)

    with TaskGroup("validate", tooltip="Suites and cross-table checks over the staged tables") as validate:
        # One task: loading Great Expectations takes longer than most suites.
        ValidateOperator(task_id="suites", migration=MIGRATION)

    with TaskGroup("review", tooltip="What the approver reads") as review:
        ReviewOperator(task_id="build", migration=MIGRATION)

    # What the launch is compared with once it is live: beside the question, so that it can keep nobody from launching.
    review >> BaselineOperator(task_id="baseline", migration=MIGRATION)

    # In a dry run this one, and so everything after it, is skipped.
    approve = ApprovalSensor(task_id="approve", migration=MIGRATION, action="swap")

    # A killed swap may be run again at any time, so it is: with the ledger row inside, it cannot happen twice.
    swap = SwapOperator(task_id="swap", migration=MIGRATION, retries=3, outlets=production_assets(load(MIGRATION)))

    with TaskGroup("verify", tooltip="What the swap promised, looked up again") as verify:
        # The certificate does not wait for the suites: whoever is on call wants it first.
        CertificateOperator(task_id="certificate", migration=MIGRATION)
        ValidateOperator(task_id="suites", migration=MIGRATION, phase="production")

    # Nothing slow may come between freeze and swap without reason: writes made in between have to be carried.
    # So the extraction, minutes against a rate limit, comes before the freeze.
    preflight >> extract >> freeze >> transform >> validate >> review >> approve >> swap >> verify
