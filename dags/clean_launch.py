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
| `wait` | with `swap_at`: waits for that time | untouched |
| `swap` | one transaction of milliseconds; or nothing | **swapped** |
| `verify` | the suites again, on production, and the certificate | read |

**A task has failed?** Its last log lines say what clears it, and production is as it was. Clear the failed task to
go on; after `approve` was rejected or has expired, trigger a new run. A swap that was killed may be cleared at any
time: it finds out whether it has happened.

**Something is wrong after the swap?** Trigger `clean_launch_rollback`: no write made in between is lost.
"""

from __future__ import annotations

from cutover.operators.launch import launch
from cutover.operators.parameters import fewest

# An Airflow DAG: its tasks follow from include/sql/clean_launch/migration.yaml.
dag = launch(
    "clean_launch",
    __doc__,
    minimum_profiles=fewest(6000, "profiles"),
    minimum_transactions=fewest(6000, "transactions"),
    minimum_enrollments=fewest(6000, "enrolments"),
)
