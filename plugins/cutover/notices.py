"""What people are told of, once each: questions and answers, what went live, what fails, and what grows.

An event is found in the records of the target database and never in the state of a task, and is written down under a
name of its own (``cutover.event``): whoever looks again, at the same time or after a clear, finds it there. How it was
told by each way is ``cutover.delivery``. Nothing here sends anything; the operators do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
from psycopg.rows import class_row, dict_row

from cutover import approve, retention
from cutover.database import statements as files
from cutover.errors import CutoverError
from cutover.masking import masked_text
from cutover.migration import Migration
from cutover.migration.quorum import in_person
from cutover.records.phase import SWAP

# Hours. What happened longer ago is no news: nobody is told of it after an upgrade, or after a day without a look.
NEWS_H = 24
# Seconds for which whoever tells has an event for itself; more than telling may take. After them another look may try.
CLAIM_S = 120
# How often one way is tried for one event. At a look every five minutes that is most of an hour.
TRIES = 10

# What a run is in, by (DAG, run); None where that is not known.
StateOf = Callable[[str, str], str | None]


@dataclass(frozen=True)
class Limits:
    """When there is something to tell.

    ``remind_minutes`` before its end a question is told again; ``sync_hours`` is how long a source may fail before that
    is told; backups are told of when one is older than ``backups_days`` and may go, or all of them are larger than
    ``backups_gb`` (None: whatever they are).
    """

    remind_minutes: float = 60
    sync_hours: float = 3
    backups_days: int = 30
    backups_gb: float | None = None


@dataclass(frozen=True)
class Event:
    """Something that people are told of. ``about`` says which one of its kind; there is one of each.

    ``dag_file`` is where to find notifiers that were passed to the question's own task; after ``lasts`` it is no news.
    ``settled`` are the ways by which nobody need tell it any more.
    """

    migration: str
    kind: str
    about: str
    dag_id: str
    subject: str
    lines: tuple[str, ...]
    run: str | None = None
    dag_run_id: str | None = None
    task_id: str | None = None
    dag_file: str | None = None
    lasts: timedelta = timedelta(hours=NEWS_H)
    event_id: int | None = None
    settled: tuple[str, ...] = ()


def is_there(connection: psycopg.Connection) -> bool:
    """Whether this version has been installed: an earlier one has no place for what was told."""
    return connection.execute(files.statement("notices/is_there.sql")).fetchone() == (True,)


def add(connection: psycopg.Connection, event: Event) -> bool:
    """Write an event down, with addresses masked. Returns whether it is new."""
    values = {name: value for name, value in vars(event).items() if name not in ("event_id", "settled")}
    values |= {"lines": [masked_text(line) for line in event.lines], "subject": masked_text(event.subject)}
    return connection.execute(files.statement("notices/add.sql"), values).rowcount == 1


def question(connection: psycopg.Connection, run: str) -> str:
    """What the newest question of a run is called: another one, once it was withdrawn and asked again."""
    row = connection.execute(files.statement("notices/question.sql"), {"run": run}).fetchone()
    assert row is not None
    return f"{run} {row[0]}"


def fail(connection: psycopg.Connection, error: CutoverError | None, **where: Any) -> None:
    """Write down that a task has failed for good; ``where`` are the columns of ``cutover.failure`` that say which."""
    remedy = error.remedy if error else "read the log of the task; clear the task once its cause is gone."
    values = {**where, "code": error.code if error else None, "remedy": masked_text(remedy)}
    connection.execute(files.statement("notices/fail.sql"), values)


def look(
    connection: psycopg.Connection, migration: Migration, limits: Limits, state_of: StateOf | None = None
) -> list[Event]:
    """Write down whatever has happened and is not on record yet. Returns what is new.

    Without ``state_of``, only what the records alone can say: that a question waits, or that a run which says nothing
    has failed, is told when Airflow has been asked about it.
    """
    events = [
        *_answers(connection, migration),
        *_decisions(connection, migration),
        *_entries(connection, migration),
        *_failures(connection, migration),
        *_syncs(connection, migration, limits),
        *_backups(connection, migration, limits),
    ]
    if state_of is not None:
        events += [*_waiting(connection, migration, limits, state_of), *_silent(connection, migration, state_of)]
    return [event for event in events if add(connection, event)]


def news(connection: psycopg.Connection, migration: Migration, *, again: bool) -> list[Event]:
    """Events that are still news, told or not, oldest first; ``again``: what could not be sent is to be tried again."""
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        return cursor.execute(
            files.statement("notices/news.sql"), {"migration": migration.migration, "tries": TRIES, "again": again}
        ).fetchall()


def claim(connection: psycopg.Connection, event: Event, way: str) -> bool:
    """Whether the caller is to tell this event by this way now: still news, not told, and nobody else is telling it.

    To be committed before anything is sent. Whoever dies between sending and ``settle`` leaves the claim behind, and
    once that is over another look tries again: rather twice than never.
    """
    values = {"event": event.event_id, "way": way, "seconds": CLAIM_S, "tries": TRIES}
    return connection.execute(files.statement("notices/claim.sql"), values).fetchone() is not None


def settle(connection: psycopg.Connection, event: Event, way: str, error: str | None, *, hung: bool = False) -> None:
    """Write down how it went. After an ``error`` a later look tries again; only once more if it ``hung``."""
    values = {"event": event.event_id, "way": way, "error": error, "hung": hung, "tries": TRIES}
    connection.execute(files.statement("notices/settle.sql"), values)


def _rows(connection: psycopg.Connection, name: str, migration: Migration, **values: Any) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            files.statement(f"notices/{name}.sql"), {"migration": migration.migration, **values}
        ).fetchall()


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _decisions(connection: psycopg.Connection, migration: Migration) -> Iterator[Event]:
    name = migration.migration
    for row in _rows(connection, "decisions", migration, hours=NEWS_H):
        what, person = f"the {row['action']} of run {row['run']}", in_person(row["person"], row["answers_for"])
        kind, subject, line = {
            "approve": ("approved", f"{person} has approved {what}", "It goes on by itself."),
            "reject": ("rejected", f"{person} has rejected {what}", "Nothing was changed."),
            "changes": (
                "changes_requested",
                f"{person} asks for changes before {what}",
                "Nothing was changed. Which changes, is written in the answer's comment, on the review.",
            ),
            "expired": ("expired", f"nobody has answered about {what} in time", "Nothing was changed."),
        }[row["decision"]]
        if row["decision"] == "expired" and migration.quorum is not None and row["action"] == SWAP:
            subject = f"not everybody who has to has answered about {what} in time"
        if row["is_beforehand"]:
            subject += " beforehand, with the swap"
        yield Event(
            name,
            kind,
            f"{row['run']} {row['number']}",
            row["dag_id"],
            f"{name}: {subject}",
            (line, *([f"{row['comes_to']}."] if row["comes_to"] else [])),
            row["run"],
            row["dag_run_id"],
            row["task_id"],
            row["dag_file"],
        )


def _answers(connection: psycopg.Connection, migration: Migration) -> Iterator[Event]:
    """Approvals that others have to follow, with who is missing."""
    name = migration.migration
    for row in _rows(connection, "answers", migration, hours=NEWS_H):
        person = in_person(row["person"], row["answers_for"])
        yield Event(
            name,
            "answered",
            f"{row['run']} {row['approval_id']}",
            row["dag_id"],
            f"{name}: {person} has approved the {row['action']} of run {row['run']}, and others have to",
            (f"{row['comes_to']}.",),
            row["run"],
            row["dag_run_id"],
            row["task_id"],
            row["dag_file"],
        )


def _entries(connection: psycopg.Connection, migration: Migration) -> Iterator[Event]:
    name = migration.migration
    for row in _rows(connection, "entries", migration, hours=NEWS_H):
        lines = [
            f"Entry {row['entry']} of the ledger, approved by {row['person']}"
            + (f" beforehand; taken back by {row['triggered_by']}." if row["is_beforehand"] else "."),
            f"Clients waited {row['waited_ms']:,.0f} ms.",
        ]
        if row["undoes"]:
            lines.append(f"It has taken back run {row['undoes']}.")
        if row["revertible_until"]:
            lines.append(f"Until {_at(row['revertible_until'])} its page takes it back without asking a second person.")
        lines.append(f"To take it back, trigger {name}_rollback.")
        yield Event(
            name,
            "swapped" if row["action"] == "swap" else "rolled_back",
            row["run"],
            row["dag_id"],
            f"{name}: the {row['action']} of run {row['run']} is done",
            tuple(lines),
            row["run"],
            row["dag_run_id"],
        )


def _failures(connection: psycopg.Connection, migration: Migration) -> Iterator[Event]:
    name = migration.migration
    for row in _rows(connection, "failures", migration, hours=NEWS_H):
        code = row["code"]
        lines = [f"[{code}]"] if code else []
        lines.append(f"To clear it: {row['remedy']}")
        if code:
            lines.append(f"About it: docs/errors.md#{code.replace('.', '')}")
        yield Event(
            name,
            "failed",
            # the same again after a clear is no news; another cause is
            f"{row['run']} {row['task_id']} {code or ''}",
            row["dag_id"],
            f"{name}: run {row['run']} has failed in {row['task_id']}",
            tuple(lines),
            row["run"],
            row["dag_run_id"],
            row["task_id"],
        )


def _silent(connection: psycopg.Connection, migration: Migration, state_of: StateOf) -> Iterator[Event]:
    """Runs that have failed without saying why: a worker that was lost, or somebody who has marked the run."""
    name = migration.migration
    for row in _rows(connection, "under_way", migration, hours=NEWS_H):
        if state_of(row["dag_id"], row["dag_run_id"]) == "failed":
            yield Event(
                name,
                "failed",
                row["run"],
                row["dag_id"],
                f"{name}: run {row['run']} has failed",
                (
                    "No task of it has said why: its worker was lost, it ran out of time, or somebody has marked it.",
                    "To clear it: see which task has failed, and clear that.",
                ),
                row["run"],
                row["dag_run_id"],
            )


def _waiting(
    connection: psycopg.Connection, migration: Migration, limits: Limits, state_of: StateOf
) -> Iterator[Event]:
    """Questions whose time is nearly over; and those that the task itself could not tell anybody of."""
    name = migration.migration
    for row in _rows(connection, "waiting", migration, minutes=limits.remind_minutes, seconds=CLAIM_S):
        if state_of(row["dag_id"], row["dag_run_id"]) in ("failed", "success"):
            continue
        waits = "still waits" if row["is_late"] else "waits"
        yield Event(
            name,
            "reminder" if row["is_late"] else "asked",
            # a gate that is cleared while it waits asks the same with another end
            f"{row['run']} {row['record_id'] if row['is_late'] else row['number']}",
            row["dag_id"],
            f"{name}: the {row['action']} of run {row['run']} {waits} for an answer",
            (
                f"The question ends at {_at(row['ends_at'])}. Then the run fails, and nothing is changed.",
                *_come_to(connection, migration, row),
            ),
            row["run"],
            row["dag_run_id"],
            row["task_id"],
            row["dag_file"],
            lasts=row["ends_at"] - row["now"],
        )


def _come_to(connection: psycopg.Connection, migration: Migration, row: dict[str, Any]) -> list[str]:
    """How many answers there are and which are missing, where one is not enough."""
    if migration.quorum is None or row["action"] != SWAP:
        return []
    return [f"{approve.count(connection, migration.quorum, row['run']).words}."]


def _syncs(connection: psycopg.Connection, migration: Migration, limits: Limits) -> Iterator[Event]:
    """That sources fail, once for all of a DAG; and that they are well again, once the last of them is."""
    name = migration.migration
    failing = _rows(connection, "failing_syncs", migration, patience=limits.sync_hours)
    still = {row["dag_id"] for row in failing}
    open_ones = _rows(connection, "open_syncs", migration)
    for row in open_ones:
        if row["dag_id"] not in still:
            yield Event(
                name,
                "sync_well",
                row["about"],
                row["dag_id"],
                f"{name}: {row['dag_id']} is well again",
                ("Every source was read to its end since.",),
            )
    known = {row["dag_id"] for row in open_ones if row["dag_id"] in still}
    for dag_id in dict.fromkeys(row["dag_id"] for row in failing if row["is_long"]):
        if dag_id in known:
            continue
        rows = [row for row in failing if row["dag_id"] == dag_id]
        since = min(row["since"] for row in rows).astimezone(timezone.utc)
        lines = [
            f"{row['task_id']}: {row['failures']} times since {_at(row['since'])}"
            f"{', [' + row['code'] + ']' if row['code'] else ''}. To clear it: {row['remedy']}"
            for row in rows
        ]
        yield Event(
            name,
            "sync_failing",
            f"{dag_id} {since.isoformat()}",
            dag_id,
            f"{name}: {dag_id} has been failing for hours",
            tuple(lines),
        )


def _backups(connection: psycopg.Connection, migration: Migration, limits: Limits) -> Iterator[Event]:
    """That backups may go, once for each that has become old enough; that they are large, and twice as large again."""
    name = migration.migration
    backups = retention.backups(connection, name, limits.backups_days)
    size = sum(backup.bytes for backup in backups)
    line = f"{len(backups)} backups, {size / 1e9:,.1f} GB in all. To drop the oldest, trigger drop_backups."
    droppable = [backup for backup in backups if backup.droppable]
    if droppable:
        yield Event(
            name,
            "backups",
            f"old {droppable[-1].backup_schema}",
            "drop_backups",
            f"{name}: {len(droppable)} backups are older than {limits.backups_days} days",
            (line,),
        )
    if limits.backups_gb and size > limits.backups_gb * 1e9:
        doubled = int(math.log2(size / (limits.backups_gb * 1e9)))
        yield Event(
            name,
            "backups",
            # dropping some makes another one the oldest: growing again after that is news
            f"large {backups[0].backup_schema} {doubled}",
            "drop_backups",
            f"{name}: backups are larger than {limits.backups_gb * 2**doubled:,g} GB",
            (line,),
        )
