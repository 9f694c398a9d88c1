"""Statements live in files, the engine's beside its code and a migration's under ``include/sql``; here they are found.

A path begins with the folder that it is in: one of the engine's, else a migration's, else of a package of ``include``
that has a folder ``sql`` of its own. A migration cannot have the name of another's folder (``migration.declaration``).
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psycopg import sql

# The engine's own statements: package data, of the same version as its code.
ENGINE = Path(__file__).resolve().parents[1] / "sql"
# The roles that the engine needs in a target, for an administrator to make: nothing here runs it.
ROLES = Path(__file__).resolve().parents[1] / "roles.sql"


def include_root() -> Path:
    """The deployment's ``include`` folder, where the migrations are: ``CUTOVER_INCLUDE`` if set.

    Else, of an engine that runs from its sources, the one beside ``plugins``; of an installed one, that beside the
    folder ``dags`` in Airflow's home.
    """
    configured = os.environ.get("CUTOVER_INCLUDE")
    if configured:
        return Path(configured)
    packages = Path(__file__).resolve().parents[2]
    if packages.name == "plugins":
        return packages.parent / "include"
    return Path(os.environ.get("AIRFLOW_HOME") or "~/airflow").expanduser() / "include"


def engine_include(name: str) -> Path:
    """A folder of a checkout's own ``include``, wherever the migrations are; none of an installed engine."""
    return Path(__file__).resolve().parents[3] / "include" / name


def team_root() -> Path:
    """Where the migrations are: a folder each."""
    return include_root() / "sql"


def folder(name: str) -> Path:
    """The folder that paths beginning with ``name`` are in, whether it is there or not."""
    packages = (include_root() / name / "sql", engine_include(name) / "sql")
    for place in (ENGINE / name, team_root() / name, *packages):
        if place.is_dir():
            return place
    return team_root() / name


def is_taken(name: str) -> bool:
    """Whether a migration of this name would share a folder with statements of the engine or of another package."""
    return any(place.is_dir() for place in (ENGINE / name, include_root() / name / "sql", engine_include(name) / "sql"))


def _located(path: str) -> Path:
    first, *rest = PurePosixPath(path).parts
    return folder(first).joinpath(*rest)


# All of them are kept, some 1 MB: what a swap runs with its locks held is read before them, and never again.
@cache
def text(path: str) -> str:
    """The text of a file, as it was when it was first asked for.

    Raises:
        FileNotFoundError: no such file.
    """
    return _located(path).read_text(encoding="utf-8")


def statement(path: str, **identifiers: str | sql.Composable) -> sql.Composed:
    """Compose the text of a file: each ``{name}`` in it becomes a quoted identifier.

    A plain string is taken as one identifier; pass ``sql.Identifier("schema", "table")`` for a qualified name
    and any other ``Composable`` as it is. Literal braces are doubled in the file. Values never go in here:
    they are parameters of ``execute``.
    """
    # slow to import, and DAG files only ask where statements are
    from psycopg import sql

    # The text is the repository's own file, not input.
    template = sql.SQL(text(path))
    return template.format(
        **{name: sql.Identifier(value) if isinstance(value, str) else value for name, value in identifiers.items()}
    )


def files(name: str, pattern: str = "*.sql") -> list[str]:
    """Paths of the files of a folder, as ``text`` takes them, in name order."""
    root = _located(name)
    return sorted(f"{name}/{path.relative_to(root).as_posix()}" for path in root.glob(pattern))


def engine_files() -> list[str]:
    """Paths of all of the engine's own statements, in name order."""
    return sorted(path.relative_to(ENGINE).as_posix() for path in ENGINE.rglob("*.sql"))


def migrations() -> list[str]:
    """The names of all migrations: the folders that hold a ``migration.yaml``."""
    return sorted(path.parent.name for path in team_root().glob("*/migration.yaml"))
