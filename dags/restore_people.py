"""The DAG ``restore_people``: ``cutover.operators.general`` says what it is for, to whoever opens it in Airflow."""

from __future__ import annotations

from cutover.operators.general import restore_people

# An Airflow DAG that serves all migrations.
dag = restore_people()
