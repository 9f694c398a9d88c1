"""Recorded answers, looked up and used up by the swap itself: no task state or XCom can stand in for them.

Where one approval is enough, only the newest answer counts. Where several are needed (``cutover.migration.quorum``),
all that are on record and good count together, and a single other one is a veto.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row, dict_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.migration.quorum import Count, Quorum, Yes, in_person
from cutover.records import chain

# What the use of an answer, or its end, writes into its row after it was signed.
_USE = ("consumed_at", "consumed_by")


@dataclass(frozen=True)
class Recorded:
    """An answer on record. ``is_over``: its time has passed.

    ``triggered_by``: whoever has triggered its run, by the run's row and by the answer's own.
    """

    approval_id: int
    decision: str
    fingerprint: str
    person: str
    answers_for: str | None
    comment: str | None
    revert_minutes: int | None
    triggered_by: list[str]
    decided_at: datetime
    expires_at: datetime
    is_over: bool
    consumed_at: datetime | None
    consumed_by: str | None

    @property
    def words(self) -> str:
        """Who has answered, and for whom."""
        return in_person(self.person, self.answers_for)

    @property
    def is_veto(self) -> bool:
        """Whether it ends the run for good, whatever others say and whatever is written into its row."""
        return self.decision != "approve"

    @property
    def what(self) -> str:
        """What it says, in words."""
        return {"approve": "approved it", "reject": "rejected it"}.get(self.decision, "asked for changes to it")

    @property
    def as_yes(self) -> Yes:
        """As what counts together sees it."""
        return Yes(self.approval_id, self.person, self.answers_for, self.decided_at)

    def counts(self, fingerprint: str | None = None) -> bool:
        """Whether it is an approval that is good and not used up, of this fingerprint if one is named."""
        return (
            self.decision == "approve"
            and self.consumed_at is None
            and not self.is_over
            and fingerprint in (None, self.fingerprint)
            # nor does anybody count for whoever has triggered the run
            and not {self.person, self.answers_for} & set(self.triggered_by)
        )


def recorded(connection: psycopg.Connection, run: str, action: str) -> list[Recorded]:
    """Every answer to the question of a run, in the order given."""
    with connection.cursor(row_factory=class_row(Recorded)) as cursor:
        return cursor.execute(files.statement("approve/answers.sql"), {"run": run, "action": action}).fetchall()


def count(needed: Quorum, answers: Sequence[Recorded], fingerprint: str | None = None) -> Count:
    """What the answers to a question come to at this moment."""
    return needed.count(one.as_yes for one in answers if one.counts(fingerprint))


@dataclass(frozen=True)
class Approval:
    """An approval that has been used up by this transaction, and its row for the chain.

    Of several ``approved_by`` names everybody, and ``approval_id`` is the newest, or the newest of those that have
    given a revert window; ``others`` are the rows of the others.
    """

    approval_id: int
    approved_by: str
    row: chain.Row
    others: tuple[chain.Row, ...] = ()


def consume(
    connection: psycopg.Connection,
    run: str,
    action: str,
    fingerprint: str,
    changed: str = "",
    *,
    needed: Quorum | None = None,
) -> Approval:
    """Use up the approval of ``run`` for ``action`` and exactly this fingerprint, in the caller's transaction.

    ``changed`` names what is not as it was reviewed; ``needed`` is who has to approve, where one is not enough. Raises
    CutoverError ``swap.not-approved``, saying which of its conditions fails.
    """
    if needed is not None:
        return _consume_several(connection, needed, run, action, fingerprint=fingerprint, changed=changed)
    row = connection.execute(
        files.statement("swap/consume_approval.sql"),
        {"run": run, "action": action, "fingerprint": fingerprint, "consumer": f"{action} of {run}"},
    ).fetchone()
    if row is None:
        reason = _reason(connection, run, action, fingerprint, changed)
    else:
        approval_id, approved_by = row
        # whoever may write to the table can write an approval, but not sign it
        unsigned = chain.why_not_signed(connection, "approval", "approvals", approval_id, but=_USE)
        if unsigned is None:
            return Approval(approval_id, approved_by, chain.row_of(connection, "approvals", approval_id))
        reason = f"of the approval on record (no. {approval_id}), {unsigned}"
    raise CutoverError(
        "swap.not-approved",
        f"{action} of run {run}",
        reason,
        "start a new run, read its review, and have a person approve it.",
    )


def _reason(connection: psycopg.Connection, run: str, action: str, fingerprint: str, changed: str) -> str:
    with connection.cursor(row_factory=dict_row) as cursor:
        newest = cursor.execute(files.statement("approve/newest.sql"), {"run": run, "action": action}).fetchone()
    if newest is None:
        return "nobody has approved it."
    if newest["decision"] != "approve":
        return f"{newest['approved_by']} rejected it at {newest['decided_at']:%Y-%m-%d %H:%M %Z}."
    if newest["consumed_at"] is not None:
        return f"its approval was used at {newest['consumed_at']:%Y-%m-%d %H:%M %Z} ({newest['consumed_by']})."
    if newest["fingerprint"] != fingerprint:
        return (
            f"{newest['approved_by']} approved {newest['fingerprint'][:12]}…, but what is staged now is "
            f"{fingerprint[:12]}…: it was changed after the approval" + (f" ({changed})." if changed else ".")
        )
    return f"its approval expired at {newest['expires_at']:%Y-%m-%d %H:%M %Z}."


def _consume_several(
    connection: psycopg.Connection, needed: Quorum, run: str, action: str, *, fingerprint: str, changed: str
) -> Approval:
    answers = recorded(connection, run, action)
    counted = count(needed, answers, fingerprint)
    yeses = [yes for _, yes in counted.by_role if yes] + list(counted.beside)
    numbers = sorted(yes.approval_id for yes in yeses)
    reason = (
        _gone(connection, run, answers)
        or _veto(answers)
        or _unsigned(connection, answers)
        or (None if counted.is_complete else _short(counted, answers, fingerprint, changed))
    )
    if reason is None:
        parameters = {"numbers": numbers, "consumer": f"{action} of {run}"}
        used = connection.execute(files.statement("swap/consume_approvals.sql"), parameters).fetchall()
        if len(used) == len(numbers):
            giving = [one.approval_id for one in answers if one.approval_id in numbers and one.revert_minutes]
            named = max(giving or numbers)
            others = (chain.row_of(connection, "approvals", number) for number in numbers if number != named)
            return Approval(named, counted.approved_by, chain.row_of(connection, "approvals", named), tuple(others))
        reason = "one of its approvals was used, or made void, at this moment."
    raise CutoverError(
        "swap.not-approved",
        f"{action} of run {run}",
        reason,
        "clear the task approve, which asks whoever is missing; after a rejection start a new run.",
    )


def _gone(connection: psycopg.Connection, run: str, answers: Sequence[Recorded]) -> str | None:
    """Whoever takes a veto away leaves the link behind that was signed with it, or a gap where that was."""
    links = chain.since(connection, run)
    there = {f"approvals {one.approval_id}" for one in answers}
    for link in links:
        if link.kind == "approval" and link.run == run and (gone := sorted(link.covers.keys() - there)):
            return f"an answer that the gate has signed ({gone[0]}) is not there any more."
    return chain.why_not_whole(links, run)


def _veto(answers: Sequence[Recorded]) -> str | None:
    for one in answers:
        if one.is_veto:
            return f"{one.words} {one.what} at {one.decided_at:%Y-%m-%d %H:%M %Z}, and one such answer is enough."
    return None


def _unsigned(connection: psycopg.Connection, answers: Sequence[Recorded]) -> str | None:
    """Whoever may write to the table can write an approval, but not sign it."""
    for one in answers:
        if one.consumed_at is None:
            unsigned = chain.why_not_signed(connection, "approval", "approvals", one.approval_id, but=_USE, whole=True)
            if unsigned is not None:
                return f"of an approval on record (no. {one.approval_id}), {unsigned}"
    return None


def _short(counted: Count, answers: Sequence[Recorded], fingerprint: str, changed: str) -> str:
    """What is missing, and why answers that are there do not count."""
    said = [f"{counted.words}."]
    for one in answers:
        if one.decision != "approve":
            continue
        if one.consumed_at is not None:
            said.append(f"The approval of {one.words} was used at {one.consumed_at:%H:%M %Z} ({one.consumed_by}).")
        elif one.is_over:
            said.append(f"The approval of {one.words} expired at {one.expires_at:%Y-%m-%d %H:%M %Z}.")
        elif one.fingerprint != fingerprint:
            what = f" ({changed})" if changed else ""
            said.append(
                f"{one.words} approved {one.fingerprint[:12]}…, but what is staged now is {fingerprint[:12]}…: it was "
                f"changed after the approval{what}."
            )
    return " ".join(said)
