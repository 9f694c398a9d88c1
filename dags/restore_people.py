"""
# restore_people

Puts the rows of some people back as they were before the newest launch, from its backup, after a second person has
approved it.

1. Somebody who may write the target database makes a request: `./run restore people.csv --ask`. It prints a number. Who
   is meant stands in that one row of the database until it is done, and nowhere in Airflow.
2. `preview` does it, counts table by table, and takes it back. Writers of those tables wait for as long as that takes.
3. `approve` waits for a person who did not trigger the run. The answer is about exactly these rows.
4. `restore` does it in one transaction, keeps what the rows were by then, compares them with the backup once more, and
   writes down that it happened, without a name.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Param

from cutover.migration import declared
from cutover.operators import parameters
from cutover.operators.approve import ApprovalSensor
from cutover.operators.phases import PreviewRestorationOperator, RestoreOperator

MIGRATIONS = declared()
MIGRATION = "{{ params.migration }}"

with DAG(
    dag_id="restore_people",
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
            title="Of which migration",
            description="The one that the request was made for.",
        ),
        "request": Param(
            1,
            type="integer",
            minimum=1,
            title="Number of the request",
            description="As ./run restore --ask printed it.",
        ),
        "approval_hours": parameters.approval_hours(24, "After this the run fails, and nothing is changed."),
    },
) as dag:
    preview = PreviewRestorationOperator(task_id="preview", migration=MIGRATION)
    approve = ApprovalSensor(task_id="approve", migration=MIGRATION, action="restore_people")
    restore = RestoreOperator(task_id="restore", migration=MIGRATION)

    preview >> approve >> restore
