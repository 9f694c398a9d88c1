"""What would stop a launch whose question waits, for whoever looks on: on its review, and in the form as a picture."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import datetime, timezone
from xml.sax.saxutils import escape

import psycopg

from cutover import outlook
from cutover.errors import CutoverError
from cutover.migration import Migration
from cutover.operators.base import reading
from cutover.outlook import Outlook
from cutover.records.run import Run

# A look takes about a second of the database's time: everybody who asks within this time gets the same one.
EVERY_S = 120
# Airflow shows a picture in a form at most so wide: what is wider shrinks until nobody can read it.
_WIDTH_PX = 300
_LINE_PX = 20

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
    """The outlook as an image, since the form that Airflow keeps cannot change, and a picture in it can.

    The verdict and the codes: the sentences are on the review.
    """
    verdict = "It is not known what stands in the way." if ahead.unknown else ahead.told
    colour = "#11794a" if not ahead.reasons and not ahead.unknown else "#b3261e"
    when = f"looked at {ahead.at:%H:%M:%S} UTC; why: in the review"
    lines = [(colour, verdict), *((colour, code) for code in ahead.codes), ("#667085", when)]
    height = _LINE_PX * len(lines) + 10
    texts = "".join(
        f'<text x="8" y="{_LINE_PX * number}" fill="{fill}">{escape(line)}</text>'
        for number, (fill, line) in enumerate(lines, start=1)
    )
    size = f'width="{_WIDTH_PX}" height="{height}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {_WIDTH_PX} {height}" '
        'font-family="system-ui, sans-serif" font-size="13" role="img">'
        f'<title>{escape(ahead.told)}</title><rect {size} rx="6" fill="#fff" stroke="{colour}"/>{texts}</svg>'
    )
