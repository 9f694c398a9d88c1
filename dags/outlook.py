"""
# outlook

Every five minutes: is a person asked about a launch, and has anything come into its way since? A table that was
altered, rows that would be orphaned, a capture that was switched off, a deploy of another version: whatever would
stop the swap is told while there is time to clear it, and not after the approval.

* One task per migration. **Skipped** means that nobody is asked about one, or that its database cannot be reached.
* What stands in the way is in the task's log, on the run's review with the times at which it changed, and, by code, in
  the messages of `cutover_smtp` and `cutover_webhook`, once per change.
* A step of a maintenance window that should have ended by its plan and has not is told by the same ways, once, whether
  or not a question waits.
* It reads, for at most five seconds a statement, and holds nothing that anybody waits for. Pausing it stops no launch.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG

from cutover.migration import declared
from cutover.operators.outlook import OutlookOperator

with DAG(
    dag_id="outlook",
    doc_md=__doc__,
    schedule=timedelta(minutes=5),
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    # A look that takes longer than the next one waits for is of no use.
    dagrun_timeout=timedelta(minutes=5),
    tags=["cutover"],
) as dag:
    for migration in declared():
        OutlookOperator(task_id=migration, migration=migration)
