"""The rows of some people as they were before the newest launch, from its backup, over the live tables.

In one transaction, after a preview that is the same thing done and taken back. What is in the rows by then is kept in
``cutover.restored_row``. ``people`` reads who is meant, ``plan`` finds what is not as it was, ``writing`` puts it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from cutover import request
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.database.patience import GAVE_UP, Patience
from cutover.errors import PROGRAM, CutoverError
from cutover.person import digests_of
from cutover.records import approval, chain, ledger, phase, run
from cutover.restore import people as _people
from cutover.restore import plan as _plan
from cutover.restore import writing
from cutover.restore.plan import Plan, Refusal

if TYPE_CHECKING:
    from cutover.migration import Migration

ACTION = "restore_people"
_REQUESTS = request.Kind(ACTION, "restoration", "restoration_id")
_REFUSALS_SHOWN = 20
_T = TypeVar("_T")


class _MovedError(Exception):
    """A row was written to between reading and locking: to be tried again."""


@dataclass(frozen=True)
class Preview:
    """What restoring would do. ``counts``: table → change, come, go, same, lost, deleted_since, lost_columns."""

    source: str
    backup_schema: str
    people: int
    counts: dict[str, dict[str, Any]]
    new_tables: list[str]
    # runs that wait, and carry these writes at their swap
    runs: list[str]
    refusals: list[Refusal]
    # seconds for which writers of the tables waited for the preview; what is approved takes longer: it compares anew
    seconds: float
    fingerprint: str
    digests: list[str]

    @property
    def rows(self) -> int:
        """How many rows are not as they were."""
        return sum(of[name] for of in self.counts.values() for name in (_plan.CHANGE, _plan.COME, _plan.GO))

    def as_dict(self) -> dict[str, Any]:
        """As it is kept: numbers, and nobody's name."""
        return {**vars(self), "refusals": [vars(refusal) for refusal in self.refusals]}


def read(path: Path) -> list[str]:
    """Whom a file names. Raises CutoverError ``restore.no-file`` and ``restore.odd-lines``."""
    return _people.read(path)


def ask(connection: psycopg.Connection, migration: Migration, values: list[str], by: str) -> int:
    """Write down that somebody wants people's rows restored; returns the number of the request.

    They stand in this one row in clear until it is done; a run knows the number alone. Raises as ``people.find`` does.
    """
    digests = digests_of(connection, _people.find(connection, migration, values).together)
    return request.ask(connection, _REQUESTS, migration.migration, subject="\n".join(values), digests=digests, by=by)


def values_of(connection: psycopg.Connection, migration: Migration, number: int) -> list[str]:
    """Whom a request is about. Raises ``restore.no-request``."""
    subject = request.subject_of(connection, _REQUESTS, migration.migration, number)
    if subject is None:
        raise CutoverError(
            "restore.no-request",
            f"request {number} of {migration.migration}",
            "there is none of this number, or it has been done.",
            f"make one: {PROGRAM} restore people.csv --ask",
        )
    return subject.split("\n")


def preview(connect: Connect, migration: Migration, values: list[str], log: Log) -> Preview:
    """What restoring would do: it is done and taken back. Writers of the tables wait for the writing alone.

    Raises as ``plan.make`` does, and ``restore.locked-out``.
    """
    return _patiently(connect, log, lambda connection: _preview(connection, migration, values))


def _preview(connection: psycopg.Connection, migration: Migration, values: list[str]) -> Preview:
    plan = _plan.make(connection, migration, _prepare(connection, migration, values))
    refusals, seconds = plan.refusals, 0.0
    if plan.rows and not refusals:
        writers = writing.writers_of(connection, plan)
        with connection.transaction(force_rollback=True):
            began = _lock(connection, plan.tables)
            if writing.has_moved(connection, plan):
                raise _MovedError("one of the people's rows was written to a moment ago")
            refusals = writing.write(connection, plan, writers)
            seconds = time.monotonic() - began
    return Preview(
        source=plan.source.run,
        backup_schema=plan.source.backup_schema,
        people=plan.people,
        counts=plan.counts(),
        new_tables=plan.new_tables,
        runs=run.waiting(connection, migration.migration),
        refusals=refusals,
        seconds=round(seconds, 3),
        fingerprint=plan.fingerprint,
        digests=plan.digests,
    )


def restore(
    connect: Connect, migration: Migration, number: int, *, by: str, fingerprint: str, log: Log
) -> dict[str, Any]:
    """Restore whom a request is about, if it is still what the preview of this fingerprint showed.

    Returns what was done, as it is kept. Raises as ``preview`` does, CutoverError ``restore.refused`` for what cannot
    be as it was, and ``restore.changed``.
    """

    def work(connection: psycopg.Connection) -> dict[str, Any]:
        values, _ = _request(connection, migration, number, None)
        assert values is not None  # only a run's request may be done already
        plan = _locked_plan(connection, migration, _prepare(connection, migration, values))
        if plan.fingerprint != fingerprint:
            raise CutoverError(
                "restore.changed",
                f"request {number} of {migration.migration}",
                "people's rows, or the launch, are not what the preview showed any more; nothing was changed.",
                "look at a new preview.",
            )
        return _restore(connection, migration, plan, number, by=by)

    return _patiently(connect, log, work)


