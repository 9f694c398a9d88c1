"""The recorded approval, looked up and used up by the swap itself: no task state or XCom can stand in for it."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import chain


@dataclass(frozen=True)
class Approval:
    """An approval that has been used up by this transaction, and its row for the chain."""

    approval_id: int
    approved_by: str
    row: chain.Row


def consume(connection: psycopg.Connection, run: str, action: str, fingerprint: str, changed: str = "") -> Approval:
    """Use up the approval of ``run`` for ``action`` and exactly this fingerprint, in the caller's transaction.

    ``changed`` names what is not as it was reviewed. Raises CutoverError ``swap.not-approved``, saying which of its
    conditions fails.
    """
    row = connection.execute(
        files.statement("swap/consume_approval.sql"),
        {"run": run, "action": action, "fingerprint": fingerprint, "consumer": f"{action} of {run}"},
    ).fetchone()
    if row is None:
        reason = _reason(connection, run, action, fingerprint, changed)
    else:
        approval_id, approved_by = row
        # whoever may write to the table can write an approval, but not sign it
        unsigned = chain.why_not_signed(
            connection, "approval", "approvals", approval_id, but=("consumed_at", "consumed_by")
        )
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
