"""Statements that wait for a lock on a live table: for a moment, and again; never in front of clients for long."""

from __future__ import annotations

import random
import time
from contextlib import nullcontext
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from cutover.database.connect import Log
from cutover.errors import CutoverError

# Milliseconds: whoever queues behind us waits no longer than this, unless we get the lock.
LOCK_TIMEOUT_MS = 200

GAVE_UP = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
)


@dataclass(frozen=True)
class Patience:
    """How often, and with what pauses in between, a swap tries to lock. The pauses grow and are jittered.

    An attempt that finds a long transaction in the way does not queue behind it; but one in ``insist`` does, so that
    a steady stream of long transactions does not keep a swap away for ever.
    """

    attempts: int = 40
    insist: int = 5
    first_pause_s: float = 0.2
    longest_pause_s: float = 5.0
    _random: random.Random = field(default_factory=random.Random, repr=False)

    def pause(self, attempt: int) -> float:
        """Seconds to wait after the given attempt (counted from 1) has failed."""
        longest = min(self.longest_pause_s, self.first_pause_s * 1.6 ** (attempt - 1))
        return longest * self._random.uniform(0.6, 1.0)


def drop_schema(connection: psycopg.Connection, schema: str, log: Log) -> None:
    """Drop one of the engine's own schemas with all that is in it, never queueing for long. In autocommit.

    Something in it may hang on a live table: then the drop locks that, too, and clients would wait behind it. Raises
    CutoverError ``workspace.locked-out``.
    """
    name = sql.Identifier(schema).as_string()
    try:
        patiently(connection, f"drop schema if exists {name} cascade", log)
    except GAVE_UP as error:
        raise CutoverError(
            "workspace.locked-out",
            f"schema {schema}",
            f"a session held a lock on something that hangs on it through all attempts to drop it: {error}.",
            "end the long transaction (see pg_stat_activity and pg_locks), then clear the task.",
        ) from error
    finally:
        connection.execute("reset lock_timeout")


def patiently(connection: psycopg.Connection, statement: str, log: Log, patience: Patience | None = None) -> None:
    """Run a statement that needs a lock on a live table, in autocommit, giving up its place in the queue early.

    Within a transaction each try is a savepoint of it. Raises one of ``GAVE_UP`` after the last attempt.
    """
    patience = patience or Patience()
    connection.execute("select set_config('lock_timeout', %s, false)", (f"{LOCK_TIMEOUT_MS}ms",))
    for attempt in range(1, patience.attempts + 1):
        is_within = connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
        try:
            with connection.transaction() if is_within else nullcontext():
                connection.execute(statement.encode())
            return
        except GAVE_UP as error:
            if attempt == patience.attempts:
                raise
            log(f"{statement}: {str(error).splitlines()[0]}, trying again")
            time.sleep(patience.pause(attempt))
