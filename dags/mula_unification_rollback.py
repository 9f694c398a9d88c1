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

from cutover.operators.launch import rollback

# An Airflow DAG: its tasks follow from include/sql/mula_unification/migration.yaml.
dag = rollback("mula_unification", __doc__)