def _prepare(connection: psycopg.Connection, migration: Migration, values: list[str]) -> _people.People:
    # rows that a policy hides must be an error here
    connection.execute("select set_config('row_security', 'off', true)")
    return _people.find(connection, migration, values)


def _locked_plan(connection: psycopg.Connection, migration: Migration, people: _people.People) -> Plan:
    """The plan, of tables that nobody else writes to until this transaction ends."""
    source = _plan.source_of(connection, migration)
    # what reading alone finds out keeps no writer waiting; looking for people who were not there takes seconds for each
    _plan.make(connection, migration, people)
    _lock(connection, _plan.tables_of_entry(connection, source))
    return _plan.make(connection, migration, people)


def _lock(connection: psycopg.Connection, tables: Sequence[_plan.Restored]) -> float:
    """Keep writers out of the tables until this transaction ends; returns since when, by the monotonic clock.

    Raises CutoverError ``swap.another-run``, and of ``GAVE_UP``.
    """
    writing.lock(connection, tables)
    began = time.monotonic()
    if not ledger.take_turn(connection, "swap"):
        raise CutoverError(
            "swap.another-run",
            "this database",
            "a run is swapping or rolling back at this moment.",
            "wait for it to end.",
        )
    return began


def _restore(
    connection: psycopg.Connection,
    migration: Migration,
    plan: Plan,
    number: int,
    *,
    by: str,
    this_run: str | None = None,
    approved: list[chain.Row] | None = None,
) -> dict[str, Any]:
    require_possible(plan.refusals, number)
    writing.keep(connection, plan, number)
    require_possible(writing.write(connection, plan, writing.writers_of(connection, plan)), number)
    certificate = _certify(connection, migration, plan, number)
    content = {"counts": plan.counts(), "new_tables": plan.new_tables, "people": plan.people}
    connection.execute(
        files.statement("restore/record.sql"),
        {
            "number": number,
            "run": this_run,
            "source": plan.source.run,
            "backup_schema": plan.source.backup_schema,
            "fingerprint": plan.fingerprint,
            "by": by,
            "counts": Jsonb(content),
            "certificate": Jsonb(certificate),
        },
    )
    says = {
        "restoration": number,
        "source": plan.source.run,
        "fingerprint": plan.fingerprint,
        "digests": plan.digests,
        "certificate": certificate,
        **content,
    }
    chain.append(connection, "restoration", this_run, approved or [], says=says)
    return {"number": number, "certificate": certificate, **content}


def _certify(connection: psycopg.Connection, migration: Migration, plan: Plan, number: int) -> dict[str, Any]:
    """Compare again, in the same transaction: every row of the people is as the backup has it, or nothing is done."""
    again = _plan.make(connection, migration, plan.of)
    if again.rows or again.refusals:
        raise CutoverError(
            "restore.not-as-before",
            f"request {number} of {migration.migration}",
            f"{again.rows + len(again.refusals)} rows are not as the backup has them after all; nothing was changed.",
            "restore these people's rows through the application.",
        )
    compared = sum(table.same for table in again.tables)
    return {"compared": compared, "different": 0, "at": datetime.now(timezone.utc).isoformat(timespec="seconds")}


def require_possible(refusals: list[Refusal], number: int) -> None:
    """Raise CutoverError ``restore.refused`` if there is any: it is done as a whole or not at all."""
    if refusals:
        more = len(refusals) - _REFUSALS_SHOWN
        raise CutoverError(
            "restore.refused",
            f"request {number}" if number else "the people of the list",
            "not every row can be as it was; nothing was changed."
            + "".join(f"\n    {refusal}" for refusal in refusals[:_REFUSALS_SHOWN])
            + (f"\n    and {more:,} more" if more > 0 else ""),
            "clear each of these, and look at a new preview.",
        )


def lines(foreseen: Preview) -> list[str]:
    """What would be done, in words; nobody is named."""
    sentences = [
        f"{foreseen.people:,} people, as they were before {foreseen.source} (from {foreseen.backup_schema}). "
        f"Writers of these tables waited {foreseen.seconds * 1000:,.0f} ms for this preview."
    ]
    for name, of in foreseen.counts.items():
        sentences.append(
            f"{name}: {of['change']:,} change, {of['come']:,} come, {of['go']:,} go; {of['same']:,} are as they were."
        )
        if of["lost"]:
            sentences.append(
                f"{name}: {of['lost']:,} of them were written since the launch. That would be lost here; the rows are "
                "kept in cutover.restored_row."
            )
        if of["deleted_since"]:
            sentences.append(f"{name}: {of['deleted_since']:,} that come were deleted since the launch by somebody.")
        if of["lost_columns"]:
            sentences.append(f"{name}: what these columns held does not come back: {', '.join(of['lost_columns'])}.")
    if not foreseen.rows:
        sentences.append("Every row is as it was already.")
    sentences += [f"{name} had no predecessor, and stays as it is." for name in foreseen.new_tables]
    sentences += [
        f"run {name} waits: it carries these writes at its swap, as it does anybody's. What it has staged stays."
        for name in foreseen.runs
    ]
    sentences += [f"cannot be: {refusal}" for refusal in foreseen.refusals]
    return sentences


