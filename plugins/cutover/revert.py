"""The revert window: for some minutes after a swap, one person may take it back without asking a second one.

Whoever approves a swap may approve this beforehand, with the same answer: of exactly this swap, for so many minutes
after it. The run that takes it back is an ordinary rollback, with the same preview and the same transaction; its
approval is recorded by the gate from the one that was given beforehand, and ends with the window. What counts is the
moment in which the transaction uses that approval up, by the clock of the target database, and not that of asking.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.rows import class_row

from cutover import approve
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.records import chain, phase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cutover.migration import Migration

# The parameter of a rollback that names the ledger entry to take back by its window.
PARAMETER = "revert"
# Minutes: what the approval form offers, and the most that a person can vouch for beforehand, a day. The table of
# approvals holds no more, either.
USUAL_MINUTES = 30
MOST_MINUTES = 1440


@dataclass(frozen=True)
class Window:
    """The window of one swap. ``seconds_left`` is below 0 when it is over; ``newest`` is the newest entry's run."""

    entry: int
    run: str
    migration: str
    recorded_at: datetime
    approval_id: int
    approved_by: str
    minutes: int
    ends_at: datetime
    seconds_left: float
    taken_back_by: str | None
    newest: str

    @property
    def is_open(self) -> bool:
        """Whether the swap can be taken back by it now."""
        return self.seconds_left > 0 and self.newest == self.run

    @property
    def minutes_left(self) -> int:
        """Whole minutes that are left."""
        return max(0, int(self.seconds_left // 60))


def minutes_given(values: Mapping[str, Any]) -> int | None:
    """The minutes that an approval form gives; None if it gives no window. Raises CutoverError ``revert.bad-minutes``.

    A form without the two fields, as earlier versions had it, gives none.
    """
    if not values.get("revert"):
        return None
    minutes = values.get("revert_minutes", USUAL_MINUTES)
    if values["revert"] is not True or type(minutes) is not int or not 1 <= minutes <= MOST_MINUTES:
        raise CutoverError(
            "revert.bad-minutes",
            "the approval form",
            f"a revert window is off, or on and of 1 to {MOST_MINUTES} whole minutes.",
            "trigger a new run; this answer was not taken, and nothing was changed.",
        )
    return minutes


def of_entry(connection: psycopg.Connection, migration: str, entry: int | None = None) -> Window | None:
    """The window of an entry of a migration's ledger, by default of its newest; None where it has none.

    For showing: whether it was signed is looked at by ``require_open``.
    """
    with connection.cursor(row_factory=class_row(Window)) as cursor:
        return cursor.execute(files.statement("revert/window.sql"), {"migration": migration, "entry": entry}).fetchone()


def require_open(connection: psycopg.Connection, migration: Migration, entry: int) -> Window:
    """The window of an entry that can be taken back by it now.

    Raises CutoverError ``revert.no-window``, ``revert.not-signed``, ``revert.taken-back``, ``revert.overtaken`` or
    ``revert.over``. None of them keeps anybody from a rollback with its own approval.
    """
    window = of_entry(connection, migration.migration, entry)
    about = f"entry {entry} of {migration.migration}"
    usual = f"trigger {migration.migration}_rollback without `{PARAMETER}`: it asks a second person."
    if window is None:
        raise CutoverError("revert.no-window", about, "nobody has approved beforehand that it is taken back.", usual)
    for kind, table, key, but in (
        ("approval", "approvals", window.approval_id, ("consumed_at", "consumed_by")),
        ("swap", "ledger", window.entry, ()),
    ):
        unsigned = chain.why_not_signed(connection, kind, table, key, but=but, whole=True)
        if unsigned is not None:
            raise CutoverError("revert.not-signed", about, f"of its {kind}, {unsigned}", usual)
    if window.taken_back_by is not None:
        raise CutoverError(
            "revert.taken-back",
            about,
            f"run {window.taken_back_by} has taken it back already.",
            "nothing needs to be done; look at the newest entry of the ledger.",
        )
    if window.newest != window.run:
        raise CutoverError(
            "revert.overtaken",
            about,
            f"run {window.newest} came after it, and the window was for exactly what came before.",
            usual,
        )
    if window.seconds_left <= 0:
        raise CutoverError(
            "revert.over",
            about,
            f"its window of {window.minutes} minutes ended at {window.ends_at:%Y-%m-%d %H:%M:%S %Z}.",
            usual,
        )
    return window


def require_another_person(window: Window, person: str | None) -> None:
    """Raise CutoverError ``revert.same-person`` if who takes it back is who has approved that: two see each change."""
    if person == window.approved_by:
        raise CutoverError(
            "revert.same-person",
            f"entry {window.entry} of {window.migration}",
            f"{person} has approved beforehand that somebody takes it back, and so cannot be the one who does.",
            f"have another person do it, or trigger {window.migration}_rollback, which another approver answers.",
        )


def pass_gate(
    connection: psycopg.Connection,
    migration: Migration,
    this_run: str,
    window: Window,
    *,
    fingerprint: str,
    triggered_by: str | None,
    task_id: str,
    try_number: int,
) -> None:
    """Record, in the caller's transaction, the approval that was given beforehand as that of this run.

    ``fingerprint`` is of what this run has previewed. It is good until the window ends. Raises as ``approve.ask`` and
    ``require_another_person`` do.
    """
    require_another_person(window, triggered_by)
    left = timedelta(seconds=window.seconds_left)
    approve.ask(
        connection,
        migration,
        this_run,
        phase.ROLLBACK,
        fingerprint=fingerprint,
        hours=left / timedelta(hours=1),
    )
    approve.record(
        connection,
        approve.Answer(
            run=this_run,
            action=phase.ROLLBACK,
            decision="approve",
            fingerprint=fingerprint,
            task_id=task_id,
            try_number=try_number,
            person=window.approved_by,
            person_id=None,
            triggered_by=triggered_by,
            comment=None,
            decided_at=window.ends_at - left,
            valid_for=left,
            pre_approval_id=window.approval_id,
        ),
    )
