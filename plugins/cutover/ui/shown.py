"""Values as text on a page. Everything returned here is escaped by the templates, never by this module."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

NOTHING = "–"
LONGEST = 160
LONGEST_TEXT = 4_000
# Exact numbers are stored as text, as JSON has none: these columns hold them.
AMOUNTS = ("before", "after", "change", "amount", "refunded_amount", "total_earned", "commission_rate")
# Whole numbers that name something; nobody counts them.
NAMES = ("_id", "_no", "_number", "year", "version")


def number(value: Any) -> str:
    """With thousands separated; money keeps its decimals. What is no number is shown as it is."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return cell(value)
    try:
        exact = Decimal(str(value))
    except InvalidOperation:
        return cell(value)
    return f"{exact:,}" if exact.is_finite() else str(value)


def signed(value: Any) -> str:
    """A change: with its sign, and nothing for none."""
    shown = number(value)
    if shown in (NOTHING, "0", "0.00"):
        return NOTHING
    return shown if shown.startswith("-") else f"+{shown}"


def moment(value: Any) -> str:
    """A time in UTC, to the second; ISO text, as the stored review holds it, is understood too."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return cell(value)
    if not isinstance(value, datetime):
        return str(value)
    return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def instant(value: Any) -> str:
    """A time in UTC, to the millisecond."""
    if not isinstance(value, datetime):
        return moment(value)
    return value.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def milliseconds(value: Any) -> str:
    """A duration given in milliseconds, in the unit that suits it."""
    if value is None:
        return NOTHING
    ms = float(value)
    return f"{ms:,.0f} ms" if ms < 10_000 else f"{ms / 1000:,.1f} s"


def cell(value: Any) -> str:
    """Any value in a table's cell, cut to what fits there."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment(value)
    text = value.isoformat() if isinstance(value, date) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def whole(value: Any) -> str:
    """Text that has to be read to its end; only what is longer than anybody writes is cut."""
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"


def filled(lines: list[dict[str, Any]]) -> list[str]:
    """The columns of which at least one of these rows has a value."""
    return [column for column in (lines[0] if lines else {}) if any(line.get(column) is not None for line in lines)]


def numbers(columns: list[str], rows: list[list[Any]], typed: list[str] | None = None) -> list[str]:
    """The columns of a query's result that are read as numbers: amounts, and counts of something.

    ``typed`` are those whose type is a number's; a review that is older than that knows names and values alone.
    """
    if typed is not None:
        return [column for column in typed if not f"_{column}".endswith(NAMES)]
    numbers = []
    for place, column in enumerate(columns):
        values = [row[place] for row in rows if row[place] is not None]
        counted = bool(values) and all(type(value) is int for value in values) and not f"_{column}".endswith(NAMES)
        if column in AMOUNTS or counted:
            numbers.append(column)
    return numbers


def totals(section: dict[str, Any]) -> list[str] | None:
    """The last line of a figure that has ``before``, ``after`` and ``change``; None where adding up means nothing."""
    columns: list[str] = section["columns"]
    if not {"before", "after", "change"} <= set(columns) or len(section["rows"]) < 2:
        return None
    if section["total"] != len(section["rows"]) or not {"before", "after", "change"} <= {
        *section.get("numbers", columns)
    }:
        return None
    if "currency" in columns and len({row[columns.index("currency")] for row in section["rows"]}) > 1:
        return None
    line = ["Total" if number_of == 0 else "" for number_of in range(len(columns))]
    for name in ("before", "after", "change"):
        place = columns.index(name)
        total = sum((Decimal(str(row[place])) for row in section["rows"]), Decimal(0))
        line[place] = signed(total) if name == "change" else number(total)
    return line
