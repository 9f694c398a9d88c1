"""The ledger's hash chain: each entry's hash covers its columns and the hash of the entry before it.

A change to an entry, or one taken out of the middle, shows. Entries taken off the end do not: whoever wants to
notice that keeps the newest hash somewhere else, and compares.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from cutover import sql as files
from cutover.errors import CutoverError


@dataclass(frozen=True)
class Link:
    """One entry of the chain. ``broken`` says in words what is wrong with it; None if nothing is."""

    entry: int
    run: str
    hash: str | None
    broken: str | None


def links(connection: psycopg.Connection) -> list[Link]:
    """All entries, oldest first, each checked."""
    with connection.cursor(row_factory=class_row(Link)) as cursor:
        return cursor.execute(files.statement("chain/verify.sql")).fetchall()


def require_whole(found: list[Link], database: str) -> None:
    """Raise CutoverError ``ledger.broken`` that names the first entry which is not as it was written."""
    for link in found:
        if link.broken:
            raise CutoverError(
                "ledger.broken",
                f"entry {link.entry} (run {link.run}) of {database}",
                f"it {link.broken}; the entries before it are as they were written.",
                "compare the entry with a database backup, and find out who has changed it.",
            )
