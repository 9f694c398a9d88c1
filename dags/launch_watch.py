"""The DAG ``launch_watch``: ``cutover.operators.general`` says what it is for, to whoever opens it in Airflow."""

from __future__ import annotations

from cutover.operators.general import launch_watch

# An Airflow DAG that serves all migrations.
dag = launch_watch()
