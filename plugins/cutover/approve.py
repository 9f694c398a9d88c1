"""The gate's side of an approval: checks a person's answer and records it for the swap to find.

The swap's side, which uses the record up in its own transaction, is ``cutover.swap.approval``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import psycopg
from psycopg.rows import class_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration.quorum import Yes
from cutover.records import approval, chain, ledger, phase

if TYPE_CHECKING:
    from cutover.migration import Migration
    from cutover.migration.quorum import Count, Quorum
    from cutover.records.approval import Recorded


@dataclass(frozen=True)
class Answer:
    """What a person answered, and to what.

    ``revert_minutes``: for so long after the swap it may be taken back without another answer; None for not at all. An
    answer that was given beforehand so, with another one, names that one's number: ``pre_approval_id``.

    Where several have to answer: ``answers_for`` is whose answer it is, if not the person's own, ``answer_no`` its
    number among those of the run, ``comes_to`` in words what all of them come to with it, and ``completes`` whether
    nothing is missing any more.
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
    answers_for: str | None = None
    answer_no: int | None = None
    comes_to: str | None = None
    completes: bool | None = None


class NotCountedError(CutoverError):
    """An answer that does not count, where several are needed: whoever is missing is asked on."""


@dataclass(frozen=True)
class Given:
    """An answer on record, or what several come to. ``is_over``: the time for which it was good has passed."""

    decision: str
    fingerprint: str
    person: str
    comment: str | None
    decided_at: datetime
    expires_at: datetime
    is_over: bool

    @property
    def stands(self) -> bool:
        """Whether nobody is asked again: an approval stands for its time, every other answer for good."""
        return self.decision != "approve" or not self.is_over


def given(connection: psycopg.Connection, run: str, action: str, needed: Quorum | None = None) -> Given | None:
    """The answer to a run's question, if one is on record that was not made void.

    Where several are ``needed``: the one that ends it, or all together once nothing is missing; None before that.
    """
    if needed is not None:
        return _given_by_several(connection, run, action, needed)
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


def count(connection: psycopg.Connection, needed: Quorum, run: str, action: str = phase.SWAP) -> Count:
    """What the answers to a run's question come to at this moment."""
    return approval.count(needed, approval.recorded(connection, run, action))


def left(connection: psycopg.Connection, run: str) -> timedelta:
    """How long the question of a run still waits, by the target's clock; no time if it is over."""
    row = connection.execute(files.statement("approve/left.sql"), {"run": run}).fetchone()
    return timedelta() if row is None else max(row[0], timedelta())


