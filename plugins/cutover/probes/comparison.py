"""A query before and after: what each side answers, how fast, by which plan, and what that means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from cutover.masking import masked_all
from cutover.probes import plan_words
from cutover.probes.asking import Answer, Asking, Exact, Reads, Refused, Side
from cutover.probes.file import NO_FEWER, NO_MORE, SAME, SOME, Assertion

# A query takes longer than this many times what it took: a warning.
SLOWER = 2.0
# Milliseconds that it must take longer as well: below, a factor tells more of the machine than of the query.
SLOWER_MS = 5.0
# Times that each side is measured, in turns; the middle one counts. Of a slow query once says enough.
RUNS = 3
_SLOW_MS = 1_000.0

# What has come of a query.
EQUAL, OTHER, FAILS, NEW, NOT_COMPARED = "same answer", "answers differently", "fails", "new", "not compared"

Row = dict[str, Any]


@dataclass
class Comparison:
    """What has come of one query; times in milliseconds, the middle of ``runs``.

    ``only_before`` and ``only_after`` are rows that one side alone has answered; None where that was not counted.
    ``values_before`` and ``values_after`` are a row's, of a query that answers one. ``broken`` are the assertions that
    do not hold, with the line of the file and why.
    """

    name: str
    title: str
    verdict: str = NOT_COMPARED
    why: str | None = None
    # else it is a statement of pg_stat_statements, with what is known of it there
    is_probe: bool = True
    calls: int | None = None
    mean_ms: float | None = None
    rows_before: int | None = None
    rows_after: int | None = None
    only_before: int | None = None
    only_after: int | None = None
    values_before: Row | None = None
    values_after: Row | None = None
    ms_before: float | None = None
    ms_after: float | None = None
    runs: int = 0
    slower: bool = False
    plan: list[str] = field(default_factory=list)
    asserted: list[str] = field(default_factory=list)
    broken: list[dict[str, Any]] = field(default_factory=list)

    @property
    def factor(self) -> float | None:
        """How many times as long it takes."""
        if not self.ms_before or self.ms_after is None:
            return None
        return self.ms_after / self.ms_before

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        factor = self.factor
        return {**vars(self), "factor": None if factor is None else round(factor, 2)}


def compare(
    asking: Asking,
    into: Comparison,
    query: str,
    *,
    path: Sequence[str],
    hide: Callable[[Row], Row],
    may_be_volatile: bool,
) -> None:
    """Ask ``query`` of both sides, and note in ``into`` what has come of it. ``hide`` masks a row.

    ``path`` is where the application looks for names. ``may_be_volatile``: somebody has written the query for this, and
    not an application for itself.
    """
    before, after = asking.sides(query, path)
    reads, reads_there = asking.reads(before), asking.reads(after)
    into.verdict, into.why = _before_asking(asking, reads, reads_there, may_be_volatile=may_be_volatile)
    if into.why is None:
        for side in (before, after):
            asking.ask(side)
        for run in range(RUNS):
            for side in (before, after):
                asking.measure(side)
            if run == 0 and max([0.0, *before.times, *after.times]) > _SLOW_MS:
                break
        _note(into, before, after, hide)


def judge(into: Comparison, assertions: Sequence[Assertion]) -> None:
    """Note in ``into`` what is asserted of it, and what of that does not hold."""
    into.asserted = [one.text for one in assertions]
    into.broken = [
        {"line": one.line, "assertion": one.text, "why": why}
        for one in assertions
        if (why := _why_broken(one, into)) is not None
    ]


def _before_asking(
    asking: Asking, before: Reads | Refused, after: Reads | Refused, *, may_be_volatile: bool
) -> tuple[str, str | None]:
    """What can be said of a query before it is run, with the reason; no reason: it can be run."""
    known = before if isinstance(before, Reads) else after
    if isinstance(known, Refused):
        return NOT_COMPARED, f"PostgreSQL does not take it on either side: {known.why}"
    if (why := _why_not_run(asking, known, may_be_volatile=may_be_volatile)) is not None:
        return NOT_COMPARED, why
    if (leaving := asking.goes(known)) is not None:
        return FAILS, f"the launch takes {leaving} out of production"
    if isinstance(after, Refused):
        return FAILS, after.why
    # else of a table that comes with the launch
    if isinstance(before, Reads) and not asking.is_rehearsed(before, after):
        return NOT_COMPARED, "a name in it would mean another table than it does in production"
    return EQUAL, None


def _why_not_run(asking: Asking, reads: Reads, *, may_be_volatile: bool) -> str | None:
    """Why a query is not run on either side, by what it reads and calls; None if it is."""
    if (why := asking.foreign(reads)) is not None:
        return why
    if not may_be_volatile and (why := asking.volatile(reads)) is not None:
        return why
    return asking.aside(reads)


def _note(into: Comparison, before: Side, after: Side, hide: Callable[[Row], Row]) -> None:
    """What two sides that were asked have answered."""
    was, is_now = before.answer, after.answer
    into.rows_before, into.rows_after = (None if one is None else one.rows for one in (was, is_now))
    if before.times and after.times:
        into.ms_before, into.ms_after = (round(median(side.times), 2) for side in (before, after))
        into.runs = min(len(before.times), len(after.times))
        into.slower = into.ms_after > SLOWER * into.ms_before and into.ms_after - into.ms_before > SLOWER_MS
    if before.plan and after.plan:
        into.plan = plan_words.changes(before.plan, after.plan)
    if was is None and is_now is None:
        assert before.refused is not None and after.refused is not None
        into.verdict, into.why = NOT_COMPARED, f"on either side: {before.refused.why}"
    elif was is None:
        into.verdict, into.why = (
            NEW,
            f"it answers only after the launch; today: {before.refused and before.refused.why}",
        )
    elif is_now is None:
        assert after.refused is not None
        into.verdict, into.why = FAILS, after.refused.why
        into.slower = after.timed_out
    else:
        into.verdict = EQUAL if (was.rows, was.digest) == (is_now.rows, is_now.digest) else OTHER
        _note_rows(into, was, is_now, hide)


def _note_rows(into: Comparison, was: Answer, is_now: Answer, hide: Callable[[Row], Row]) -> None:
    counted = len(was.hashes) == was.rows and len(is_now.hashes) == is_now.rows
    if counted:
        old, new = Counter(was.hashes), Counter(is_now.hashes)
        into.only_before, into.only_after = (old - new).total(), (new - old).total()
    if into.verdict == OTHER and was.one is not None and is_now.one is not None:
        into.values_before, into.values_after = _shown(was.one, hide), _shown(is_now.one, hide)


def _shown(row: Row, hide: Callable[[Row], Row]) -> Row:
    """Of a row the numbers and what is true or not, unless their column is personal; texts may be anybody's."""
    return {
        name: value if value == row[name] and _is_number(value) else masked_all(row[name])
        for name, value in hide(row).items()
    }


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | Exact)


