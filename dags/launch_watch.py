"""
# launch_watch

Looks for some hours after each swap whether what was launched does what it should, and asks when it does not.

* Started by the swap itself, whatever the migration. Its checks are files, `include/sql/<migration>/watch/*.sql`, each
  with bounds; what they are compared with was measured before the swap.
* **Skipped** means that there was no trouble, or no recent launch. Between two looks no worker is held.
* Out of bounds as often in a row as the check allows: `ask` opens a question, with what a rollback would have to carry,
  and tells people once. It never takes anything back by itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, AssetAny, Param, TaskGroup

from cutover.migration import declared, load
from cutover.operators.phases import production_assets
from cutover.operators.watch import LONGEST_HOURS, TroubleOperator, WatchSensor

with DAG(
    dag_id="launch_watch",
    doc_md=__doc__,
    # one table of each migration stands for its swap: all of a swap's events come at once
    schedule=AssetAny(*(production_assets(load(migration))[0] for migration in declared())),
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    tags=["cutover"],
    params={
        "hours": Param(
            6,
            type="number",
            exclusiveMinimum=0,
            maximum=LONGEST_HOURS,
            title="Hours to watch a launch",
            description="Counted from its swap.",
        ),
    },
) as dag:
    for migration in declared():
        with TaskGroup(migration):
            look = WatchSensor(task_id="look", migration=migration, poke_interval=timedelta(minutes=5))
            look >> TroubleOperator(task_id="ask", migration=migration, look_task=look.task_id)
