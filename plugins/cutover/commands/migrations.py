"""Which migration a command is about."""

from __future__ import annotations

from collections.abc import Callable

from cutover.database.statements import team_root
from cutover.errors import CutoverError
from cutover.migration import Migration, declared, load


def chosen(name: str | None, *, fits: Callable[[Migration], object] = lambda _migration: True) -> Migration:
    """The migration of this name, or else the first, in name order, that ``fits``; as the DAGs' parameters have it.

    Raises CutoverError ``migration.none`` where there is none to choose from, and as ``load`` does.
    """
    if name is not None:
        return load(name)
    for other in declared():
        migration = load(other)
        if fits(migration):
            return migration
    raise CutoverError(
        "migration.none",
        f"folder {team_root()}",
        "it holds no migration that this could be about.",
        "write one, a folder with a migration.yaml, or name the folder that sql/<migration> is in: CUTOVER_INCLUDE.",
    )
