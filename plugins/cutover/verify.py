"""Verify: what a swap or rollback promised, looked up again after it."""

from __future__ import annotations

from typing import Any

from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.records import ledger
from cutover.swap import outside
from cutover.swap.finish import finish


def certificate(connect: Connect, this_run: str, log: Log, leaving: outside.Policy | None = None) -> dict[str, Any]:
    """Finish what may be unfinished, certify again, and return the entry's key figures.

    Raises CutoverError ``verify.nothing-happened`` if the run has no ledger entry, ``verify.certificate`` if an
    object outside the backup refers to an old table or a foreign key is not validated.
    """
    with opened(connect, autocommit=True) as connection:
        entry = ledger.find(connection, this_run)
        if entry is None:
            raise CutoverError(
                "verify.nothing-happened",
                f"run {this_run}",
                "the ledger has no entry for it: nothing was swapped.",
                "look at the task before this one.",
            )
        finish(connection, entry, log, leaving)
    waited = (entry.recorded_at - entry.locked_at).total_seconds() * 1000
    log(f"entry {entry.entry}: clients waited at most {waited:.0f} ms; backup in {entry.backup_schema}")
    return {"entry": entry.entry, "clients_waited_ms": round(waited, 1), "backup_schema": entry.backup_schema}
