"""The room that a launch needs on the target's disk, as preflight has estimated it, and the WAL that it has written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg

from cutover.records import phase, run
from cutover.review.sections import Section


def of_run(connection: psycopg.Connection, row: run.Run) -> list[dict[str, Any]]:
    """A figure; none of a run whose preflight made no estimate."""
    records = phase.newest(connection, row.run)
    estimated = records[phase.CHECKED].result.get("room") if phase.CHECKED in records else None
    if estimated is None:
        return []
    written = [record.result.get("wal_bytes") for record in records.values()]
    measured = sum(size for size in written if size is not None)
    free = estimated["free"]
    rows: list[list[Any]] = [
        ["staged tables with their indexes", _megabytes(estimated["staged"]), "estimate"],
        ["what is frozen in input", _megabytes(estimated["input"]), "estimate"],
        ["WAL of making both", _megabytes(estimated["wal"]), "estimate"],
        ["WAL so far, of everybody who wrote meanwhile", _megabytes(measured), "measured"],
        ["free on the disk", _megabytes(free), "not known: PostgreSQL tells no client" if free is None else "asked"],
    ]
    title = f"Room on the disk of the target, by {estimated['source']}"
    return [Section("room", title, len(rows), ["what", "MB", "how it is known"], ["MB"], rows).as_dict()]


def _megabytes(size: int | None) -> Decimal | None:
    return None if size is None else Decimal(size).scaleb(-6).quantize(Decimal("0.1"))
