"""Rows as CSV that is safe to open in a spreadsheet (RFC 4180, UTF-8 with a mark that says so)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from cutover.review.difference import Comparison, Difference

# By this a spreadsheet knows UTF-8. Without it, it takes the dots of a masked value for letters of another script.
MARK = "\ufeff"
# What a spreadsheet may take for the beginning of a formula, full-width signs of eastern ones included.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
# Characters that are gathered before they are sent.
_PIECE = 60_000


def difference(compared: Comparison, rows: Iterable[Difference], kinds: Sequence[str]) -> Iterator[bytes]:
    """The file of a table's differences, a line for each row, in pieces.

    The key stands once; of every other column what was and what will be, each only if one of ``kinds`` has it.
    """
    moments = [moment for moment, without in (("before", "added"), ("after", "removed")) if set(kinds) - {without}]
    rest = [column for column in compared.columns if column not in compared.key]
    heads = [f"{column} {moment}" for column in rest for moment in moments]
    yield from _pieces(_lines(compared, rows, rest, moments), ["kind", *compared.key, "columns that differ", *heads])


def _lines(
    compared: Comparison, rows: Iterable[Difference], rest: Sequence[str], moments: Sequence[str]
) -> Iterator[list[Any]]:
    for row in rows:
        sides = {"before": row.before, "after": row.after}
        key = [(row.after or row.before).get(column) for column in compared.key]
        cells = [sides[moment].get(column) for column in rest for moment in moments]
        yield [row.kind, *key, ", ".join(row.columns), *cells]


def _pieces(lines: Iterable[Sequence[Any]], head: Sequence[str]) -> Iterator[bytes]:
    made = io.StringIO(newline="")
    writer = csv.writer(made, lineterminator="\r\n")
    made.write(MARK)
    writer.writerow([cell(name) for name in head])
    for line in lines:
        writer.writerow([cell(value) for value in line])
        if made.tell() > _PIECE:
            yield made.getvalue().encode()
            made.seek(0)
            made.truncate()
    yield made.getvalue().encode()


def cell(value: Any) -> str:
    """A value as text that no spreadsheet takes for a formula: what would be one gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text
