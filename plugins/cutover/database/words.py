"""What PostgreSQL says, in words that tell what to do: the errors that no phase causes and every phase can meet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cutover.errors import CutoverError
from cutover.masking import HIDDEN, masked, masked_text

if TYPE_CHECKING:
    import psycopg

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
        "CU001",
        "run.asked",
        "what a person was asked about is final",
        "trigger a new run. Of this one only what comes after the question may be cleared.",
    ),
    (
        "42P01",
        "database.unknown-name",
        "a statement names a table that is not there",
        "write the name with its schema (staging.leads, and not leads): nothing is looked for elsewhere. If somebody "
        "dropped or renamed it while the run was under way, trigger a new run.",
    ),
    (
        "42883",
        "database.unknown-name",
        "a statement calls a function that is not there",
        "write the name with its schema (cutover.email_key, and not email_key), with arguments of its types: nothing "
        "is looked for elsewhere.",
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

    What PostgreSQL adds about the row is kept, without its values. What was done in the transaction is undone: each
    task may be cleared.
    """
    # slow to import, and operators name some of the codes
    import psycopg

    # a connection that is lost has no SQLSTATE to tell
    state = error.sqlstate or ("08006" if isinstance(error, psycopg.OperationalError) else "")
    code, what, remedy = next(
        (meaning for prefix, *meaning in _MEANINGS if state.startswith(prefix)),
        _OTHER,
    )
    return CutoverError(code, obj, f"{what} ({state or 'no SQLSTATE'}: {said(error)}).", remedy)


# Classes of SQLSTATE whose messages quote values: of data, of constraints, and what functions raise themselves.
_OF_VALUES = ("2", "38", "39", "44", "P0")
# A quoted word behind one of these is a name of the catalogue, and no value.
_NAMED = (
    "column|relation|table|constraint|index|domain|type|enum|schema|function|procedure|view|sequence|trigger|policy|"
    "role|user|database|parameter|encoding|extension|operator|rule|partition|variable|cursor|field|attribute"
)
_NAME = re.compile(rf'\b(?:{_NAMED}) "[^"]*"')
# Of a row only what tells which one it is: an id made by a machine, in a column that is one.
_FAILING_ROW = re.compile(r"Failing row contains \((?:\(.*?\) = \()?(.*?)[,)]", re.DOTALL)
_KEY = re.compile(r"Key \((.*?)\)=\((.*)\)([^()]*)", re.DOTALL)
_ID = re.compile(r"[0-9]{1,19}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_COLUMN = re.compile(r'"?(\w*_)?(id|no|run)"?', re.IGNORECASE)


def said(error: psycopg.Error) -> str:
    """What PostgreSQL says of an error, as it may be shown: the ids of the row, and no other value of it."""
    primary = error.diag.message_primary or " ".join(str(error).split())
    state = error.sqlstate or ""
    shown = _without_values(primary) if state.startswith(_OF_VALUES) else masked_text(primary)
    detail = error.diag.message_detail or ""
    return ". ".join(part.rstrip(".") for part in (shown, said_detail(detail, state)) if part)


def said_detail(detail: str, state: str = "23") -> str:
    """What PostgreSQL adds to an error, as it may be shown."""
    if detail.startswith("Failing row contains"):
        match = _FAILING_ROW.match(detail)
        # the first column is the key, in every table that is written here
        return f"The row begins with {match[1]}" if match and _ID.fullmatch(match[1]) else ""
    if match := _KEY.fullmatch(detail):
        names, values, after = match[1].split(", "), match[2].split(", "), match[3]
        alike = len(names) == len(values)
        shown = [
            value if alike and _ID_COLUMN.fullmatch(names[place]) and _ID.fullmatch(value) else str(masked(value))
            for place, value in enumerate(values)
        ]
        return f"Key ({match[1]})=({', '.join(shown)}){_without_values(after)}"
    return _without_values(detail) if state.startswith(_OF_VALUES) else masked_text(detail)


def _without_values(message: str) -> str:
    """A message with what it quotes masked, names of the catalogue apart.

    A value may hold quotes itself, and PostgreSQL does not double them: from the first one on nothing quoted is shown.
    """
    start = 0
    while (opened := message.find('"', start)) >= 0:
        name = next((match for match in _NAME.finditer(message, start) if match.end() > opened), None)
        if name is None or name.start() > opened:
            closed = message.rfind('"')
            return masked_text(f'{message[:opened]}"{HIDDEN}"{message[closed + 1 :] if closed > opened else ""}')
        start = name.end()
    return masked_text(message)
