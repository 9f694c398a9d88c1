"""Between the approval and the swap: waits for the time that was approved, and counts what is written meanwhile.

Nothing here lets a swap through: that looks at the clock itself (``cutover.swap.transaction``). What this adds is that
it is begun in time, that who looks on sees for what it waits, and that an approval which the swap would refuse for what
was written since ends when that is known, and not at four in the morning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg

from cutover import approve, review
from cutover.database import clock
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.records import ledger, phase, run
from cutover.review import subject
from cutover.swap import timing
from cutover.swap.order import require_drift_allowed, written_since_approval

if TYPE_CHECKING:
    from cutover.migration import Migration

# Writes are counted no more often than this while it waits: the count reads all that was captured since the freeze.
EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class Look:
    """What one look has found. ``span``: when the swap may happen; None if nothing is waited for.

    ``left``: until it opens by the target's clock, no time if it is open. ``writes``: table → writes since the
    approval.
    """

    span: timing.Span | None
    left: timedelta
    writes: dict[str, int]


def look(connect: Connect, migration: Migration, this_run: str, freezes: Sequence[timing.Freeze], log: Log) -> Look:
    """Look at the clock and at what was written, and record it for the pages. Safe to repeat.

    Raises:
        CutoverError: ``swap.missed``, its time is over, or that of its approval; ``swap.frozen``, no time that it may
            take is outside a freeze; ``swap.lapsed``, more was written than the run allows, and the approval is void;
            ``swap.not-approved`` for want of one; ``run.unknown``.
    """
    with opened(connect) as connection:
        if not run.has_begun(connection, this_run):
            raise run.unknown(this_run)
        if ledger.find(connection, this_run) is not None:
            log("the swap has happened: nothing to wait for")
            return Look(None, timedelta(), {})
    lapsed = None
    with opened(connect) as connection:
        made_from = phase.require(connection, migration, this_run, phase.WAIT)
        row = run.get(connection, this_run)
        order = review.order(migration, row, freezes=freezes)
        given = _approval(connection, migration, this_run)
        now = clock.now(connection)
        if order.schedule.is_at_once:
            order.schedule.require_open(now)
            return Look(None, timedelta(), {})
        order.schedule.require_ahead(now)
        span = order.schedule.next(now)
        assert span is not None
        if given.is_over or span.opens_at >= given.expires_at:
            raise _over(this_run, given, span)
        scope = subject.scope_of(connection, migration, this_run)
        writes = written_since_approval(connection, order, scope)
        try:
            require_drift_allowed(connection, order, scope)
        except CutoverError as drift:
            lapsed = _lapsed(this_run, given, drift)
            approve.void_earlier(connection, this_run, phase.SWAP, f"lapsed: {drift.why}")
            approve.withdraw(connection, migration, this_run, phase.SWAP, "the approval has lapsed")
        else:
            outcome = Look(span, max(span.opens_at - now, timedelta()), writes)
            phase.record(connection, migration, this_run, phase.WAIT, made_from, **_as_dict(outcome, now))
    if lapsed is not None:
        raise lapsed
    total = sum(writes.values())
    said = ", ".join(f"{count:,} to {table}" for table, count in writes.items())
    log(f"{total:,} writes since the approval{f' ({said})' if said else ''}")
    state = f"opens in {timing.lasting(outcome.left)}" if outcome.left else "is open"
    log(f"it swaps {order.schedule.when.words}: {span.label} {state}")
    return outcome


def call_off(connection: psycopg.Connection, migration: Migration, this_run: str) -> bool:
    """Make void the approval of a run that has ended while it waited for its time. Returns whether there was one.

    Else it would keep the schemas from every other run until then, though nothing would swap it.
    """
    row = run.get(connection, this_run)
    if timing.given(row.parameters.get("swap_at")).is_at_once:
        return False
    if not approve.void_earlier(connection, this_run, phase.SWAP, "called off: its run has ended"):
        return False
    approve.withdraw(connection, migration, this_run, phase.SWAP, "its run has ended")
    return True


def of_run(connection: psycopg.Connection, this_run: str) -> dict[str, Any] | None:
    """The newest look on record, with ``left_s``, the seconds until it opens; None if it waits for nothing any more."""
    row = connection.execute(files.statement("wait/of_run.sql"), {"run": this_run}).fetchone()
    return None if row is None else dict(row[0])


def _approval(connection: psycopg.Connection, migration: Migration, this_run: str) -> approve.Given:
    given = approve.given(connection, this_run, phase.SWAP, migration.quorum)
    if given is None or given.decision != "approve":
        why = "nobody has approved it."
        if given is not None:
            why = f"{given.person} {'rejected it' if given.decision == 'reject' else 'asked for changes to it'}."
        elif migration.quorum is not None:
            why = f"{approve.count(connection, migration.quorum, this_run).words}."
        raise CutoverError(
            "swap.not-approved",
            f"swap of run {this_run}",
            why,
            "start a new run, read its review, and have a person approve it.",
        )
    return given


def _over(this_run: str, given: approve.Given, span: timing.Span) -> CutoverError:
    return CutoverError(
        "swap.missed",
        f"swap of run {this_run}",
        f"the approval of {given.person} was good until {given.expires_at:%Y-%m-%d %H:%M %Z}, and the next time is "
        f"{span.label}. Nothing was changed.",
        "trigger a new run: its review shows what is there by now.",
    )


def _lapsed(this_run: str, given: approve.Given, drift: CutoverError) -> CutoverError:
    return CutoverError(
        "swap.lapsed",
        f"swap of run {this_run}",
        f"the approval of {given.person} has lapsed while it waited for its time: {drift.why} Nothing was changed.",
        "trigger a new run, whose review shows production as it is by now.",
    )


def _as_dict(outcome: Look, now: datetime) -> dict[str, Any]:
    assert outcome.span is not None
    return {
        "opens_at": outcome.span.opens_at.isoformat(),
        "ends_at": outcome.span.ends_at.isoformat(),
        "label": outcome.span.label,
        "writes": outcome.writes,
        "looked_at": now.isoformat(),
    }
