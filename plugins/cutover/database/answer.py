"""What PostgreSQL answers while a swap is prepared or run, as a message: code, object, statement and what clears it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from cutover.errors import CutoverError
from cutover.masking import masked_text

_GONE = (
    "something that it names is not there: if a deploy changed it meanwhile, clear the task; else start a new run, "
    "which names what is missing."
)
# By SQLSTATE, or its class: the longest that fits. Whatever the step.
_REMEDIES = {
    "25006": "let the connection point to the primary, and see default_transaction_read_only; then clear the task.",
    "40": "another session works on the same objects: wait for a quieter moment, then clear the task.",
    "42501": "give the engine's role the right that the message names (docs/roles.md), then clear the task.",
    "53": "give the server the room, memory or connections that it lacks, then clear the task.",
    "55P03": "see who holds a lock on the object (pg_locks, pg_stat_activity), let that end, then clear the task.",
    "57014": "find out who or which time limit cancelled it (the server's log has it), then clear the task.",
    "58": "look at the server's log and disk, then clear the task.",
    "P0": "a trigger, an event trigger or a function of the database says this: clear its cause, or switch it off for "
    "the time of the swap; then clear the task.",
}
# What production's tables and the incoming ones differ in, or what stands in the way of a statement about one object.
_REMEDIES_OF_STATEMENTS = {
    "42P07": "another object has that name already in the schema where it is made: rename one of both, then clear the "
    "task.",
    "42710": "another object has that name already: rename one of both, then clear the task.",
    **dict.fromkeys(("42P01", "42703", "42704", "42883"), _GONE),
    "23": "incoming rows break a rule that production's table has: correct the migration's SQL, then start a new run.",
    "22": "a value of the incoming rows does not fit: correct the migration's SQL, then start a new run.",
    "55": "the object is in a state that does not allow it: change that, then clear the task.",
    "0A": "this PostgreSQL cannot do that: drop the object for the time of the swap and make it again afterwards.",
    "": "drop the object named for the time of the swap and make it again afterwards; then clear the task.",
}
# Connections that fail, a server that shuts down or restarts, and sessions that it ends for idling or lasting too long.
_SESSION_ENDED = ("08", "57P", "25P03", "25P04")
_UNCHANGED = "Nothing was changed."
_MOST = 300


def refused(
    code: str, obj: str, statement: str, error: psycopg.Error, *, state: str = _UNCHANGED, otherwise: str | None = None
) -> CutoverError:
    """What PostgreSQL refused, and what clears it.

    ``state`` is what that leaves behind; ``otherwise`` the remedy where the SQLSTATE tells none, if that is not about
    an object of the set.
    """
    sqlstate = error.sqlstate or ""
    remedies = _REMEDIES | (_REMEDIES_OF_STATEMENTS if otherwise is None else {"": otherwise})
    remedy = next(remedies[sqlstate[:length]] for length in (5, 2, 0) if sqlstate[:length] in remedies)
    # what a file says about itself is no part of the statement; a value in it may be a person's
    shown = masked_text(" ".join(re.sub(r"^\s*--.*$", "", statement, flags=re.MULTILINE).split()))
    by = _function(error.diag.context or "")
    return CutoverError(
        code,
        obj,
        f"PostgreSQL does not accept `{shown[:_MOST]}{'…' if len(shown) > _MOST else ''}`: "
        f"{masked_text(error.diag.message_primary or str(error)).rstrip('.')} "
        f"({sqlstate or 'no SQLSTATE'}{f', in {by}' if by else ''}). {state}",
        remedy,
    )


@contextmanager
def as_error(code: str, obj: str, *, state: str = _UNCHANGED, otherwise: str | None = None) -> Iterator[None]:
    """Ends a block that PostgreSQL refuses with CutoverError ``code``, about the object that it names, else ``obj``.

    Passes on as it is what says nothing about any object, what may pass by itself, and what has words of its own.
    """
    try:
        yield
    except psycopg.Error as error:
        if lost(error) or (error.sqlstate or "").startswith(("40", "CU")):
            raise
        # what has no statement was refused at the end of its transaction
        statement = getattr(error, "statement", "commit")
        raise refused(code, _named(error.diag) or obj, statement, error, state=state, otherwise=otherwise) from error


def lost(error: psycopg.Error) -> bool:
    """Whether the server went away or ended the session, which says nothing about any object."""
    state = error.sqlstate or ("08" if isinstance(error, psycopg.OperationalError) else "")
    return state.startswith(_SESSION_ENDED)


def _named(said: psycopg.errors.Diagnostic) -> str:
    """The object that PostgreSQL names beside its message: a table, and what of it."""
    table = ".".join(part for part in (said.schema_name, said.table_name) if part)
    if said.constraint_name:
        return f"{table}:{said.constraint_name}" if table else said.constraint_name
    return f"{table}.{said.column_name}" if table and said.column_name else table


def _function(context: str) -> str:
    """The innermost function that was at work; the block in which the move is sent is none."""
    match = re.search(r"^PL/pgSQL function (?!inline_code_block)(.+?) line \d+", context, re.MULTILINE)
    return match.group(1) if match else ""
