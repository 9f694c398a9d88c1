"""The DAG ``raw_sync``: ``cutover.operators.general`` says what it is for, to whoever opens it in Airflow."""

from __future__ import annotations

from cutover.operators.general import raw_sync

# An Airflow DAG that serves all migrations.
dag = raw_sync()
