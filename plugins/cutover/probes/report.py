"""All queries of a launch before and after, in one look."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from cutover.database import patience
from cutover.database.connect import Connect, Log
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.probes import names, workload
from cutover.probes.asking import Asking
from cutover.probes.comparison import EQUAL, Comparison, compare, judge, rows_in_words
from cutover.probes.file import Probe
from cutover.probes.rehearsed import GivenUpError, Guard, rehearsed
from cutover.swap.order import Order

# Seconds for all queries of a launch together: what is left by then is not compared. As long as the transaction
# lasts, nothing that came after it began is vacuumed, and many carried writes are looked up by everybody
# (docs/not-promised.md).
ALL_S = 30.0
# Characters of a statement of the application's that are shown.
_SHOWN = 300

Row = dict[str, Any]


@dataclass
class Report:
    """What has come of all queries.

    ``reason`` says why none was compared, where something was in the way; ``statements`` why the application's own
    queries are not among them.
    """

    compared_at: datetime
    reason: str | None = None
    seconds: float = 0.0
    statements: str | None = None
    queries: list[Comparison] = field(default_factory=list)

    def counted(self) -> dict[str, int]:
        """How many queries came out how, and how many take longer."""
        return {**Counter(one.verdict for one in self.queries), "slower": sum(one.slower for one in self.queries)}

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            **vars(self),
            "compared_at": self.compared_at.isoformat(),
            "queries": [one.as_dict() for one in self.queries],
        }


def of_order(
    connect: Connect, order: Order, probes: Sequence[Probe], hide: Callable[[Row], Row], log: Log, *, schema: str
) -> Report:
    """Run ``probes`` and the application's top queries before and after ``order``, and take everything back.

    ``hide`` masks a row that is shown; ``schema`` is the migration's in its target. What cannot be done at this moment
    is the ``reason`` of what it returns.

    Raises what would stop the swap.
    """
    report = Report(datetime.now(timezone.utc))
    began = time.monotonic()
    with connect() as connection:
        connection.autocommit = True
        if not workload.is_there(connection):
            report.statements = "pg_stat_statements is not installed in this database"
        try:
            if probes or report.statements is None:
                with rehearsed(connection, order, log) as tables, Guard(connect, connection) as guard:
                    asking = Asking(connection, tables, guard)
                    _Look(asking, guard, report, hide, time.monotonic() + ALL_S).take(probes, schema)
        except GivenUpError as error:
            report.reason = str(error)
        except patience.GAVE_UP as error:
            report.reason = str(error).splitlines()[0]
        if report.reason is not None:
            # who is in the way may be named with a statement, which may quote a person
            report.reason = masked_text(report.reason)
            report.queries.clear()
            log(f"queries were not compared: {report.reason}; nothing was changed")
    report.seconds = round(time.monotonic() - began, 1)
    for one in report.queries:
        log(in_words(one))
    return report


def require_asserted(report: Report, probes: Sequence[Probe]) -> None:
    """Raise CutoverError ``probes.assertion`` for the first probe whose assertion does not hold; it names all."""
    asserting = [probe for probe in probes if probe.assertions]
    if report.reason is not None and asserting:
        raise CutoverError(
            "probes.not-compared",
            asserting[0].shown,
            f"it asserts `{asserting[0].assertions[0].text}`, and no query could be compared: {report.reason}. "
            "Nothing was changed.",
            "clear the task in a quieter moment.",
        )
    broken = [(one, assertion) for one in report.queries for assertion in one.broken]
    if broken:
        reasons = "; ".join(
            f"{one.name}, line {assertion['line']}: `{assertion['assertion']}` ({assertion['why']})"
            for one, assertion in broken
        )
        raise CutoverError(
            "probes.assertion",
            f"{broken[0][0].name}, line {broken[0][1]['line']}",
            f"what is asserted would not hold after the launch: {reasons}. Nothing was changed.",
            "correct the migration; or, if the answer is meant to change, the assertion. Then trigger a new run.",
        )


@dataclass(frozen=True)
class _Look:
    """One look at all queries: where they are asked, whom they give way to, and until which monotonic second."""

    asking: Asking
    guard: Guard
    report: Report
    hide: Callable[[Row], Row]
    until: float

    def take(self, probes: Sequence[Probe], schema: str) -> None:
        """Ask the probes, then what the application itself asks most."""
        path = workload.search_path(self.asking.connection)
        path += [] if schema in path else [schema]
        for probe in probes:
            into = Comparison(probe.shown, probe.title)
            self._compare(into, probe.query, path, may_be_volatile=True)
            judge(into, probe.assertions)
        if self.report.statements is not None:
            return
        try:
            for statement in workload.top(self.asking, path):
                self._compare(_of_statement(statement), statement.query, statement.path, may_be_volatile=False)
        except workload.UnreadableError as error:
            self.report.statements = str(error)

    def _compare(self, into: Comparison, query: str | None, path: Sequence[str], *, may_be_volatile: bool) -> None:
        self.guard.require()
        self.report.queries.append(into)
        if query is None:
            return
        if time.monotonic() > self.until:
            into.why = f"the {ALL_S:g} s for all queries were over"
            return
        compare(self.asking, into, query, path=path, hide=self.hide, may_be_volatile=may_be_volatile)


def _of_statement(statement: workload.Statement) -> Comparison:
    shown = names.masked(statement.text)
    return Comparison(
        f"statement {statement.queryid}",
        shown[:_SHOWN] + ("…" if len(shown) > _SHOWN else ""),
        why=statement.why,
        is_probe=False,
        calls=statement.calls,
        mean_ms=round(statement.mean_ms, 2),
    )


def in_words(comparison: Comparison) -> str:
    """What has come of a query, in a line."""
    words = f"{comparison.title}: {comparison.verdict}"
    if comparison.why is not None:
        return f"{words}: {comparison.why}"
    if comparison.verdict != EQUAL:
        words += f" ({rows_in_words(comparison)})"
    if comparison.ms_before is not None and comparison.ms_after is not None:
        words += f", {comparison.ms_before:,.1f} → {comparison.ms_after:,.1f} ms"
    return words + "".join(f"; {one}" for one in comparison.plan)
