"""The gate's side of an approval: checks a person's answer and records it for the swap to find.

The swap's side, which uses the record up in its own transaction, is ``cutover.swap.approval``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import class_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import chain, phase

if TYPE_CHECKING:
    from cutover.migration import Migration


@dataclass(frozen=True)
class Answer:
    """What a person answered, and to what.

    ``revert_minutes``: for so long after the swap it may be taken back without another answer; None for not at all. An
    answer that was given beforehand so, with another one, names that one's number: ``pre_approval_id``.
    """

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
    revert_minutes: int | None = None
    pre_approval_id: int | None = None


@dataclass(frozen=True)
class Given:
    """An answer on record. ``is_over``: the time for which it was good has passed."""

    decision: str
    fingerprint: str
    person: str
    comment: str | None
    decided_at: datetime
    expires_at: datetime
    is_over: bool


def given(connection: psycopg.Connection, run: str, action: str) -> Given | None:
    """The answer to a run's question, if one is on record that was not made void."""
    with connection.cursor(row_factory=class_row(Given)) as cursor:
        return cursor.execute(files.statement("approve/answer.sql"), {"run": run, "action": action}).fetchone()


def ask(
    connection: psycopg.Connection,
    migration: Migration,
    run: str,
    action: str,
    *,
    fingerprint: str,
    hours: float,
    dag_file: str | None = None,
) -> None:
    """Record, in the caller's transaction, that a person is asked about exactly this: what it is about is final now.

    ``dag_file`` is where whoever tells people of it later finds notifiers that were passed to the question.
    Raises CutoverError such as ``approve.not-reviewed`` for want of something, ``approve.changed`` if the run has
    another fingerprint by now.
    """
    phase.require(connection, migration, run, phase.QUESTION, action)
    # waits for whoever is writing evidence of this run at this moment, and is looked at again after them
    asked = connection.execute(files.statement("approve/ask.sql"), {"run": run, "fingerprint": fingerprint}).fetchone()
    if asked is None:
        raise CutoverError(
            "approve.changed",
            f"run {run}",
            "its review was made anew while the question was being asked.",
            "clear the task approve.",
        )
    until = datetime.now(timezone.utc) + timedelta(hours=hours)
    phase.record(
        connection,
        migration,
        run,
        phase.QUESTION,
        action=action,
        fingerprint=fingerprint,
        until=until.isoformat(),
        asks=action,
        hours=hours,
        dag_file=dag_file,
    )
    chain.cover(connection, "question", run, ("run", run))


def withdraw(connection: psycopg.Connection, migration: Migration, run: str, action: str, why: str) -> None:
    """Record that the question is not open any more, though nobody's answer counts."""
    phase.record(connection, migration, run, phase.QUESTION, [], action=action, holds=False, why=why)


def void_earlier(connection: psycopg.Connection, run: str, action: str, by: str) -> int:
    """Make void what was approved before the question is asked again. Returns how many approvals that was."""
    voided = connection.execute(
        files.statement("approve/void_earlier.sql"), {"run": run, "action": action, "by": by}
    ).fetchall()
    if voided:
        chain.cover(connection, "void", run, *(("approvals", number) for (number,) in voided))
    return len(voided)


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
            written = connection.execute(
                files.statement("approve/record.sql"),
                {**vars(answer), "expires_at": answer.decided_at + answer.valid_for},
            ).fetchone()
            assert written is not None
            chain.cover(connection, "approval", answer.run, ("approvals", written[0]))
    except psycopg.errors.UniqueViolation:
        raise CutoverError(
            "approve.answered-twice",
            f"run {answer.run}, try {answer.try_number}",
            "an answer to this question is on record already.",
            "start a new run.",
        ) from None
