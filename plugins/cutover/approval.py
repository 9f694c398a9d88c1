"""The gate's side of an approval: checks a person's answer and records it for the swap to find.

The swap's side, which uses the record up in its own transaction, is ``cutover.swap.approval``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg

from cutover import sql as files
from cutover.errors import CutoverError


@dataclass(frozen=True)
class Answer:
    """What a person answered, and to what."""

    run: str
    action: str
    decision: str
    fingerprint: str
    task_id: str
    try_number: int
    person: str
    person_id: str | None
    triggered_by: str | None
    comment: str | None
    decided_at: datetime
    valid_for: timedelta


def void_earlier(connection: psycopg.Connection, run: str, action: str, by: str) -> int:
    """Make void what was approved before the question is asked again. Returns how many approvals that was."""
    return connection.execute(
        files.statement("approve/void_earlier.sql"), {"run": run, "action": action, "by": by}
    ).rowcount


def require_second_person(answer: Answer, approvers: list[str]) -> None:
    """Raise CutoverError unless a named person answered who may approve and did not trigger the run."""
    if answer.triggered_by is not None and answer.person == answer.triggered_by:
        raise CutoverError(
            "approve.same-person",
            f"run {answer.run}",
            f"{answer.person} triggered it, and so cannot approve it.",
            "have another person clear and answer the task approve, or trigger a new run.",
        )
    if answer.person not in approvers:
        raise CutoverError(
            "approve.not-an-approver",
            answer.person,
            f"the approvers of this deployment are {', '.join(approvers)}.",
            "have one of them answer, or add the person to `approvers` in the extra of the target connection.",
        )


def record(connection: psycopg.Connection, answer: Answer) -> None:
    """Write the answer down, once per try: a second answer to one question raises ``approve.answered-twice``."""
    try:
        with connection.transaction():
            connection.execute(
                files.statement("approve/record.sql"),
                {**vars(answer), "expires_at": answer.decided_at + answer.valid_for},
            )
    except psycopg.errors.UniqueViolation:
        raise CutoverError(
            "approve.answered-twice",
            f"run {answer.run}, try {answer.try_number}",
            "an answer to this question is on record already.",
            "start a new run.",
        ) from None