def fingerprint_of(connection: psycopg.Connection, migration: Migration, row: run.Run) -> str:
    """What an approval is about: every row that would be restored, as it is and was, at this moment."""
    values = values_of(connection, migration, int((row.review or {})["request"]))
    return _plan.make(connection, migration, _prepare(connection, migration, values)).fingerprint


def review(connect: Connect, migration: Migration, this_run: str, number: int, log: Log) -> list[str]:
    """Preview a request, and store the figures with their fingerprint in the run's row.

    Raises CutoverError ``restore.no-request``, ``restore.refused``, and as ``preview`` does.
    """
    with opened(connect) as connection:
        made_from = phase.require(connection, migration, this_run, "review", ACTION)
        values = values_of(connection, migration, number)
    foreseen = preview(connect, migration, values, log)
    for line in lines(foreseen):
        log(line)
    require_possible(foreseen.refusals, number)
    with opened(connect) as connection:
        stored = {"request": number, "lines": lines(foreseen), **foreseen.as_dict()}
        request.keep_review(
            connection,
            migration,
            this_run,
            _REQUESTS,
            made_from=made_from,
            content=stored,
            fingerprint_of=lambda _: foreseen.fingerprint,
        )
    return lines(foreseen)


def markdown(review: dict[str, Any]) -> str:
    """The figures as the approval form shows them."""
    bullets = "\n".join(f"* {line}" for line in review["lines"])
    return f"Puts the rows of the people of request {review['request']} back as they were.\n\n{bullets}"


def restore_reviewed(connect: Connect, migration: Migration, this_run: str, log: Log) -> dict[str, Any]:
    """Restore whom the approved request is about; done already, it says what was done.

    Raises CutoverError ``swap.not-approved``, also where the rows are not what was approved any more, and
    ``restore.own-request``.
    """

    def work(connection: psycopg.Connection) -> dict[str, Any]:
        row = run.get(connection, this_run)
        number = int((row.review or {})["request"])
        values, asked = _request(connection, migration, number, this_run)
        if values is None:
            return {"number": number, **asked["counts"]}
        plan = _locked_plan(connection, migration, _prepare(connection, migration, values))
        given = approval.consume(connection, this_run, ACTION, plan.fingerprint, "people's rows were written since")
        if given.approved_by == asked["requested_by"]:
            raise CutoverError(
                "restore.own-request",
                f"request {number} of {migration.migration}",
                f"{given.approved_by} has made it, and has approved it.",
                "have somebody else approve it, in a new run.",
            )
        run.note(connection, this_run, finished_at=datetime.now(timezone.utc))
        return _restore(
            connection, migration, plan, number, by=given.approved_by, this_run=this_run, approved=[given.row]
        )

    return _patiently(connect, log, work)


def _request(
    connection: psycopg.Connection, migration: Migration, number: int, this_run: str | None
) -> tuple[list[str] | None, dict[str, Any]]:
    """Whom a request is about, locked against another that does it; None if this very run has done it."""
    values = {"number": number, "migration": migration.migration}
    row = connection.execute(files.statement("restore/lock_request.sql"), values).fetchone()
    asked = dict(zip(("subject", "requested_by", "run", "counts"), row, strict=True)) if row else {}
    if asked.get("subject") is None and (this_run is None or asked.get("run") != this_run):
        values_of(connection, migration, number)  # says that there is none
    return asked["subject"].split("\n") if asked["subject"] is not None else None, asked


def _patiently(connect: Connect, log: Log, work: Callable[[psycopg.Connection], _T]) -> _T:
    """Do it in a transaction of its own, which gives up its place in a queue for a lock early, and is tried again."""
    patience = Patience()
    for attempt in range(1, patience.attempts + 1):
        try:
            with opened(connect) as connection:
                return work(connection)
        except (*GAVE_UP, _MovedError) as error:
            if attempt == patience.attempts:
                raise CutoverError(
                    "restore.locked-out",
                    "the tables",
                    f"a session was in the way through all attempts: {str(error).splitlines()[0]}.",
                    "end the long transaction (see pg_stat_activity and pg_locks), then do it again.",
                ) from error
            log(f"{str(error).splitlines()[0]}, trying again")
            time.sleep(patience.pause(attempt))
    raise AssertionError("the last attempt returns or raises")
