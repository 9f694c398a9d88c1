"""Statements sent in one message or one by one, and what PostgreSQL refuses of them in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from cutover.database import answer, patience
from cutover.swap.plan import Stage, Statement


class Observer:
    """Called at the boundaries of a swap. The default does nothing; tests stop or break the process there."""

    def before_statement(self, connection: psycopg.Connection, statement: Statement) -> None:
        """Before a statement of the move. If overridden, statements are sent one by one."""

    def at(self, moment: str) -> None:
        """At a named moment: ``planned``, ``locking``, ``locked``, ``recorded``, ``committed``, ``finished``."""


@dataclass(frozen=True)
class Block:
    """Statements, and the one message that has all of them; composed before the lock, since clients wait for that, too.

    A DO statement, because psycopg takes an ALTER or DROP for a reason to forget prepared statements, and clients would
    wait for the proof to be planned.
    """

    statements: tuple[Statement, ...]
    lines: tuple[str, ...]
    message: sql.Composed

    @classmethod
    def of(cls, connection: psycopg.Connection, stages: Sequence[Stage]) -> Block:
        """The statements of all stages, in their order."""
        statements = tuple(statement for stage in stages for statement in stage.statements)
        lines = ("begin", *(f"execute {sql.Literal(s.text).as_string(connection)};" for s in statements), "end")
        return cls(statements, lines, sql.SQL("do {}").format(sql.Literal("\n".join(lines))))


def run(connection: psycopg.Connection, block: Block, observer: Observer | None) -> None:
    """Execute the statements: in one round trip, or one by one for an observer that looks at each."""
    if not block.statements:
        return
    if observer is None or type(observer).before_statement is Observer.before_statement:
        try:
            connection.execute(block.message)
        except psycopg.Error as error:
            raise _refused(error, _at(error, block)) from error
        return
    for statement in block.statements:
        observer.before_statement(connection, statement)
        try:
            connection.execute(statement.text.encode())
        except psycopg.Error as error:
            raise _refused(error, statement) from error


def _at(error: psycopg.Error, block: Block) -> Statement:
    """The statement of the block that failed: the error's context says in which line it begins."""
    context = re.search(r"inline_code_block line (\d+)", error.diag.context or "")
    line = int(context.group(1)) if context else 0
    begins = 2
    for text, statement in zip(block.lines[1:], block.statements, strict=False):
        if begins <= line <= begins + text.count("\n"):
            return statement
        begins += text.count("\n") + 1
    return block.statements[0]


def _refused(error: psycopg.Error, statement: Statement) -> Exception:
    """The error as a message; as it is where the attempt has only been given up, or the session has been ended."""
    if isinstance(error, patience.GAVE_UP) or answer.lost(error):
        return error
    return answer.refused("swap.cannot-move", statement.object, statement.text, error)
