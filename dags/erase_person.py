"""
# erase_person

Takes one person out of everything that the engine keeps, after a second person has approved it.

1. Somebody who may read the target database makes a request: `./run erase --ask`. It prints a number. Who is meant
   stands in that one row of the database until it is done, and nowhere in Airflow.
2. `preview` counts, table by table, what would be deleted, and what a later rollback would come back without.
3. `approve` waits for a person who did not trigger the run.
4. `erase` does it in one transaction, and writes down that it happened, without a name.

Production's own rows are the application's to delete, and the sources' are theirs: erase there first.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, Param

from cutover.migration import declared
from cutover.operators import parameters
from cutover.operators.approve import ApprovalSensor
from cutover.operators.phases import EraseOperator, PreviewErasureOperator

MIGRATIONS = declared()
MIGRATION = "{{ params.migration }}"

with DAG(
    dag_id="erase_person",
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
            description="As ./run erase --ask printed it.",
        ),
        "approval_hours": parameters.approval_hours(24, "After this the run fails, and nobody is erased."),
    },
) as dag:
    preview = PreviewErasureOperator(task_id="preview", migration=MIGRATION)
    approve = ApprovalSensor(task_id="approve", migration=MIGRATION, action="erase_person")
    erase = EraseOperator(task_id="erase", migration=MIGRATION)

    preview >> approve >> erase
