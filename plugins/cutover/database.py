"""What PostgreSQL says, in words that tell what to do: the errors that no phase causes and every phase can meet."""

from __future__ import annotations

import re

import psycopg

from cutover.errors import CutoverError
from cutover.validate.masking import masked, masked_text

# Worth another try without anybody doing anything.
PASSING = ("connect.unreachable", "database.ended", "database.conflict")

# SQLSTATE, or the class that it begins with → code, what has happened, and what clears it. The first match counts.
_MEANINGS: tuple[tuple[str, str, str, str], ...] = (
    (
        "53",
        "database.out-of-room",
        "the server has run out of something",
        "make room on the server (disk, memory, connections, or the limit that it names), then clear the task.",
    ),
    (
        "57014",
        "database.cancelled",
        "a statement was cancelled, by a person or by a time limit",
        "find out who or which limit it was (the server's log has it), then clear the task.",
    ),
    (
        "57P",
        "database.ended",
        "the server ended the session",
        "see that the server is up again. Airflow tries again by itself; after that, clear the task.",
    ),
    (
        "08",
        "database.ended",
        "the connection broke",
        "see that the server can be reached. Airflow tries again by itself; after that, clear the task.",
    ),
    (
        "40",
        "database.conflict",
        "another session was in the way",
        "nothing: Airflow tries again by itself. If it goes on, find out what else writes to these tables.",
    ),
    (
        "55P03",
        "database.locked",
        "a lock was not to be had in time",
        "see who holds it (pg_locks, pg_stat_activity), let that end, then clear the task.",
    ),
    (
        "25006",
        "database.read-only",
        "the server takes no writes",
        "let the connection point to the primary, and look for default_transaction_read_only; then clear the task.",
    ),
    (
        "42501",
        "database.not-allowed",
        "the connection's user lacks a right",
        "grant what docs/roles.md lists, then clear the task.",
    ),
    (
        "22",
        "database.value",
        "a value does not fit",
        "correct the row where it comes from, or have the transform reject it; then clear the run from freeze on.",
    ),
    (
        "23",
        "database.value",
        "a row does not fit the others",
        "correct the row where it comes from, or have the transform reject it; then clear the run from freeze on.",
    ),
)
_OTHER = (
    "database.statement",
    "a statement does not fit the database",
    "if somebody altered a table while the run was under way, trigger a new run; else correct the statement.",
)


def explain(error: psycopg.Error, obj: str) -> CutoverError:
    """The error as one that a person can clear. ``obj`` is what met it.

    What PostgreSQL adds about the row is kept, with personal data masked. What was done in the transaction is undone:
    each task may be cleared.
    """
    # a connection that is lost has no SQLSTATE to tell
    state = error.sqlstate or ("08006" if isinstance(error, psycopg.OperationalError) else "")
    code, what, remedy = next(
        (meaning for prefix, *meaning in _MEANINGS if state.startswith(prefix)),
        _OTHER,
    )
    said = masked_text(error.diag.message_primary or " ".join(str(error).split()))
    told = ". ".join(part.rstrip(".") for part in (said, _masked_detail(error.diag.message_detail or "")) if part)
    return CutoverError(code, obj, f"{what} ({state or 'no SQLSTATE'}: {told}).", remedy)


_KEY = re.compile(r"(Key \(.*?\)=\()(.*)(\) .*)", re.DOTALL)
_ID = re.compile(r"[0-9]+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _masked_detail(detail: str) -> str:
    """What PostgreSQL adds, as it may be shown: of a key the ids, of a whole row nothing."""
    if detail.startswith("Failing row contains"):
        return ""
    if found := _KEY.fullmatch(detail):
        before, values, after = found.groups()
        shown = [value if _ID.fullmatch(value) else str(masked(value)) for value in values.split(", ")]
        return before + ", ".join(shown) + after
    return masked_text(detail)
