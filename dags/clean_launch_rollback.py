"""
# clean_launch_rollback

Takes back the newest swap (or rollback) of `clean_launch`: the old tables return from their backup in one
transaction, with every write that was made since.

1. `preview` names the entry it would take back, and tells what is carried back and what cannot be. Nothing is
   changed; rows of other tables that would be orphaned stop the run here, with a list.
2. `approve` waits for a person who did not trigger the run.
3. `rollback` moves the tables back. What could not be carried is whole in `cutover.quarantine`.
4. `verify` looks everything up again.

A rollback can be rolled back: trigger this DAG again. To go further back instead, to the state before the launch
before, choose **newest launch**. A task that failed may be cleared at any time; it finds out
whether the rollback has happened.
"""

from __future__ import annotations

from cutover.operators.launch import rollback

# An Airflow DAG: its tasks follow from include/sql/clean_launch/migration.yaml.
dag = rollback("clean_launch", __doc__)
