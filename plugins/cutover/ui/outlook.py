"""What would stop a launch whose question waits, for whoever looks on: on its review, and in the form as a picture."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import datetime, timezone

import psycopg

from cutover import outlook
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.operators.base import reading
from cutover.outlook import Outlook
from cutover.records.run import Run
from cutover.ui.picture import note

# A look takes about a second of the database's time: everybody who asks within this time gets the same one.
EVERY_S = 120

_seen: dict[str, tuple[float, Outlook]] = {}
_looking = threading.Lock()


def of_run(migration: Migration, row: Run) -> Outlook:
    """The outlook of a run that waits, not older than ``EVERY_S``. Never raises for what a database may say."""
    with _looking:
        known = _seen.get(row.run)
        if known is not None and time.monotonic() - known[0] < EVERY_S:
            return known[1]
        for run in [run for run, (moment, _) in _seen.items() if time.monotonic() - moment > EVERY_S]:
            del _seen[run]
        ahead = _look(migration, row)
        _seen[row.run] = time.monotonic(), ahead
        return ahead


def _look(migration: Migration, row: Run) -> Outlook:
    """Look now, in a read-only transaction of bounded time that holds no lock anybody waits for."""
    try:
        with reading(migration) as connection:
            return outlook.look(connection, migration, row)
    except (CutoverError, psycopg.Error) as error:
        return outlook.unknown(datetime.now(timezone.utc), error)


def forget(run: str) -> None:
    """Look anew the next time."""
    with suppress(KeyError):
        del _seen[run]


def picture(ahead: Outlook) -> str:
    """The outlook as an image: the verdict and the codes, since the sentences are on the review."""
    line = "It is not known what stands in the way." if ahead.unknown else ahead.verdict
    is_good = not ahead.reasons and not ahead.unknown
    looked_at = f"looked at {ahead.at:%H:%M:%S} UTC; why: in the review"
    return note(ahead.verdict, [line, *ahead.codes], looked_at, is_good)
