"""What would stop a launch whose question waits: looked at again until it is answered, and told when it changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

import psycopg

from cutover import review
from cutover.database import statements as files
from cutover.database import words
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import Migration
from cutover.records import workspace
from cutover.records.run import Run
from cutover.records.run import get as get_run

_CODE = re.compile(r"^\[([a-z.-]+)\]")


@dataclass(frozen=True)
class Outlook:
    """``reasons``: in words, what would stop the swap; empty if nothing. ``unknown``: why nothing can be said."""

    at: datetime
    reasons: tuple[str, ...] = ()
    unknown: str | None = None

    @property
    def verdict(self) -> str:
        """In one sentence."""
        if self.unknown:
            return f"It cannot be said whether anything stands in the way: {self.unknown}"
        if not self.reasons:
            return "Nothing stands in the way of the swap."
        many = len(self.reasons) > 1
        return f"{len(self.reasons)} thing{'s' if many else ''} would stop the swap now."

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of the reasons: all that leaves the deployment, and all that fits into a picture."""
        return tuple(match.group(1) for match in map(_CODE.match, self.reasons) if match)


def waiting(connection: psycopg.Connection, migration: Migration) -> Run | None:
    """The launch of this migration about which a person is asked at this moment; None if nobody is."""
    if not has_records(connection):
        return None
    holding = workspace.holder(connection)
    if holding is None or not holding.is_asking or holding.migration != migration.migration:
        return None
    return get_run(connection, holding.run)


def has_records(connection: psycopg.Connection) -> bool:
    """Whether this version has been installed: a launch of an earlier one has no table for what is seen."""
    return connection.execute("select to_regclass('cutover.outlook') is not null").fetchone() == (True,)


def look(connection: psycopg.Connection, migration: Migration, row: Run) -> Outlook:
    """Look now, by reading alone. Never raises for what a database may say; the connection bounds the time."""
    now = datetime.now(timezone.utc)
    try:
        reasons = review.in_the_way(connection, migration, row)
    except CutoverError as error:
        return unknown(now, error)
    except psycopg.Error as error:
        return unknown(now, error)
    return Outlook(now, tuple(masked_text(str(reason)) for reason in reasons))


def unknown(now: datetime, error: CutoverError | psycopg.Error) -> Outlook:
    """The outlook when looking has failed with ``error``."""
    said = str(error) if isinstance(error, CutoverError) else words.said(error) or type(error).__name__
    return Outlook(now, unknown=masked_text(said))


def keep(connection: psycopg.Connection, run: str, ahead: Outlook) -> bool:
    """Record the outlook if other kinds of things stand in the way than on record. Returns whether to tell somebody.

    Counts in the reasons change all the time, and are not worth a message each. The first outlook is worth one if
    anything stands in the way: the message that asked the question knew of nothing.
    """
    codes = ["unknown"] if ahead.unknown else sorted(set(ahead.codes))
    last = connection.execute(files.statement("outlook/newest.sql"), {"run": run}).fetchone()
    if last == (codes,):
        return False
    connection.execute(files.statement("outlook/keep.sql"), {"run": run, "codes": codes})
    return last is not None or bool(codes)
