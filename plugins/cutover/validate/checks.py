"""Checks across tables: each is a query that returns the rows which break a rule, and nothing when it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.masking import masked_row, masked_text
from cutover.migration import RejectsLimit
from cutover.validate.result import CheckResult

SAMPLE = 20


def run(
    connection: psycopg.Connection, migration: str, this_run: str, limit: RejectsLimit | None = None
) -> list[CheckResult]:
    """Run ``<migration>/validate/*.sql``, which record figures, then every query of ``validate/checks``.

    With ``limit``, no source may have more rows rejected than that.
    Takes part in the caller's transaction. Samples are the first ``SAMPLE`` rows; addresses in them are masked.
    Raises CutoverError ``validate.check-broken`` for a query that cannot run.
    """
    for path in files.files(f"{migration}/validate"):
        connection.execute(files.text(path).encode(), {"run": this_run})
    checked = [_check(connection, path, {"run": this_run}) for path in files.files(f"{migration}/validate/checks")]
    if limit is not None:
        bounds = {"run": this_run, "share": limit.share, "rows": limit.rows}
        checked.append(_check(connection, "validate/rejects_over_limit.sql", bounds))
    return checked


def title_of(text: str, path: str) -> str:
    """What a query file says of itself: its first comment, up to its first full stop."""
    comment: list[str] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        comment.append(line.removeprefix("--").strip())
    said = " ".join(comment).split(". ")[0].rstrip(".")
    return said or Path(path).stem


def _check(connection: psycopg.Connection, path: str, parameters: dict[str, Any]) -> CheckResult:
    text = files.text(path)
    # The query is the repository's own file, not input; the type of sql.SQL admits literals only.
    query = sql.SQL(cast(Any, text))
    counting = files.statement("validate/offending.sql", query=query, limit=sql.Literal(SAMPLE))
    with connection.cursor() as cursor:
        set_json_loads(_exact, cursor)
        try:
            row = cursor.execute(counting, parameters).fetchone()
        except psycopg.ProgrammingError as error:
            raise CutoverError(
                "validate.check-broken",
                path,
                f"it cannot run: {masked_text(str(error).splitlines()[0])}.",
                "correct the query: nothing can be said of the rule that it is about.",
            ) from error
    assert row is not None
    offending, sample = row
    return CheckResult(
        check=Path(path).stem,
        title=title_of(text, path),
        success=offending == 0,
        offending=offending,
        sample=tuple(masked_row(sample, ())),
    )


def _exact(text: str | bytes) -> Any:
    """JSON with its numbers as they are written: money is not rounded to a float on its way to a page."""
    return json.loads(text, parse_float=str)
