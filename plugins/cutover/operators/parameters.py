"""Parameters that several DAGs offer in their trigger form, so that one thing is called and bounded alike in all."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from cutover.records import NEWEST_ENTRY, NEWEST_LAUNCH

WEEK_HOURS = 168
# The kinds of runs that Airflow lets anybody begin: no schedule, backfill, asset or other DAG begins what a person has
# to answer for, and the approver is never the one who has triggered it.
BY_HAND: Any = ["manual"]


def dry_run() -> Param:
    """``dry_run``: stop after the review."""
    return _switch("Dry run", "Stop after the review: nobody is asked, nothing is swapped.")


def rehearse() -> Param:
    """``rehearse``: whether the transaction is done once before anybody is asked, and taken back."""
    return _switch(
        "Rehearse before the question",
        "The whole transaction on the live tables, with its locks, taken back: clients wait some milliseconds.",
        default=True,
    )


def probe() -> Param:
    """``probe``: whether queries are run on today's tables and on the rehearsed ones before anybody is asked."""
    return _switch(
        "Run queries before and after",
        "The migration's probes and what the application asks most, read only: what would answer differently.",
        default=True,
    )


def full(*, has_databases: bool) -> Param:
    """``full``: read more of the sources than what may have changed; of databases, or of APIs alone."""
    if has_databases:
        return _switch(
            "Compare every row by content",
            "Also where a table has a time of modification: finds what was changed without touching it.",
        )
    return _switch(
        "Read the sources in full",
        "Read every row of the APIs again, instead of what may have changed since the last sync.",
    )


def accept_gone() -> Param:
    """``accept_gone``: believe a source that misses many of the rows known."""
    return _switch(
        "Believe it when many rows are gone",
        "A complete reading that misses more than a tenth of the rows known is refused otherwise.",
    )


def dump_sources() -> Param:
    """``dump_sources``: whether the sources are dumped before anything could change."""
    return _switch(
        "Dump the sources",
        "Before anything could change, and proved: not in a dry run.",
        default=True,
    )


def window() -> dict[str, Param]:
    """The parameters of a maintenance window: whether there is one, when it opens, and for how long."""
    return {
        "maintenance_window": _switch(
            "Maintenance window",
            "Fence the sources read-only before the last copy; released again if anything fails.",
        ),
        "window_opens": window_opens(
            "When the window opens", "The sources are copied before it. Empty: as soon as they are."
        ),
        "window_minutes": window_minutes(
            "Length of the window, in minutes",
            "The wait for the approval has to fit into it; else the run stops before anything is copied.",
        ),
        "drain_minutes": Param(
            5,
            type="number",
            minimum=0,
            maximum=120,
            title="Minutes to wait for writers of a source to finish",
            description="Nobody is ended: if somebody goes on writing, the run stops and the sources stay open.",
        ),
    }


def window_opens(title: str, description: str) -> Param:
    """``window_opens``: the moment at which a maintenance window opens; null for none that is named."""
    return Param(None, type=["null", "string"], format="date-time", title=title, description=description)


def window_minutes(title: str, description: str) -> Param:
    """``window_minutes``: the length of a maintenance window, in minutes."""
    return Param(60, type="integer", minimum=1, maximum=1440, title=title, description=description)


def sign_ins() -> dict[str, Param]:
    """The parameters of a rehearsal of sign-ins."""
    return {"rehearse_sign_ins": rehearse_sign_ins(), "sign_in_failures_percent": sign_in_failures_percent()}


def rehearse_sign_ins() -> Param:
    """``rehearse_sign_ins``: whether the service that lets people in is asked after the swap."""
    return _switch(
        "Rehearse sign-ins after the swap",
        "The service is asked for every account; the run waits until it is set up. Skipped without a connection.",
        default=True,
    )


def sign_in_failures_percent() -> Param:
    """``sign_in_failures_percent``: of a way in, how many in a hundred may fail before a person is asked."""
    return Param(
        2,
        type="number",
        minimum=0,
        maximum=100,
        title="Failed sign-ins to accept, in percent of a way in",
        description="More than this in the rehearsal, and an approver is asked before the run goes on.",
    )


def _switch(title: str, description: str, *, default: bool = False) -> Param:
    return Param(default, type="boolean", title=title, description=description)


