"""Whom a campaign is for, frozen for a run, and what its approver reads: the texts, the counts, a few masked people."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
from psycopg.rows import dict_row

from cutover import rehearsal
from cutover.announce import ACTION
from cutover.announce.message import NOBODY, Message, Window, read
from cutover.database import statements as files
from cutover.database.connect import Connect, Log, opened
from cutover.errors import CutoverError
from cutover.masking import masked
from cutover.migration import Migration
from cutover.records import chain, ledger, phase, run
from cutover.records.run import Run

_SAMPLES = 5


@dataclass(frozen=True)
class Wish:
    """What a run was triggered for.

    Rates are messages per second and channel; ``unknown`` is leave, resend or sent; an approval is good for
    ``valid_for``.
    """

    campaign: str
    window: Window | None
    rates: dict[str, float]
    unknown: str
    valid_for: timedelta


def announced_window(connection: psycopg.Connection, migration: Migration) -> Window | None:
    """The maintenance window of the newest launch on record that names a time."""
    row = connection.execute(files.statement("announce/window.sql"), {"migration": migration.migration}).fetchone()
    if row is None:
        return None
    opens = datetime.fromisoformat(str(row[1]).replace("Z", "+00:00"))
    opens = opens if opens.tzinfo else opens.replace(tzinfo=timezone.utc)
    return Window(opens, timedelta(minutes=row[2]))


def review(connect: Connect, migration: Migration, this_run: str, wish: Wish, log: Log) -> dict[str, Any]:
    """Freeze the audience and store what the approver reads, with its fingerprint, in the run's row.

    Raises CutoverError ``announce.no-campaign``, ``announce.bad-message``, ``announce.no-window``,
    ``announce.too-late``, ``announce.approval-too-short``, ``announce.no-audience``, and as
    ``require_live`` does.
    """
    message = read(migration.migration, wish.campaign)
    with opened(connect) as connection:
        made_from = phase.require(connection, migration, this_run, "review", ACTION)
        window = (wish.window or announced_window(connection, migration)) if message.needs_window else None
        _require_time(message, window, datetime.now(timezone.utc), wish.valid_for)
        if message.when == "swap":
            require_live(connection, migration)
        _freeze(connection, migration, this_run, message)
        audience: dict[str, Any] = {
            "campaign": message.campaign,
            **message.filled(window),
            "channels": list(message.channels),
            "audience": message.audience,
            "of_launch": message.when == "swap",
            "opens": window.opens.isoformat() if window else None,
            "minutes": window.length / timedelta(minutes=1) if window else None,
            "due_at": due.isoformat() if (due := message.due_at(window)) else None,
            "rates": wish.rates,
            "unknown": wish.unknown,
            "counts": counts(connection, migration, this_run, message.campaign),
            "samples": _samples(connection, this_run),
        }
        run.note(connection, this_run, review=audience)
        fingerprint = fingerprint_of(connection, run.get(connection, this_run))
        run.note(connection, this_run, fingerprint=fingerprint)
        phase.record(connection, migration, this_run, "review", made_from, action=ACTION, fingerprint=fingerprint)
        chain.cover(connection, "review", this_run, ("run", this_run))
    for line in lines(audience["counts"]):
        log(line)
    return audience


def fingerprint_of(connection: psycopg.Connection, row: Run) -> str:
    """What an approval is about: every text and figure as the approver reads them, and each person of the audience."""
    digest = connection.execute(files.statement("announce/digest.sql"), {"run": row.run}).fetchone()
    assert digest is not None  # an aggregate
    canonical = json.dumps([row.migration, row.review, digest[0]], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def counts(connection: psycopg.Connection, migration: Migration, this_run: str, campaign: str) -> list[dict[str, Any]]:
    """By channel, state and reason, how many people of the run's audience."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(
            files.statement("announce/counts.sql"),
            {"run": this_run, "migration": migration.migration, "campaign": campaign},
        ).fetchall()


def lines(counted: list[dict[str, Any]]) -> list[str]:
    """The counts in words."""
    return [
        f"{one['channel']}: {one['people']:,} {one['state']}{': ' + one['reason'] if one['reason'] else ''}"
        for one in counted
    ]


def markdown(review: dict[str, Any]) -> str:
    """What the approval form shows: when, whom, and each text as it goes out."""
    by_channel = {name: [one for one in review["counts"] if one["channel"] == name] for name in review["channels"]}
    waiting = {name: sum(one["people"] for one in of if one["state"] == "waiting") for name, of in by_channel.items()}
    when = f"at {_moment(review['due_at'])}" if review["due_at"] else "as soon as this is approved"
    parts = [
        f"Sends **{review['campaign']}** {when}. What has been sent cannot be taken back.",
        "",
        "| channel | people | a second, at most |",
        "|---|---:|---:|",
        *(f"| {name} | {people:,} | {review['rates'][name]:g} |" for name, people in waiting.items()),
    ]
    others = [one for one in review["counts"] if one["state"] != "waiting"]
    if others:
        parts += ["", "Not told:", "", *(f"* {line}" for line in lines(others))]
    unknown = sum(one["people"] for one in review["counts"] if one["state"] == "unknown")
    if unknown:
        fates = {"resend": "**are sent again**", "sent": "count as sent from now on", "leave": "are left as they are"}
        fate = fates[review["unknown"]]
        parts += ["", f"{unknown:,} messages of which nobody knows whether they were delivered {fate}."]
    if "email" in review["channels"]:
        parts += ["", "### The e-mail", "", f"**{review['subject']}**", "", *_quoted(review["text"])]
    if "push" in review["channels"]:
        parts += ["", "### On devices", "", *_quoted(f"**{review['subject']}**\n\n{review['push']}")]
    parts += ["", "### A few of them", ""]
    parts += [
        f"* {one['channel']}: {one['recipient']}, called {one['name'] or NOBODY}" for one in review["samples"]
    ] or ["nobody"]
    return "\n".join(parts)


