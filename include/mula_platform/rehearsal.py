"""A rehearsal of sign-ins: what a launch's task asks for every account, and what must stay as it was.

While one is open (setup/70_rehearsal.sql says how narrow that is), tokens in the shape of the old applications that are
signed with its keys go the whole way of a real one, and what that has written is undone before the answer is given. The
caller says that it is a rehearsal; a rehearsal's key is never tried on anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

from mula_platform.database import Row, row

# RFC 8693's subject_token_type of each application in a rehearsal.
TOKEN_TYPES = {"urn:mula:rehearsal:dasha": "dasha", "urn:mula:rehearsal:compatibility": "compatibility"}
# Header of a rehearsed sign-in by password: its token type, a blank, and a token of the account that it should reach.
HEADER = "mula-rehearsal"


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal that is open; ``keys`` are by application."""

    rehearsal_id: UUID
    run: str
    keys: Mapping[str, str]
    ends_at: datetime


def current(connection: psycopg.Connection[Row]) -> Rehearsal | None:
    """The rehearsal that is open at this moment."""
    rehearsal = row(connection, "rehearsal/open")
    return None if rehearsal is None else Rehearsal(**rehearsal)


@contextmanager
def undone(connection: psycopg.Connection[Row]) -> Iterator[None]:
    """Everything that the block writes is taken back at its end, once the database has taken it.

    In the caller's transaction, which an error of the block ends.
    """
    connection.execute("savepoint rehearsed")
    yield
    # by the library psycopg itself uses: at a rollback of its own it forgets what it has prepared, and the server would
    # plan every statement of every rehearsed sign-in anew
    taken_back = connection.pgconn.exec_(b"rollback to savepoint rehearsed; release savepoint rehearsed")
    if taken_back.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.OperationalError(taken_back.error_message.decode(errors="replace"))
