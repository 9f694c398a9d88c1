"""Who may approve what is launched into a database."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from cutover.errors import CutoverError
from cutover.migration import require_current

if TYPE_CHECKING:
    from cutover.migration import Migration

VARIABLE = "cutover_approvers"


@dataclass(frozen=True)
class Approver:
    """An account that may approve. ``id`` is what Airflow's auth manager calls it; None where that is not told."""

    name: str
    id: str | None = None


def approvers(migration: Migration, triggered_by: str | None) -> list[Approver]:
    """The accounts that may approve a run which ``triggered_by`` has triggered, so never that one.

    They are ``approvers`` in the extra of the target's connection, else the Airflow variable ``cutover_approvers``: a
    list (JSON) of names or of ``{"id": ..., "name": ...}``, or names with commas between.

    Raises CutoverError ``approve.bad-approvers`` for any other value, ``approve.no-approvers`` if nobody is named, and
    ``approve.nobody-else`` if only who triggered the run is: a launch that nobody may approve must fail in its first
    task, and one that anybody may approve must not exist.
    """
    from airflow.sdk import BaseHook, Variable

    named = parse(BaseHook.get_connection(migration.target).extra_dejson.get("approvers"))
    named = named or parse(Variable.get(VARIABLE, default=None))
    if not named:
        raise CutoverError(
            "approve.no-approvers",
            f"connection {migration.target}",
            "nobody is named who may approve.",
            f'name accounts in its extra, {{"approvers": ["..."]}}, or in the Airflow variable {VARIABLE}.',
        )
    others = [approver for approver in named if approver.name != triggered_by]
    if not others:
        raise CutoverError(
            "approve.nobody-else",
            f"connection {migration.target}",
            f"{triggered_by} has triggered this run, and nobody else is named who may approve it.",
            f"have somebody else trigger it, or name another account in `approvers` or in the variable {VARIABLE}.",
        )
    return others


def require_enough(migration: Migration, triggered_by: str | None) -> None:
    """Raise unless a launch which ``triggered_by`` has triggered can get every answer that it needs.

    As ``approvers`` does; ``migration.invalid`` for a delegation that is over; CutoverError ``approve.too-few``.
    """
    named = [approver.name for approver in approvers(migration, triggered_by)]
    needed, now = migration.quorum, datetime.now(timezone.utc)
    if needed is None:
        return
    require_current(migration, now)
    if needed.can_be_met(named, now, but=triggered_by):
        return
    absent = [person for person in needed.people() if person not in named and person != triggered_by]
    raise CutoverError(
        "approve.too-few",
        f"migration {migration.migration}",
        f"it needs {needed.words} The approvers of this deployment{_without(triggered_by)} are {', '.join(named)}, who "
        "cannot give all of that" + (f"; not among them: {', '.join(absent)}." if absent else "."),
        f"name accounts in `approvers` of the connection {migration.target} or in the variable {VARIABLE}; or have "
        "somebody else trigger it.",
    )


def _without(triggered_by: str | None) -> str:
    return f", without {triggered_by}, who has triggered this run," if triggered_by else ""


def parse(given: Any) -> list[Approver]:
    """The approvers that an extra's or a variable's value names. Raises ``approve.bad-approvers`` for anything else."""
    try:
        if isinstance(given, str):
            given = json.loads(given) if given.lstrip().startswith(("[", "{")) else given.split(",")
        if not isinstance(given, list | None):
            raise TypeError
        named = [_approver(one) for one in given or []]
    except (TypeError, KeyError, ValueError):
        raise CutoverError(
            "approve.bad-approvers",
            f"`approvers` of the target's connection, or the Airflow variable {VARIABLE}",
            "its value is no list of accounts.",
            'write names with commas between, or a JSON list of names or of {"id": "3", "name": "reviewer"}.',
        ) from None
    return [approver for approver in named if approver.name]


def _approver(one: Any) -> Approver:
    if isinstance(one, dict):
        return Approver(str(one["name"]).strip(), str(one["id"]))
    if not isinstance(one, str):
        raise TypeError
    return Approver(one.strip())


def assigned(allowed: list[Approver]) -> list[dict[str, str]]:
    """What Airflow is told of them, so that it refuses everybody else's answer.

    Airflow compares ids. Where one of them is not known this is empty, or that person could not answer: then Airflow
    takes an answer from whoever may edit it, and the gate checks the name.
    """
    if any(approver.id is None for approver in allowed):
        return []
    return [{"id": str(approver.id), "name": approver.name} for approver in allowed]
