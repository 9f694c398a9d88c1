"""
# raw_sync

Every hour: bring the tables of schema `raw` up to what Xendit and Systeme.io show. Reads what may have changed,
writes what has; an hour in which nothing changed writes nothing and says "0 changed of ...".

* One task per endpoint, side by side. They do not depend on each other: one API that is down holds nobody up.
* `clean_launch` begins with the same group, and freezes a copy of the raw tables for itself: this DAG cannot tear
  a run that is under way. A source is synchronised by one task at a time, whichever DAG it belongs to.
* **A task has failed?** Its last log lines say what clears it. Clear the task, not the run: it goes on behind the
  last page that was stored. A run that failed is made up for by the next one.
* Parameters: `full` reads everything again (weekly is a good habit: it finds rows that are gone); `accept_gone`
  believes a full read that misses more than a tenth of the rows known.
* Each task updates the asset `raw.<table>`; the event's extra says how many rows changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG

from cutover.operators import parameters
from cutover.operators.extract import SyncSummaryOperator, extract_group

with DAG(
    dag_id="raw_sync",
    doc_md=__doc__,
    schedule=timedelta(hours=1),
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # Two syncs of a source would wait for each other.
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    tags=["cutover"],
    params={
        "full": parameters.full(has_databases=False),
        "accept_gone": parameters.accept_gone(),
    },
) as dag:
    # The summary needs every endpoint: if one fails, so does the run, and the others have stored what they had.
    extract_group("clean_launch") >> SyncSummaryOperator(task_id="summary", migration="clean_launch")
