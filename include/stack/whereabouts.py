"""Which databases a task would get: ``python -m stack.whereabouts CONNECTION …`` in Airflow's environment.

Asked of Airflow itself, because only Airflow knows what its settings, secrets backends and databases make of a name.
Prints one JSON object, without passwords.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

from cutover.database.connect import parameters


def main(names: list[str]) -> None:
    """Print, by name, where each Airflow connection leads: libpq's options of it, or null where there is none."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    targets: dict[str, dict[str, str] | None] = {}
    for name in names:
        try:
            connection = BaseHook.get_connection(name)
        except AirflowNotFoundException:
            targets[name] = None
            continue
        options = parameters(
            host=connection.host,
            port=connection.port,
            user=connection.login,
            password=connection.password,
            dbname=connection.schema,
            extra=connection.extra_dejson,
        )
        targets[name] = without_password(options)
    print(json.dumps(targets))


def without_password(options: Mapping[str, Any]) -> dict[str, str]:
    """Connection options that may be shown."""
    return {name: str(value) for name, value in options.items() if "password" not in name}


if __name__ == "__main__":
    main(sys.argv[1:])
