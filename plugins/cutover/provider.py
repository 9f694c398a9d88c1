"""What Airflow is told about the engine where it is installed as a package: it is a provider of other people's."""

from __future__ import annotations

from typing import Any

# The package's name; its version is in pyproject.toml alone.
DISTRIBUTION = "airflow-provider-cutover"


def get_provider_info() -> dict[str, Any]:
    """The entry point ``apache_airflow_provider``. The pages are found by another, ``airflow.plugins``."""
    return {
        "package-name": DISTRIBUTION,
        "name": "Cutover",
        "description": "Launches clean data into live PostgreSQL databases, in one transaction that can be undone.",
    }
