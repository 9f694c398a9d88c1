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
| `approve`, `wait` | waits for a person who did not trigger the run; with `swap_at` then for that time | | untouched |
| `swap` | one transaction; or nothing | | **swapped** |
| `verify` | suites and certificate, and the sources once more | read | read |
| `rehearse` | the platform is asked whether every account gets in and sees its rows | | read |
| `release`, `outcome` | no swap: the fence is opened again, and a run whose window has ended fails | **open again** | |

The first launch makes the tables; a repeat brings what the sources have besides and keeps what the unified
application has written: a row changed there stays as it is there, a row deleted there stays deleted.

**A task has failed?** Its last log lines say what clears it, and nothing has changed. Without a maintenance window,
clear the failed task to go on. With one, `release` has opened the sources again: start a new run.
**Something is wrong after the swap?** Trigger `mula_unification_rollback`: it also opens the sources again.
"""

from __future__ import annotations

from cutover.operators.launch import launch
from cutover.operators.parameters import fewest

# An Airflow DAG: its tasks follow from include/sql/mula_unification/migration.yaml.
dag = launch(
    "mula_unification", __doc__, minimum_users=fewest(1, "people"), minimum_birth_charts=fewest(1, "birth charts")
)