def _why_broken(assertion: Assertion, comparison: Comparison) -> str | None:
    """Why an assertion does not hold; None if it does."""
    if assertion.kind == SOME and comparison.rows_after is not None:
        return None if comparison.rows_after else "after the launch it answers no row"
    # what is not there today has no rows, and takes no time
    is_new = comparison.verdict == NEW
    if comparison.verdict in (FAILS, NOT_COMPARED) or (is_new and assertion.kind == SAME):
        return f"{comparison.verdict}: {comparison.why}"
    before, after = comparison.rows_before or 0, comparison.rows_after or 0
    if assertion.kind == SAME:
        return None if comparison.verdict == EQUAL else rows_in_words(comparison)
    if assertion.kind in (NO_FEWER, NO_MORE):
        holds = after >= before if assertion.kind == NO_FEWER else after <= before
        return None if holds else f"{before:,} rows before, {after:,} after"
    factor, most = comparison.factor, assertion.factor or SLOWER
    if factor is None or factor <= most or (comparison.ms_after or 0) - (comparison.ms_before or 0) <= SLOWER_MS:
        return None
    return f"{comparison.ms_before:,.1f} ms before, {comparison.ms_after:,.1f} ms after: {factor:.1f} times as long"


def rows_in_words(comparison: Comparison) -> str:
    """How two answers differ, in words."""
    words = f"{comparison.rows_before:,} → {comparison.rows_after:,} rows"
    if comparison.only_before is None:
        return words
    return f"{words}; {comparison.only_before:,} only before, {comparison.only_after:,} only after"
