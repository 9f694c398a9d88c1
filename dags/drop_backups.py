"""
# drop_backups

Drops old backups that swaps and rollbacks have left, after a second person has approved exactly these.

1. `list` names the backups older than `days`. The newest is never among them: a rollback needs it. Nothing old
   enough: the run is skipped.
2. `approve` waits for a person who did not trigger the run. What is dropped cannot be rolled back to any more.
3. `drop` drops them in one transaction, without CASCADE: if anything still uses one, nothing is dropped and the error
   says what. Captured writes are purged together with the tables that they were made to.

A task that failed may be cleared at any time.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Param

from cutover.migration import declared
from cutover.operators import parameters
from cutover.operators.approve import ApprovalSensor
from cutover.operators.phases import DropBackupsOperator, ListBackupsOperator

MIGRATIONS = declared()
MIGRATION = "{{ params.migration }}"

with DAG(
    dag_id="drop_backups",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
    tags=["cutover"],
    params={
        "migration": Param(
            MIGRATIONS[0],
            type="string",
            enum=MIGRATIONS,
            title="Whose backups",
            description="The migration whose old tables are to go.",
        ),
        "days": Param(
            30,
            type="integer",
            minimum=1,
            title="Older than so many days",
            description="The newest backup always stays.",
        ),
        "approval_hours": parameters.approval_hours(24, "After this the run fails, and no backup is dropped."),
    },
) as dag:
    list_backups = ListBackupsOperator(task_id="list", migration=MIGRATION)
    approve = ApprovalSensor(task_id="approve", migration=MIGRATION, action="drop_backups")
    drop = DropBackupsOperator(task_id="drop", migration=MIGRATION)

    # What is approved is the list; a backup that has become the newest since then is not dropped.
    list_backups >> approve >> drop
