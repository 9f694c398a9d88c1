"""Airflow's scheduler, started with what tasks import already imported; run as ``python -m stack.scheduler``.

Tasks are forked from the scheduler's workers, so what is imported here is imported for all of them: without it each
validation imports Great Expectations anew, for seconds on every core that there is.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module

PRELOADED = (
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "airflow.dag_processing.bundles.manager",
    "airflow.dag_processing.dagbag",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.common.sql.operators.sql",
    "airflow.providers.http.hooks.http",
    "great_expectations",
    "psycopg",
)


def main() -> None:
    """Import, then be ``airflow scheduler``."""
    # Airflow's logging is not set up yet; it reports each of 200 functions that its documentation will not list
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    for name in PRELOADED:
        import_module(name)
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "scheduler", "--skip-serve-logs"]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
