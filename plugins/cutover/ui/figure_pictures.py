"""Which figures of a review have a picture, and of what: whatever has a ``before`` and an ``after``."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from markupsafe import Markup

from cutover.ui import charts, shown

# A year, a month or a day, as queries write them: what goes on along it is a course.
_PERIOD = re.compile(r"[0-9]{4}(-[0-9]{2}){0,2}")
# Periods from which on a course says more than the lines of a table.
_FEWEST = 3
# Months that a picture has room for: fifty years.
_MOST = 600
_NOTHING = [Decimal(0), Decimal(0)]


def pairs(section: dict[str, Any]) -> list[Markup] | None:
    """For each line of a figure its bars; None for one without a before and an after, or with more than can be seen."""
    values = _values(section)
    if values is None or len(values) < len(section["rows"]) or _by_period(section):
        return None
    if any(value < 0 for pair in values for value in pair):
        return None
    return [charts.bars(*pair) for pair in values]


def course(section: dict[str, Any]) -> dict[str, Any] | None:
    """Before and after along the periods of a figure, added up by period: the picture, and what it goes from and to.

    None for a figure that has no periods, holds several currencies, or is not whole.
    """
    values = _values(section)
    if values is None or not _by_period(section) or section["total"] != len(section["rows"]):
        return None
    columns = section["columns"]
    if "currency" in columns and len({row[columns.index("currency")] for row in section["rows"]}) > 1:
        return None
    sums: dict[str, list[Decimal]] = {}
    for row, (before, after) in zip(section["rows"], values, strict=True):
        of_period = sums.setdefault(str(row[0]), [Decimal(0), Decimal(0)])
        of_period[0] += before
        of_period[1] += after
    if len(sums) < _FEWEST:
        return None
    periods = _without_gaps(sorted(sums))
    was, will = ([sums.get(period, _NOTHING)[side] for period in periods] for side in (0, 1))
    return {
        "picture": charts.course(was, will),
        "first": periods[0],
        "last": periods[-1],
        "most": shown.number(max(*was, *will)),
        "lines": [[period, *map(shown.number, sums.get(period, _NOTHING))] for period in periods],
    }


def _without_gaps(periods: list[str]) -> list[str]:
    """The periods, with the months between them that have no line: a course has all of its time."""
    if any(len(period) != len("2025-11") for period in periods):
        return periods
    first, last = (12 * int(period[:4]) + int(period[5:]) - 1 for period in (periods[0], periods[-1]))
    if last - first >= _MOST:
        return periods
    return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1)]


def _by_period(section: dict[str, Any]) -> bool:
    rows = section["rows"]
    return bool(rows) and all(isinstance(row[0], str) and _PERIOD.fullmatch(row[0]) for row in rows)


def _values(section: dict[str, Any]) -> list[tuple[Decimal, Decimal]] | None:
    """Before and after of each line; None where a figure does not have both as numbers."""
    columns = section["columns"]
    if not {"before", "after"} <= {*section.get("numbers", columns)} & {*columns} or not section["rows"]:
        return None
    places = columns.index("before"), columns.index("after")
    try:
        values = [tuple(Decimal(str(row[place] or 0)) for place in places) for row in section["rows"]]
    except InvalidOperation:
        return None
    if not all(value.is_finite() for pair in values for value in pair):
        return None
    return [(before, after) for before, after in values]