def void_earlier(connection: psycopg.Connection, run: str, action: str, by: str, *, only_over: bool = False) -> int:
    """Make void what was answered before the question is asked again; ``only_over``: only approvals that are over.

    Returns how many answers that was.
    """
    voided = connection.execute(
        files.statement("approve/void_earlier.sql"), {"run": run, "action": action, "by": by, "only_over": only_over}
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


def counted(connection: psycopg.Connection, answer: Answer, needed: Quorum, approvers: Collection[str]) -> Answer:
    """The answer with what it makes of those before it; of a rejection no more than its number.

    To be recorded in the same transaction: until that ends, no other answer of the run is.

    An answer for somebody else counts as theirs; who has no role, and may answer for one person only, does so unasked.

    Raises:
        NotCountedError: ``approve.same-person``, whoever has triggered the run has answered, or is answered for;
            ``approve.not-an-approver``; ``approve.not-delegated``, they may not answer for that person, or not any
            more; ``approve.counted-already``; ``approve.no-comment``, changes are asked for and not named.
    """
    connection.execute(files.statement("approve/turn.sql"), {"run": answer.run})
    answers = approval.recorded(connection, answer.run, answer.action)
    answer = replace(answer, answer_no=1 + len(answers))
    if answer.decision == "changes" and not (answer.comment or "").strip():
        raise NotCountedError(
            "approve.no-comment",
            f"run {answer.run}",
            f"{answer.person} asks for changes, and does not say which.",
            "answer again, and write into the comment what is to be changed.",
        )
    if answer.decision != "approve":
        return answer
    answer = replace(answer, answers_for=_stands_for(answer, needed))
    _require_may_count(answer, needed, approvers)
    good = [one for one in answers if one.counts()]
    _require_counts_once(answer, good)
    yeses = [one.as_yes for one in good]
    comes_to = needed.count([*yeses, Yes(0, answer.person, answer.answers_for, answer.decided_at)])
    return replace(answer, comes_to=comes_to.words, completes=comes_to.is_complete)


def record(connection: psycopg.Connection, answer: Answer) -> None:
    """Write the answer down, once per try, and where several are needed once per number.

    A second one raises CutoverError ``approve.answered-twice``.
    """
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


def _given_by_several(connection: psycopg.Connection, run: str, action: str, needed: Quorum) -> Given | None:
    answers = approval.recorded(connection, run, action)
    veto = next((one for one in answers if one.is_veto), None)
    if veto is not None:
        return _as_given(veto, veto.words)
    used = [one for one in answers if one.decision == "approve" and one.consumed_by == f"{action} of {run}"]
    if used and ledger.find(connection, run) is not None:
        return _as_given(used[-1], ", ".join(one.words for one in used))
    come_to = approval.count(needed, answers)
    if not come_to.is_complete:
        return None
    # all together are good for as long as the first of them that ends
    first = min((one for one in answers if one.counts()), key=lambda one: one.expires_at)
    return _as_given(first, come_to.approved_by)


def _as_given(one: Recorded, person: str) -> Given:
    return Given(one.decision, one.fingerprint, person, one.comment, one.decided_at, one.expires_at, one.is_over)


def _stands_for(answer: Answer, needed: Quorum) -> str | None:
    """For whom an answer is given; None for the person's own."""
    if answer.answers_for in (None, answer.person):
        possible = needed.stands_for(answer.person, answer.decided_at)
        return possible[0] if len(possible) == 1 and answer.person not in needed.people() else None
    return answer.answers_for


def _require_may_count(answer: Answer, needed: Quorum, approvers: Collection[str]) -> None:
    person, of, at = answer.person, answer.answers_for, answer.decided_at
    if answer.triggered_by is not None and answer.triggered_by in (person, of):
        raise NotCountedError(
            "approve.same-person",
            f"run {answer.run}",
            f"{answer.triggered_by} triggered it, and so does not count: neither their own answer nor one for them.",
            "have somebody else answer.",
        )
    if person not in approvers or not needed.may_answer(person, at):
        raise NotCountedError(
            "approve.not-an-approver",
            person,
            f"this launch needs {needed.words} They have none of its roles, or are no approver of this deployment.",
            "have one of them answer.",
        )
    if of is not None and not needed.roles_of(person, of, at):
        ended = [one.until for one in needed.delegations if (one.of, one.to) == (of, person)]
        why = f"that ended at {max(ended):%Y-%m-%d %H:%M %Z}" if ended else "nobody has said so in migration.yaml"
        raise NotCountedError(
            "approve.not-delegated",
            person,
            f"they have answered for {of}, and may not: {why}.",
            f"have {of} answer, or somebody else of the role.",
        )
    if needed.roles and of is None and person not in needed.people():
        raise NotCountedError(
            "approve.not-delegated",
            person,
            f"they have no role of their own, and did not say for whom of "
            f"{', '.join(needed.stands_for(person, at))} they answer.",
            "answer again, and name that person in the form.",
        )


def _require_counts_once(answer: Answer, good: Sequence[Recorded]) -> None:
    names = {answer.person, answer.answers_for or answer.person}
    for one in good:
        if names & {one.person, one.answers_for or one.person}:
            raise NotCountedError(
                "approve.counted-already",
                f"run {answer.run}",
                f"{one.words} has approved it at {one.decided_at:%Y-%m-%d %H:%M:%S %Z}: nobody counts twice, for "
                "themselves, for somebody else, or answered for.",
                "nothing needs to be done: that answer counts. Whoever is missing answers next.",
            )
