"""Who may approve what is launched into a database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cutover.errors import CutoverError

if TYPE_CHECKING:
    from cutover.migration import Migration

VARIABLE = "cutover_approvers"


def approvers(migration: Migration) -> list[str]:
    """Names of the accounts that may approve: ``approvers`` in the extra of the target's connection, else the
    Airflow variable ``cutover_approvers`` (a JSON list, or names with commas between).

    Raises CutoverError ``approve.no-approvers`` if neither names anybody: a launch that nobody may approve must
    fail in its first task, and one that anybody may approve must not exist.
    """
    from airflow.sdk import BaseHook, Variable

    named = _names(BaseHook.get_connection(migration.target).extra_dejson.get("approvers"))
    named = named or _names(Variable.get(VARIABLE, default=None))
    if not named:
        raise CutoverError(
            "approve.no-approvers",
            f"connection {migration.target}",
            "nobody is named who may approve.",
            f'name accounts in its extra, {{"approvers": ["..."]}}, or in the Airflow variable {VARIABLE}.',
        )
    return named


def _names(given: Any) -> list[str]:
    if isinstance(given, str):
        given = json.loads(given) if given.lstrip().startswith("[") else given.split(",")
    return [str(name).strip() for name in given or [] if str(name).strip()]
