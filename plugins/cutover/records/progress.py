"""What tasks do at this moment, in words, for whoever watches a run: no evidence, and nothing depends on it."""

from __future__ import annotations

from collections.abc import Collection

import psycopg

from cutover.database import statements as files


def note(connection: psycopg.Connection, run: str, task: str, said: str) -> None:
    """Say what a task does, in place of what it said before."""
    if _is_there(connection):
        connection.execute(files.statement("pace/note.sql"), {"run": run, "task": task, "said": said})


def end(connection: psycopg.Connection, run: str, task: str) -> None:
    """A task has nothing more to say."""
    if _is_there(connection):
        connection.execute(files.statement("pace/over.sql"), {"run": run, "task": task})


def of_runs(connection: psycopg.Connection, runs: Collection[str]) -> dict[str, list[str]]:
    """What the tasks of runs say, a line each, by run."""
    if not _is_there(connection):
        return {}
    said: dict[str, list[str]] = {}
    rows = connection.execute(files.statement("pace/of_runs.sql"), {"runs": list(runs)}).fetchall()
    for run, task, line in rows:
        said.setdefault(run, []).append(f"{task} {line}")
    return said


def _is_there(connection: psycopg.Connection) -> bool:
    """Whether this version has been installed: a run that an earlier one has begun goes on without."""
    return connection.execute(files.statement("pace/is_there.sql")).fetchone() == (True,)
