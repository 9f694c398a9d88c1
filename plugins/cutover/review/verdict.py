"""What an approver is told first: whether to approve, why, what it does, how it is undone and how long clients wait.

All of it is on record or was looked at a moment ago; what nobody has looked at is said to be unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cutover.errors import PROGRAM
from cutover.review import forecast, form

# What a verdict comes to: pages colour it, and programs look for it.
SAFE, WEIGH, STOP, OVER = "safe", "weigh", "stop", "over"
# States in which there is something left to decide.
_OPEN = ("reviewed", "under way", "waits for an answer")
_MAY_BE_UNDONE = ("done", "approved", "waits for its time")


@dataclass(frozen=True)
class Verdict:
    """In words. ``against`` and ``favour``: what speaks against an approval, and for it.

    ``undo`` is None where there is nothing to undo, and ``wait`` once it is over.
    """

    comes_to: str
    headline: str
    against: tuple[str, ...]
    favour: tuple[str, ...]
    what: str
    undo: str | None
    wait: str | None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def of_launch(
    review: dict[str, Any],
    state: str,
    *,
    answered_by: str | None = None,
    reasons: Sequence[str] = (),
    unknown: str | None = None,
    looked: bool = False,
) -> Verdict:
    """The verdict on a launch in a ``state``, by its review and by the last look at what would stop it.

    ``reasons``: what would stop the swap; ``unknown``: why that look has failed; ``looked``: whether there was one.
    """
    against = _warnings(review)
    if unknown is not None:
        against = ["What would stop the swap could not be looked at: whether anything does is not known", *against]
    if reasons:
        comes_to, headline = STOP, f"Do not approve now: {_count(len(reasons), 'thing')} would stop the swap."
    elif state not in _OPEN:
        comes_to, headline = OVER, _over(state, answered_by)
    elif against:
        comes_to, headline = WEIGH, f"Can be approved, once you have weighed {_count(len(against), 'point')}."
    else:
        comes_to, headline = SAFE, "Safe to approve: nothing stands against it."
    return Verdict(
        comes_to,
        headline,
        (*(reason.splitlines()[0] for reason in reasons), *against),
        _favour(review, looked=looked and unknown is None and not reasons),
        _what(review),
        _undo(review["migration"]) if comes_to != OVER or state.startswith(_MAY_BE_UNDONE) else None,
        None if comes_to == OVER else f"{forecast.expected(review).capitalize()}.",
    )


def _over(state: str, answered_by: str | None) -> str:
    """How a run stands that leaves nothing to decide."""
    by = f" by {answered_by}" if answered_by else ""
    task = state.removeprefix("done, then failed").removeprefix("failed")
    if state.startswith("done, then failed"):
        return f"Launched; after that it failed{task}."
    if state.startswith("failed"):
        return f"Failed{task}: there is nothing to approve, and production is as it was."
    return {
        "done": "Launched.",
        "taken back": "Launched, and taken back since.",
        "rejected": f"Rejected{by}: production is as it was.",
        "changes requested": f"Changes were asked for{by}: production is as it was.",
        "approved": f"Approved{by}: it waits for its swap.",
        "waits for its time": f"Approved{by}: it waits for the time of its swap.",
        "approval void": f"Approved{by}, and that approval is void: nothing will be launched by it.",
        "ended without a launch": "Ended without a launch: nobody is asked.",
    }.get(state, "Not launched: production is as it was.")


def _warnings(review: dict[str, Any]) -> list[str]:
    """What a review itself warns of."""
    points = [f"{warning['total']:,} × {warning['title']}" for warning in review["warnings"] if warning["total"]]
    validation = review.get("validation") or {}
    if not validation.get("success"):
        points.insert(0, "The validation did not succeed" if validation else "The run was not validated")
    warned = sum(len(suite["warned"]) for suite in validation.get("suites", ()))
    if warned:
        points.append(f"{_count(warned, 'expectation')} that may fail without a stop did fail")
    rejected = sum(line["rejected"] for line in review["reconciliation"])
    if rejected:
        points.append(f"{_count(rejected, 'row')} of the sources rejected")
    lost = sum(one["rows"] for one in review.get("leaving") or ())
    if lost:
        points.append(f"{_count(lost, 'row')} of other tables that lose what they refer to")
    return points


def _favour(review: dict[str, Any], *, looked: bool) -> tuple[str, ...]:
    points = []
    rehearsal = review.get("rehearsal")
    if rehearsal and rehearsal["reason"] is None:
        points.append("The whole swap was rehearsed on production and taken back")
    if (review.get("validation") or {}).get("success"):
        points.append(form.validated(review))
    if review["reconciliation"] and not any(line["difference"] for line in review["reconciliation"]):
        points.append("Every row of every source is accounted for")
    if looked:
        points.append("Nothing stands in the way of the swap now")
    return tuple(points)


def _what(review: dict[str, Any]) -> str:
    tables = review["tables"]
    added, removed, changed = (sum(table[kind] for table in tables) for kind in ("added", "removed", "changed"))
    return f"{_count(len(tables), 'table')}: {_count(added, 'row')} added, {removed:,} removed, {changed:,} changed."


def _undo(migration: str) -> str:
    return (
        f"{migration}_rollback brings the tables of before back, with every write made since; it needs an approval of "
        f"its own, unless a revert window was given with this one ({PROGRAM} revert {migration})."
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