def _moment(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"


def _quoted(text: str) -> list[str]:
    return [f"> {line}".rstrip() for line in text.splitlines()]


def _freeze(connection: psycopg.Connection, migration: Migration, this_run: str, message: Message) -> None:
    connection.execute(files.statement("announce/forget_old.sql"), {"run": this_run})
    values = {"run": this_run, "migration": migration.migration, "channels": list(message.channels)}
    missing = None
    try:
        with connection.transaction():
            query = files.statement("announce/keep_audience.sql", audience=query_of(migration, message.audience))
            frozen = connection.execute(query, values).rowcount
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        frozen, missing = 0, error.diag.message_primary
    if not frozen:
        raise CutoverError(
            "announce.no-audience",
            f"include/sql/{migration.migration}/announce/{message.audience}.sql",
            f"it finds nobody{f': {missing}' if missing else ''}.",
            f"trigger {migration.migration} with Dry run first: it copies the sources; then clear the task.",
        )
    connection.execute(files.statement("announce/note_digests.sql"), values)


def query_of(migration: Migration, audience: str) -> Any:
    """The migration's own query for an audience. Raises ``announce.bad-message`` if there is no such file."""
    path = f"{migration.migration}/announce/{audience}.sql"
    try:
        return files.statement(path)
    except FileNotFoundError:
        raise CutoverError(
            "announce.bad-message",
            f"audience {audience}",
            f"there is no file include/sql/{path}.",
            "correct the file; docs/announcements.md lists its keys.",
        ) from None


def _samples(connection: psycopg.Connection, this_run: str) -> list[dict[str, Any]]:
    rows = connection.execute(files.statement("announce/samples.sql"), {"run": this_run, "limit": _SAMPLES}).fetchall()
    return [
        {"channel": channel, "name": masked(name), "recipient": masked(recipients[0])}
        for channel, name, recipients in rows
    ]


def _require_time(message: Message, window: Window | None, now: datetime, valid_for: timedelta) -> None:
    if message.needs_window and window is None:
        raise CutoverError(
            "announce.no-window",
            f"campaign {message.campaign}",
            "it speaks of the maintenance window, and nobody has said when that is.",
            "give window_opens and window_minutes, or trigger the launch with its window first.",
        )
    if window is not None and window.opens <= now:
        raise CutoverError(
            "announce.too-late",
            f"campaign {message.campaign}",
            f"it is about a window that has opened at {window.opens:%Y-%m-%d %H:%M %Z}.",
            "trigger a new run with the time of the next one.",
        )
    due = message.due_at(window)
    if due is not None and due > now + valid_for:
        raise CutoverError(
            "announce.approval-too-short",
            "parameter approval_hours",
            f"it goes out at {due:%Y-%m-%d %H:%M %Z}, and an approval that is given now is not good any more then.",
            f"set approval_hours to {math.ceil((due - now) / timedelta(hours=1))}, or trigger this later.",
        )


def require_live(connection: psycopg.Connection, migration: Migration) -> None:
    """Raise unless a launch is in force and nobody has still to decide, or has decided, that it does not go live.

    Raises CutoverError ``announce.not-launched``, ``announce.not-rehearsed``, ``announce.not-decided``.
    """
    launch = ledger.launch_in_force(connection, migration.migration)
    if launch is None:
        raise CutoverError(
            "announce.not-launched",
            migration.migration,
            "no launch of it is in force: none has happened, or it was taken back.",
            "trigger this after the swap.",
        )
    if rehearsal.is_due(connection, launch):
        raise CutoverError(
            "announce.not-rehearsed",
            f"run {launch}",
            "people are told to come in, and whether they would get in is still to be found out.",
            f"wait for the task rehearse.sign_ins of {migration.migration}; if it has failed, clear it.",
        )
    rehearsed = rehearsal.of_run(connection, launch)
    answer = rehearsed["answer"] if rehearsed else None
    if rehearsed and rehearsed["trouble"] and not (answer and answer["goes_on"]):
        decided = f"{answer['person']} has decided against it" if answer else "nobody has decided yet"
        anew = "mend the ways in, and clear rehearse.sign_ins with the tasks behind it"
        raise CutoverError(
            "announce.not-decided",
            f"run {launch}",
            f"people are told to come in, and too many would not get in ({rehearsed['trouble'][0]}): {decided}.",
            f"{anew}." if answer else f"answer the question of its task rehearse.ask; or {anew}.",
        )
