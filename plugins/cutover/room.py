"""The room on the target's disk that a launch needs, as an estimate, beside what is free where anybody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover.database import statements as files
from cutover.database.connect import Connect
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.swap import pace


@dataclass(frozen=True)
class Room:
    """Bytes that a launch needs: copies in ``staged``, with indexes, and in ``input``, and the ``wal`` of making them.

    ``source`` says what this was taken from. ``free``: what the operator's query answers; None without one.
    """

    staged: int
    input: int
    wal: int
    source: str
    free: int | None

    @property
    def needed(self) -> int:
        """All of it together."""
        return self.staged + self.input + self.wal

    def in_words(self) -> str:
        """In a line."""
        free = "how much is free PostgreSQL tells no client" if self.free is None else f"{self.free / 1e6:,.0f} MB free"
        return (
            f"disk: about {self.needed / 1e6:,.0f} MB ({self.staged / 1e6:,.0f} staged, {self.input / 1e6:,.0f} "
            f"frozen, {self.wal / 1e6:,.0f} WAL), by {self.source}; {free}"
        )


def estimate(connect: Connect, connection: psycopg.Connection, migration: Migration, live: int) -> Room:
    """What a launch will need, by the size of what is ``live`` and by the figures of the newest launch.

    The live tables are there twice in the end, as a backup; a copy in ``input`` is of about the same size, and each is
    written once more as WAL. Raises CutoverError ``pace.query`` for a query of the operator's that answers no number.
    """
    with connection.cursor(row_factory=dict_row) as cursor:
        text = files.statement("preflight/earlier.sql")
        row: dict[str, Any] = cursor.execute(text, {"migration": migration.migration}).fetchone() or {}
    staged, frozen = max(row.get("staged") or 0, live), row.get("input") or live
    wal = row.get("wal") or staged + frozen
    known = all(row.get(name) for name in ("staged", "input", "wal"))
    source = f"the figures of run {row['run']}" if known else "the size of the live tables"
    return Room(staged, frozen, wal, source, _free(connect, migration))


def require(room: Room, migration: Migration) -> list[CutoverError]:
    """Why a launch would run out of room, if that is known."""
    if room.free is None or room.free >= room.needed:
        return []
    return [
        CutoverError(
            "preflight.no-room",
            f"the disk of {migration.target}",
            f"a launch needs about {room.needed / 1e6:,.1f} MB, by {room.source}, and {room.free / 1e6:,.1f} MB are "
            "free, by pace/free.sql.",
            "make room, such as by dropping old backups (DAG drop_backups), or a larger disk.",
        )
    ]


def _free(connect: Connect, migration: Migration) -> int | None:
    path = f"{migration.migration}/pace/free.sql"
    if path not in files.files(f"{migration.migration}/pace"):
        return None
    try:
        size = pace.number(connect, path)
    except psycopg.errors.QueryCanceled:
        return None
    return None if size is None else int(size)