def approval_hours(hours: float, otherwise: str) -> Param:
    """``approval_hours``: how long the question waits, and how long the answer is good for.

    ``otherwise`` says what becomes of the run when nobody answers.
    """
    return Param(
        hours,
        type="number",
        exclusiveMinimum=0,
        maximum=WEEK_HOURS,
        title="Hours to wait for the approval",
        description=f"{otherwise} An approval is valid as long.",
    )


def take_back() -> Param:
    """``take_back``: which entry of the ledger a rollback is of."""
    return Param(
        NEWEST_ENTRY,
        type="string",
        enum=[NEWEST_ENTRY, NEWEST_LAUNCH],
        title="What to take back",
        description=f"{NEWEST_ENTRY}: of a rollback, its effect; what it took back comes again. {NEWEST_LAUNCH}: "
        "the launch before, past rollbacks; so, one after the other, each launch down to the first.",
    )


def revert() -> Param:
    """``revert``: the ledger entry to take back by its revert window, without a question."""
    return Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Ledger entry to take back by its revert window",
        description="Without a question, while the minutes last that were approved with it; else the run fails. Empty: "
        "a second person is asked.",
    )


def on_drift(written: str) -> Param:
    """``on_drift``: what happens to writes made meanwhile; ``written`` says to what they are made."""
    return Param(
        "carry",
        type="string",
        enum=["carry", "refuse"],
        title=f"Writes to {written} while the run was under way",
        description="carry: apply them to the new tables, inside the swap. refuse: do not swap if there are any.",
    )


def carry_limit() -> Param:
    """``carry_limit``: the most writes to carry."""
    return Param(
        100_000,
        type="integer",
        minimum=0,
        title="Most writes to carry",
        description="More than this and the swap refuses: a new run is quicker than carrying them.",
    )


def timing() -> dict[str, Param]:
    """The parameters that say when the approved swap happens: ``swap_at``, ``freeze_override``, ``drift_limit``."""
    return {
        "swap_at": _text(
            100,
            "When to swap",
            "2026-12-05T04:00+08:00, or a weekly window: Sat 04:00-05:00 Asia/Manila; the approval is good until then. "
            "Empty: as soon as approved.",
        ),
        "freeze_override": _text(
            500,
            "Why to swap in a freeze all the same",
            "The approver reads it, and the ledger keeps it. Empty: nothing is swapped in a freeze.",
        ),
        "drift_limit": Param(
            None,
            type=["null", "integer"],
            minimum=0,
            title="Most writes since the approval",
            description="More than this by the time of the swap, and the approval lapses. Empty: only the writes since "
            "the freeze are bounded, above.",
        ),
    }


def _text(longest: int, title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], maxLength=longest, title=title, description=description)


def rejects_share(share: float) -> Param:
    """``rejects_share``: of the rows read of one source, the part that may be rejected."""
    return Param(
        share,
        type="number",
        minimum=0,
        maximum=1,
        title="Rejected rows of a source to accept, as a part of those read",
        description="Above this and above the number below, the run stops at the validation. 0.02 is two in a hundred.",
    )


def rejects_rows(rows: int) -> Param:
    """``rejects_rows``: so many rejected rows of one source are accepted, whatever the part."""
    return Param(
        rows,
        type="integer",
        minimum=0,
        title="Rejected rows of a source to accept in any case",
        description="Rejected rows are named with their reasons on the review, and stop nobody else's.",
    )


def lag_megabytes(megabytes: int | None) -> Param:
    """``lag_megabytes``: so far a replica may be behind before a launch waits for it."""
    return Param(
        megabytes,
        type=["null", "integer"],
        minimum=1,
        title="How far a replica may be behind, in MB",
        description="Above this a launch waits before it writes on, and fails if that lasts. Empty: not looked at.",
    )


def fewest(number: int, what: str) -> Param:
    """``minimum_<what>``: the fewest staged rows that make sense."""
    return Param(
        number,
        type="integer",
        minimum=0,
        title=f"Fewest {what} to accept",
        description="Fewer than this, and the run stops at the validation, before anybody is asked.",
    )


def rate(most: float, title: str, description: str) -> Param:
    """``…_per_second``: how many messages of a channel go out in a second."""
    return Param(most, type="number", exclusiveMinimum=0, maximum=1000, title=title, description=description)
