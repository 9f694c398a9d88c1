"""
# mula_unification_rollback

Takes back the newest swap (or rollback) of `mula_unification`: the tables from before return from their backup in
one transaction, with every write that was made since. After a first launch there is nothing from before: the tables
go to the backup, whole, and the unified database is as empty as it was.

1. `preview` names the entry it would take back, and tells what is carried back and what cannot be.
2. `approve` waits for a person who did not trigger the run.
3. `rollback` moves the tables. What could not be carried is whole in `cutover.quarantine`.
4. `verify` looks everything up again; `release` lets both applications write to their own databases again, if it was
   the launch taken back that kept them from it.

A rollback can be rolled back: trigger this DAG again. To go further back instead, to the state before the launch
before, choose **newest launch**.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, TaskGroup

from cutover.migration import load
from cutover.operators import parameters
from cutover.operators.approve import ApprovalSensor
from cutover.operators.phases import CertificateOperator, PreviewOperator, RollbackOperator, production_assets
from cutover.operators.window import ReleaseOperator

MIGRATION = "mula_unification"

with DAG(
    dag_id=f"{MIGRATION}_rollback",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
    tags=["cutover", "rollback"],
    params={
        "take_back": parameters.take_back(),
        "approval_hours": parameters.approval_hours(4, "After this the run fails and nothing has changed."),
    },
) as dag:
    preview = PreviewOperator(task_id="preview", migration=MIGRATION)
    approve = ApprovalSensor(task_id="approve", migration=MIGRATION, action="rollback")
    rollback = RollbackOperator(
        task_id="rollback", migration=MIGRATION, retries=3, outlets=production_assets(load(MIGRATION))
    )
    with TaskGroup("verify", tooltip="What the rollback promised, looked up again") as verify:
        CertificateOperator(task_id="certificate", migration=MIGRATION)
    release = ReleaseOperator(task_id="release", migration=MIGRATION, undone=True)

    # Released last, and only after a rollback that holds: until then the unified database may be the one in use.
    preview >> approve >> rollback >> verify >> release
