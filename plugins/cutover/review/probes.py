"""Queries run before and after a run's swap: made before its review, and on record for it."""

from __future__ import annotations

from typing import Any

import psycopg

from cutover import probes
from cutover.database.connect import Connect, Log, opened
from cutover.migration import Migration
from cutover.probes.comparison import FAILS, NOT_COMPARED, OTHER
from cutover.records import phase, run
from cutover.review import samples, subject
from cutover.review.sections import WARNING_ROWS, Section


def probe(connect: Connect, migration: Migration, this_run: str, log: Log) -> probes.Report:
    """Run the migration's probes and the application's top queries before and after, and record what has come of it.

    Raises:
        CutoverError: ``probes.assertion``, what a probe asserts does not hold; ``probes.wrong-file``; what the swap
            would raise; ``review.not-rehearsed`` and ``run.asked`` where it is not the time for it.
    """
    declared = probes.load(migration.migration)
    with opened(connect) as held:
        made_from = phase.require(held, migration, this_run, phase.PROBES)
        row = run.get(held, this_run)
        # a statement with parameters keeps its snapshot until the next
        held.execute("select")
        with opened(connect) as connection:
            # in a transaction of its own: it reads the staged tables, which are moved then
            subject.require_validated(connection, migration, row)
        report = probes.of_order(
            connect,
            subject.order(migration, row),
            declared,
            samples.masks(migration.migration).query_row,
            log,
            schema=migration.target_schema,
        )
        probes.require_asserted(report, declared)
        phase.record(held, migration, this_run, phase.PROBES, made_from, **report.as_dict())
    return report


def of_run(connection: psycopg.Connection, row: run.Run) -> dict[str, Any] | None:
    """What they answer of queries before and after, as it is on record; None where it was not asked for."""
    if not row.parameters.get("probe"):
        return None
    return phase.newest(connection, row.run)[phase.PROBES].result


def warnings(row: run.Run, report: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Queries that would fail or take longer, probes that say nothing, and that none was run at all."""
    if report is None:
        why = "the parameter `probe` is off" if "probe" in row.parameters else None
        return _section("unprobed", "Queries that were not run before and after", [[why]], ["why"]) if why else []
    if report["reason"] is not None:
        return _section("unprobed", "Queries that were not run before and after", [[report["reason"]]], ["why"])
    queries = report["queries"]
    fails = [[one["title"], one["why"]] for one in queries if one["verdict"] == FAILS and not one["slower"]]
    slower = [[one["title"], one["ms_before"], one["ms_after"]] for one in queries if one["slower"]]
    silent = [[one["title"], one["why"]] for one in queries if one["verdict"] == NOT_COMPARED and one["is_probe"]]
    return [
        *_section("failing_queries", "Queries that will fail after the launch", fails, ["query", "why"]),
        *_section("slower_queries", "Queries that will take longer", slower, ["query", "ms_before", "ms_after"]),
        *_section("silent_probes", "Probes that could not be compared", silent, ["query", "why"]),
    ]


def _section(name: str, title: str, rows: list[list[Any]], columns: list[str]) -> list[dict[str, Any]]:
    if not rows:
        return []
    numbers = [column for column in columns if column.startswith("ms_")]
    return [Section(name, title, len(rows), columns, numbers, rows[:WARNING_ROWS]).as_dict()]


def in_form(report: dict[str, Any] | None) -> list[str]:
    """What they answer, in a sentence for the approval form, and a line for each query that answers differently."""
    if report is None or report["reason"] is not None or not report["queries"]:
        return []
    queries = report["queries"]
    compared = [one for one in queries if one["verdict"] != NOT_COMPARED]
    other = [one for one in compared if one["verdict"] == OTHER]
    fails = sum(one["verdict"] == FAILS for one in compared)
    slower = sum(one["slower"] for one in compared)
    return [
        f"**Queries before and after**: {len(compared)} compared, {len(other)} answer differently, {fails} fail, "
        f"{slower} take longer; {len(queries) - len(compared)} could not be compared",
        "",
    ]
