"""The DAG ``drop_backups``: ``cutover.operators.general`` says what it is for, to whoever opens it in Airflow."""

from __future__ import annotations

from cutover.operators.general import drop_backups

# An Airflow DAG that serves all migrations.
dag = drop_backups()
