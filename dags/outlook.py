"""The DAG ``outlook``: ``cutover.operators.general`` says what it is for, to whoever opens it in Airflow."""

from __future__ import annotations

from cutover.operators.general import outlook

# An Airflow DAG that serves all migrations.
dag = outlook()
