"""Comments: what people say about a run, in the target database, where it stays with the launch.

They are no evidence: the chain does not cover them, and nothing is decided by one.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.database.words import said
from cutover.errors import CutoverError

# Characters of one comment: a screen of text. What is longer belongs into a document, and its address into the comment.
LONGEST = 2_000


def add(connection: psycopg.Connection, run: str, author: str, words: str) -> None:
    """Write down what somebody says about a run, in the caller's transaction.

    Raises:
        CutoverError: ``comment.empty``, ``comment.too-long``; ``comment.not-written`` where the role of ``connection``
            may not write it, or the engine's tables are of an earlier version.
    """
    text = words.replace("\0", "").strip()
    if not text:
        raise CutoverError("comment.empty", f"comment on run {run}", "it says nothing.", "write what you have to say.")
    if len(text) > LONGEST:
        raise CutoverError(
            "comment.too-long",
            f"comment on run {run}",
            f"it has {len(text):,} characters, and {LONGEST:,} are kept.",
            "shorten it, or say where the whole of it can be read.",
        )
    try:
        connection.execute(files.statement("comments/add.sql"), {"run": run, "author": author, "words": text})
    except psycopg.errors.UndefinedTable:
        raise _not_written(
            run,
            "the engine's tables there are of an earlier version.",
            "trigger a run: its first task brings them up to date. Then say it again.",
        ) from None
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        role = connection.info.user
        raise _not_written(
            run,
            f"the database says: {said(error)}.",
            f"let the API server's role write comments: grant select, insert on cutover.comment to {role}. Or name a "
            "role that may in the API server's connection.",
        ) from error


def of_run(connection: psycopg.Connection, run: str) -> list[dict[str, Any]]:
    """The comments on a run, oldest first: ``author``, ``words``, ``written_at``."""
    if connection.execute("select to_regclass('cutover.comment') is null").fetchone() == (True,):
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(files.statement("comments/of_run.sql"), {"run": run}).fetchall()


def _not_written(run: str, why: str, remedy: str) -> CutoverError:
    return CutoverError("comment.not-written", f"comment on run {run}", why, remedy)
