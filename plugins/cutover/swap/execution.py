"""Statements sent in one message or one by one, and what PostgreSQL refuses of them in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg
from psycopg import sql

from cutover.database import answer, patience
from cutover.swap.plan import Statement


class Observer:
    """Called at the boundaries of a swap. The default does nothing; tests stop or break the process there."""

    def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
        """Before a statement of the move. If overridden, statements are sent one by one."""

    def at(self, moment: str) -> None:
        """At a named moment: ``planned``, ``locking``, ``locked``, ``recorded``, ``committed``, ``finished``."""


def run(connection: psycopg.Connection, statements: Sequence[Statement], observer: Observer | None) -> None:
    if not statements:
        return
    if observer is None or type(observer).before_statement is Observer.before_statement:
        # One round trip for all of them: clients wait for every one saved. As a DO statement, because psycopg takes an
        # ALTER or DROP for a reason to forget prepared statements, and clients would wait for the proof to be planned.
        lines = ["begin", *(f"execute {sql.Literal(s.text).as_string(connection)};" for s in statements), "end"]
        try:
            connection.execute(sql.SQL("do {}").format(sql.Literal("\n".join(lines))))
        except psycopg.Error as error:
            raise _refused(error, _at(error, lines, statements)) from error
        return
    for statement in statements:
        observer.before_statement(connection, statement)
        try:
            connection.execute(statement.text.encode())
        except psycopg.Error as error:
            raise _refused(error, statement) from error


def _at(error: psycopg.Error, lines: list[str], statements: Sequence[Statement]) -> Statement:
    """The statement of the block that failed: the error's context says in which line it begins."""
    found = re.search(r"inline_code_block line (\d+)", error.diag.context or "")
    line = int(found.group(1)) if found else 0
    begins = 2
    for text, statement in zip(lines[1:], statements, strict=False):
        if begins <= line <= begins + text.count("\n"):
            return statement
        begins += text.count("\n") + 1
    return statements[0]


def _refused(error: psycopg.Error, statement: Statement) -> Exception:
    """The error as a message; as it is where the attempt has only been given up, or the session has been ended."""
    if isinstance(error, patience.GAVE_UP) or answer.lost(error):
        return error
    return answer.refused("swap.cannot-move", statement.object, statement.text, error)
