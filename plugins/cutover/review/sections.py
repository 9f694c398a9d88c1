"""Figures and warnings: what the query files of a migration's ``review`` folder say, each with its title and rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.migration import Migration
from cutover.records import run
from cutover.review import samples
from cutover.review.subject import settings
from cutover.validate.checks import title_of

# int8, int2, int4, float4, float8, numeric
_NUMBERS = frozenset({20, 21, 23, 700, 701, 1700})
# A whole number that names something is no number either: nobody counts years.
_NAMES = ("_id", "_no", "_number", "year", "version")
# Most rows of a figure, and of a warning, that are stored and shown; the total says how many there are. More make the
# run's row and the page longer than anybody reads.
FIGURE_ROWS = 400
WARNING_ROWS = 40


@dataclass(frozen=True)
class Section:
    """A named list of rows: the figures or the warnings of one query file."""

    name: str
    title: str
    total: int
    columns: list[str]
    # those of a number's type: the numbers of a text stay text
    numbers: list[str]
    rows: list[list[Any]]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return dict(vars(self))


def of_folder(
    connection: psycopg.Connection, migration: Migration, row: run.Run, folder: str, hide: samples.Masks
) -> list[dict[str, Any]]:
    """Run every query file of a folder. Its first comment, up to the first full stop, is its title."""
    most = FIGURE_ROWS if folder == "review" else WARNING_ROWS
    sections = []
    for path in files.files(f"{migration.migration}/{folder}"):
        text = files.text(path)
        with connection.cursor(row_factory=dict_row) as cursor:
            cursor.execute(text.encode(), {"run": row.run, **settings(migration)})
            columns = [column.name for column in cursor.description or ()]
            numbers = [column.name for column in cursor.description or () if _is_number(column)]
            rows = cursor.fetchmany(most)
            total = cursor.rowcount
        shown = [list(hide.query_row(one).values()) for one in rows]
        sections.append(Section(Path(path).stem, title_of(text, path), total, columns, numbers, shown).as_dict())
    return sections


def _is_number(column: psycopg.Column) -> bool:
    return column.type_code in _NUMBERS and not f"_{column.name}".endswith(_NAMES)
